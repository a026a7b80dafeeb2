"""TWAP: a total in slices spread over a time, each at its own moment.

    market       each slice an order at market
    limit, IOC   sent when the touch is within the limit; nothing is sent that could not trade
    limit, GTC   rests at the limit until the slice's end
    passive      rests at the touch, within the limit if there is one, and crosses with what is left of it

A slice whose time is over has no order any more, with a price or without: what it did not fill is for
`course` to place.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.algo_commands import AmendTwap, Twap
from pms.contract.codes import Code, Refusal
from pms.contract.commands import Command
from pms.contract.money import plain
from pms.domain.algos.algo import Algo, Slot, Status
from pms.domain.algos.course import Course, Grid, Schedule
from pms.domain.algos.exits import on_tick
from pms.domain.algos.machine import Beginning, Plan, View, Want
from pms.domain.algos.reducing import bounded, nothing_left, reducible
from pms.domain.algos.slices import HUNDRED, ZERO, moments, spread
from pms.domain.algos.targets import check_target, rounded
from pms.domain.desk import Top
from pms.domain.instrument import Instrument

NO_PRICE_MS = 500
"""Nothing is planned in a symbol without a price; it is asked again, though its next tick asks anyway."""

LEAST_APART_MS = 100
"""What is nearer would be missed by a busy loop, and be a burst."""

FRESH_VOLUME_MS = 2_000


class TwapMachine:
    """Decides for TWAPs."""

    kind = "twap"
    origin = "TWAP"
    letter = "T"

    def begin(self, terms: Twap, view: View) -> Beginning:
        """The whole plan: what each slice is for, and when it is due."""
        instrument, top = view.instruments[terms.symbol], view.tops[terms.symbol]
        if terms.time_in_force == "GTC" and (terms.limit_price is None or terms.passive):
            raise Refusal(
                Code.TIME_IN_FORCE,
                "GTC is for slices that rest at the limit price",
                field="timeInForce",
                limit="IOC",
                actual=terms.time_in_force,
            )
        most = terms.duration * 1000 // LEAST_APART_MS
        if terms.lots > most:
            raise Refusal(
                Code.BAD_FIELD,
                f"slices are at least {LEAST_APART_MS} ms apart",
                field="lots",
                limit=most,
                actual=terms.lots,
            )
        limit = (
            None if terms.limit_price is None else on_tick(instrument, terms.limit_price, field="limitPrice")
        )
        grid = _grid(terms.model_copy(update={"limit_price": limit}), instrument, top)
        total = _total(terms.total_size, grid)
        if terms.profile == "participation":
            return self._taking_part(
                terms.model_copy(update={"limit_price": limit, "total_size": total}), view
            )
        if terms.participation is not None:
            raise Refusal(
                Code.BAD_FIELD,
                "participation goes with the profile of that name",
                field="participation",
                limit="profile participation",
                actual=plain(terms.participation),
            )
        least = grid.least(total)
        count = min(terms.lots, int(total / least))
        weights = _weights(terms, view, count)
        if count < min(terms.lots, 2):
            raise Refusal(
                Code.QUANTITY_MIN,
                f"{plain(total)} is too little for two slices of {plain(least)}",
                field="totalSize",
                limit=plain(2 * least if terms.lots > 1 else least),
                actual=plain(total),
            )
        sizes = spread(total, weights, step=grid.step, least=least)
        due = moments(
            str(terms.request_id),
            start=view.now,
            duration_ms=terms.duration * 1000,
            count=count,
            jitter=terms.jitter,
        )
        sent = [(size, at) for size, at in zip(sizes, due, strict=True) if size]
        slots = [
            Slot(number, terms.symbol, terms.side, target=size, due_at=at)
            for number, (size, at) in enumerate(sent)
        ]
        kept = terms.model_copy(update={"limit_price": limit, "total_size": total})
        return Beginning(
            terms.symbol, terms.side, total, top.mid, slots, memory=Course.begin(len(slots)), terms=kept
        )

    def _taking_part(self, terms: Twap, view: View) -> Beginning:
        """Slices that know their moment alone: what each is for is told by what trades until then."""
        if terms.participation is None:
            raise Refusal(
                Code.MISSING_FIELD, "the profile participation needs a participation", field="participation"
            )
        if terms.lots < 2:
            raise Refusal(
                Code.BAD_FIELD,
                "the first slice opens before anything has traded: there must be another",
                field="lots",
                limit=2,
                actual=terms.lots,
            )
        traded = view.traded.get(terms.symbol)
        if traded is None or view.now - traded.read_at > FRESH_VOLUME_MS:
            # What traded in this minute before the start would be taken for what traded since.
            raise _no_volume(terms)
        due = moments(
            str(terms.request_id),
            start=view.now,
            duration_ms=terms.duration * 1000,
            count=terms.lots,
            jitter=terms.jitter,
        )
        slots = [
            Slot(number, terms.symbol, terms.side, target=ZERO, due_at=at) for number, at in enumerate(due)
        ]
        memory = Course.begin(terms.lots)
        memory.update(missed=terms.total_size, base=traded.since(view.now))
        mid = view.tops[terms.symbol].mid
        return Beginning(terms.symbol, terms.side, terms.total_size, mid, slots, memory=memory, terms=terms)

    def plan(self, algo: Algo, view: View) -> Plan:
        """The open slice's order; those of slices whose time is over go."""
        terms = algo.terms
        assert isinstance(terms, Twap)
        instrument, top = view.instruments.get(algo.symbol), view.tops.get(algo.symbol)
        if instrument is None or top is None:
            return _without_price(algo, view)
        course = Course(algo, view.now, _grid(terms, instrument, top), view.traded.get(algo.symbol))
        course.go_on(algo.busy)
        plan = Plan(wrote=course.wrote, wake_at=course.next_at)
        # What cannot rest ends by itself: cancelling it would only cost a request.
        plan.kept = _momentary(view)
        reason = course.over(algo.busy)
        if reason is not None:
            plan.end = (Status.FINISHED, reason)
            return plan
        slot = course.open
        if slot is None:
            return plan
        most = reducible(terms, view, slot)
        if most is not None and not most and not view.orders:
            plan.end = (Status.FINISHED, nothing_left(algo))
            return plan
        self._want(plan, course, slot, view, most)
        return plan

    def _want(self, plan: Plan, course: Course, slot: Slot, view: View, most: Decimal | None) -> None:
        terms, order = course.terms, view.orders.get(slot.number)
        if order is None and not course.grid.placeable(slot.remaining):
            return
        top, limit = view.tops[slot.symbol], _limit(terms, course.grid.instrument)
        crosses, quantity = _crosses(terms, limit, top), bounded(terms, view, slot, most)
        if terms.passive:
            begins = slot.due_at or 0
            cross_at = begins + int((course.ends_at(slot.number) - begins) * terms.cross_at / HUNDRED)
            if view.now < cross_at:
                crosses = False
                plan.wake_at = min(cross_at, plan.wake_at or cross_at)
        if crosses:
            if order is None:
                plan.wants[slot.number] = _want(terms, slot, limit, quantity)
            # A resting one goes first: to move it through the touch would be a refusal of what only makes.
            return
        if terms.passive:
            wanted = _resting(terms, limit, top)
            plan.wants[slot.number] = _want(terms, slot, wanted, quantity, time_in_force="GTX")
        elif terms.time_in_force == "GTC":
            plan.wants[slot.number] = _want(terms, slot, limit, quantity, time_in_force="GTC")

    def amend(self, algo: Algo, command: Command, view: View) -> None:
        """Another total or limit price; the total may not fall below what is filled or under way."""
        assert isinstance(command, AmendTwap)
        terms = algo.terms
        assert isinstance(terms, Twap)
        if command.total_size is None and command.limit_price is None:
            raise Refusal(Code.MISSING_FIELD, "name what is to be changed", field="totalSize")
        instrument, top = view.instruments[algo.symbol], view.tops.get(algo.symbol)
        changed: dict[str, Decimal] = {}
        if command.limit_price is not None:
            if terms.limit_price is None:
                raise Refusal(Code.PRICE_UNWANTED, "this TWAP has no limit price", field="limitPrice")
            changed["limit_price"] = on_tick(instrument, command.limit_price, field="limitPrice")
        price = top or Top(algo.arrival, ZERO, algo.arrival, ZERO, view.now)
        course = Course(algo, view.now, _grid(terms.model_copy(update=changed), instrument, price))
        if command.total_size is not None:
            total = changed["total_size"] = _total(command.total_size, course.grid)
            used = algo.filled + sum(view.leaves.values(), ZERO)
            if total < used:
                raise Refusal(
                    Code.BELOW_FILLED,
                    f"totalSize is the total, and {plain(used)} is filled or under way",
                    field="totalSize",
                    limit=plain(used),
                    actual=plain(total),
                )
            course.resize(total, view.leaves)
        algo.terms = terms.model_copy(update=changed)


def _without_price(algo: Algo, view: View) -> Plan:
    """What rests stays for the time of its slice: that is over at its moment, whatever the market does."""
    schedule = Schedule(algo, view.now)
    slot, next_at = schedule.open, schedule.next_at
    plan = Plan(kept=_momentary(view), wake_at=view.now + NO_PRICE_MS)
    if slot is not None and next_at is not None and view.now < next_at:
        plan.kept |= {slot.number}
        plan.wake_at = min(next_at, view.now + NO_PRICE_MS)
    return plan


def _momentary(view: View) -> frozenset[int]:
    return frozenset(number for number, order in view.orders.items() if order.momentary)


def _grid(terms: Twap, instrument: Instrument, top: Top) -> Grid:
    """What one order may be for."""
    return Grid(instrument, terms.limit_price is None, lowest_price(terms, top), terms.reduce_only)


def lowest_price(terms: Twap, top: Top) -> Decimal:
    """The lowest price that an order could have: by this it is judged what can be one."""
    return top.bid if terms.limit_price is None else min(top.bid, terms.limit_price)


def _total(quantity: Decimal, grid: Grid) -> Decimal:
    """The total on its step; raises Refusal for one that no order could be for."""
    total = check_target(
        grid.instrument, quantity, price=grid.price, reduce_only=grid.reduce_only, field="totalSize"
    )
    if grid.step and total % grid.step:
        raise Refusal(
            Code.QUANTITY_STEP,
            f"totalSize must be a multiple of {plain(grid.step)}",
            field="totalSize",
            limit=plain(grid.step),
            actual=plain(total),
        )
    return total


def _weights(terms: Twap, view: View, count: int) -> list[Decimal]:
    """How much of the total each slice is for, beside the others."""
    if terms.profile == "time":
        return [Decimal(1)] * count
    volumes = view.volumes.get((terms.symbol, terms.profile_days))
    found = volumes.weights(start=view.now, duration_ms=terms.duration * 1000, count=count) if volumes else []
    if not any(found):
        raise _no_volume(terms)
    return found


def _no_volume(terms: Twap) -> Refusal:
    return Refusal(
        Code.VOLUME_MISSING,
        f"the exchange shows no volume of {terms.symbol} to go by",
        field="profile",
        actual=terms.profile,
    )


def _limit(terms: Twap, instrument: Instrument) -> Decimal | None:
    """The limit on the tick that the symbol has by now, never worse than asked."""
    price = terms.limit_price
    return None if price is None else rounded(instrument, price, down=terms.side == "BUY")


def _crosses(terms: Twap, limit: Decimal | None, top: Top) -> bool:
    """Whether an order that takes is wanted, at the limit; at market without one."""
    if limit is None:
        return True
    within = top.ask <= limit if terms.side == "BUY" else top.bid >= limit
    return within and terms.time_in_force == "IOC"


def _resting(terms: Twap, limit: Decimal | None, top: Top) -> Decimal:
    """The touch of its own side, within the limit."""
    if terms.side == "BUY":
        return top.bid if limit is None else min(top.bid, limit)
    return top.ask if limit is None else max(top.ask, limit)


def _want(
    terms: Twap,
    slot: Slot,
    price: Decimal | None,
    quantity: Decimal,
    *,
    time_in_force: str | None = "IOC",
) -> Want:
    return Want(
        quantity=quantity,
        price=price,
        time_in_force=None if price is None else time_in_force,
        reduce_only=terms.reduce_only,
        position_side=terms.position_side,
        leverage=terms.leverage,
        every_ms=terms.reprice_ms,
    )
