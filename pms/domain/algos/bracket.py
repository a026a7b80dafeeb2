"""Bracket: an entry, its take-profit and its stop-loss; without an entry an OCO on a position.

    entry           a limit or a market order; over once it is filled, refused, expired or cancelled by hand,
                    and as soon as an exit has traded or the stop has fired: nothing is entered behind an exit
    take-profit     a reduce-only limit order at the exchange for all that is protected
    stop-loss       watched here; when the touch reaches it, the take-profit's cancel is wanted, and what that
                    order can trade no more is closed at market

Protected is what the entry filled and no exit has closed, and no more than the position holds: what others
close of it is gone from it for good. At every instant `take-profit live + stop live <= protected`, where live
counts whatever is unknown or not proven to be over. So a stop that fires waits for the word of the
take-profit's end, a round trip, rather than sell the same thing twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pms.contract.algo_commands import AmendBracket, Bracket
from pms.contract.codes import Code, Refusal
from pms.contract.commands import Command
from pms.contract.money import plain
from pms.domain.algos.algo import Algo, Slot, SlotState, Status
from pms.domain.algos.bracket_terms import check_exits, enter, protect
from pms.domain.algos.exits import best, better, opposite, too_small
from pms.domain.algos.machine import AGAIN_MS, Beginning, Plan, View, Want
from pms.domain.algos.targets import rounded
from pms.domain.checks import touch

ZERO = Decimal(0)
ENTRY, PROFIT, STOP = 0, 1, 2
EVERY_MS = 500
"""The take-profit grows with the entry's fills no more often; it shrinks at once."""

BY_HAND = "cancelled from outside"
OVER = frozenset({SlotState.DONE, SlotState.SKIPPED})


@dataclass(slots=True)
class _Standing:
    """What is protected now, and how much of it is free for an order."""

    left: Decimal
    #: by what was entered, and by the position
    free: Decimal
    #: of that, what no other order may take


class BracketMachine:
    """Decides for brackets."""

    kind = "bracket"
    origin = "BRACKET"
    letter = "O"

    def begin(self, terms: Bracket, view: View) -> Beginning:
        """The exits' slots, and the entry's where there is one; raises Refusal for terms that cannot be."""
        if view.position is not None:
            terms, symbol, closing, size = protect(terms, view, view.position)
            slots, side = [], closing
        else:
            terms, symbol, side, size = enter(terms, view)
            closing = opposite(side)
            slots = [Slot(ENTRY, symbol, side, size)]
        slots += [Slot(PROFIT, symbol, closing, ZERO), Slot(STOP, symbol, closing, ZERO)]
        return Beginning(symbol, side, size, view.tops[symbol].mid, slots, {}, terms)

    def plan(self, algo: Algo, view: View) -> Plan:
        """The entry while it is wanted; the take-profit until the stop fires; then the stop."""
        if algo.symbol not in view.instruments:
            return Plan(kept=frozenset(algo.slots))
        before = {number: (slot.target, slot.state, slot.note) for number, slot in algo.slots.items()}
        standing = _standing(algo, view)
        self._watch(algo, view, standing)
        _close_entry(algo, view)
        plan = Plan(end=_end(algo, view, standing), wake_at=None if view.certain else view.now + AGAIN_MS)
        if plan.end is None:
            self._want_entry(algo, view, plan)
            self._want_exits(algo, view, plan, standing)
        plan.wrote = {
            number
            for number, slot in algo.slots.items()
            if (slot.target, slot.state, slot.note) != before[number]
        }
        return plan

    def amend(self, algo: Algo, command: Command, view: View) -> None:
        """Other prices for the exits; raises Refusal for one that would trade at once."""
        assert isinstance(command, AmendBracket)
        assert isinstance(algo.terms, Bracket)
        changed = {
            name: value
            for name in ("take_profit", "stop_loss")
            if (value := getattr(command, name)) is not None
        }
        if not changed:
            raise Refusal(Code.MISSING_FIELD, "name what is to be changed", field="takeProfit")
        if "stopped" in algo.memory:
            stopped = plain(Decimal(algo.memory["stopped"]))
            raise Refusal(Code.ALGO_OVER, "the stop has fired", field="algoId", actual=stopped)
        if algo.symbol not in view.tops:
            raise Refusal(
                Code.PRICE_STALE,
                f"there is no price of {algo.symbol} in sync",
                field="symbol",
                actual=algo.symbol,
            )
        entry = algo.slots.get(ENTRY)
        waits = entry is not None and not entry.filled and entry.state not in OVER
        # Only what is changed is judged: the market may be at the other one just now.
        asked = algo.terms.model_copy(update={"take_profit": None, "stop_loss": None, **changed})
        taken = check_exits(asked, view, algo.symbol, algo.slots[PROFIT].side, entering=waits)
        algo.terms = algo.terms.model_copy(update={name: getattr(taken, name) for name in changed})
        if command.take_profit is not None and algo.slots[PROFIT].state is SlotState.SKIPPED:
            algo.slots[PROFIT].state = SlotState.WAITING

    def adds(self, algo: Algo, slot: Slot) -> bool:
        """Its entry, once it has filled anything, or while it may."""
        return slot.number == ENTRY and (slot.filled > 0 or slot.order_id is not None)

    def look(self, algo: Algo, view: View) -> None:
        """What others close of it is gone, whatever they open in its place; what it fired for stays."""
        _fix_size(algo, view, _standing(algo, view))

    def spared(self, algo: Algo, slot: Slot) -> bool:
        """An entry or a take-profit cancelled by hand is not wanted any more; the rest goes on."""
        if slot.number == STOP:
            return False
        slot.state, slot.note = SlotState.SKIPPED, BY_HAND
        return True

    def figures(self, algo: Algo, *, now: int) -> dict[str, Decimal]:
        """The exits' prices, and how much each part has traded."""
        assert isinstance(algo.terms, Bracket)
        found = {"takeProfitFilled": algo.slots[PROFIT].filled, "stopLossFilled": algo.slots[STOP].filled}
        prices = {"takeProfit": algo.terms.take_profit, "stopLoss": algo.terms.stop_loss}
        found |= {name: price for name, price in prices.items() if price is not None}
        if "stopped" in algo.memory:
            found["stoppedAt"] = Decimal(algo.memory["stopped"])
        return found

    def _watch(self, algo: Algo, view: View, standing: _Standing) -> None:
        """Fire the stop, for good, where there is anything to close."""
        terms, top, side = algo.terms, view.tops.get(algo.symbol), algo.slots[STOP].side
        assert isinstance(terms, Bracket)
        if terms.stop_loss is None or standing.left <= 0:
            return
        if "stopped" not in algo.memory:
            if top is None or better(side, touch(top, side), terms.stop_loss):
                return
            algo.memory["stopped"] = touch(top, side)
        _fix_size(algo, view, standing)

    def _want_entry(self, algo: Algo, view: View, plan: Plan) -> None:
        terms, entry = algo.terms, algo.slots.get(ENTRY)
        assert isinstance(terms, Bracket)
        if entry is None or entry.state in OVER:
            return
        plan.wants[ENTRY] = Want(
            quantity=entry.remaining,
            price=_on_tick(view, entry, terms.price),
            time_in_force=None if terms.price is None else terms.time_in_force or "GTC",
            position_side=terms.position_side,
            leverage=terms.leverage,
        )

    def _want_exits(self, algo: Algo, view: View, plan: Plan, standing: _Standing) -> None:
        """One of the two; beside the other only for what that one can trade no more."""
        profit, stop = algo.slots[PROFIT], algo.slots[STOP]
        resting, firing = view.leaves.get(PROFIT, ZERO), view.leaves.get(STOP, ZERO)
        if "stopped" in algo.memory:
            left = max(standing.left - resting, ZERO)
            stop.target, profit.target = stop.filled + left, profit.filled + resting
            self._want(algo, view, plan, stop, left, price=None)
            return
        free = max(standing.free - firing, ZERO)
        profit.target, stop.target = profit.filled + free, stop.filled + firing
        price = _profit_price(algo, view)
        if price is None or profit.state is SlotState.SKIPPED:
            return
        least = view.instruments[algo.symbol].min_notional
        if free * price < least and ENTRY in plan.wants and PROFIT not in view.orders:
            # More is to come: with it the exchange takes an order, and now it would not.
            return
        self._want(algo, view, plan, profit, free, price=price)

    def _want(
        self, algo: Algo, view: View, plan: Plan, slot: Slot, quantity: Decimal, *, price: Decimal | None
    ) -> None:
        order = view.orders.get(slot.number)
        inherits = price is None and order is None and PROFIT in view.orders
        if not (inherits or view.instruments[algo.symbol].floor_quantity(quantity, market=price is None)):
            # A market order on its way is left alone; what rests for nothing is cancelled.
            plan.kept |= {slot.number} if price is None and order is not None else set()
            return
        assert isinstance(algo.terms, Bracket)
        side = algo.terms.position_side if view.position is None else view.position.position_side
        plan.wants[slot.number] = Want(
            quantity=quantity,
            price=price,
            time_in_force=None if price is None else "GTC",
            reduce_only=True,
            position_side=side,
            every_ms=EVERY_MS,
            follows=True,
            urgent=price is None,
            inherits=inherits,
        )


def _fix_size(algo: Algo, view: View, standing: _Standing) -> None:
    """Once it has fired, and all is known, what it followed the position for is what it closes: no more."""
    terms = algo.terms
    assert isinstance(terms, Bracket)
    follows = ENTRY not in algo.slots and terms.quantity is None
    if follows and view.certain and "stopped" in algo.memory and "size" not in algo.memory:
        algo.memory["size"] = standing.left + _exited(algo)


def _standing(algo: Algo, view: View) -> _Standing:
    """What is protected.

    What others closed of it is noted: it is not protected again when the position grows.
    """
    terms, side = algo.terms, algo.slots[PROFIT].side
    assert isinstance(terms, Bracket)
    held, exited = max(view.held if side == "SELL" else -view.held, ZERO), _exited(algo)
    entry = algo.slots.get(ENTRY)
    size = terms.quantity if terms.quantity is not None else algo.memory.get("size")
    if entry is None and size is None:
        left, algo.target = held, exited + held
    else:
        entered = Decimal(size or 0) if entry is None else entry.filled
        known = Decimal(algo.memory.get("gone", 0))
        closed = ZERO if entry is None else _left_with_its_position(algo, view, entry, held=held)
        gone = max(known, entered - exited - held, closed - exited)
        if gone > known and view.certain:
            algo.memory["gone"] = gone
        left = max(entered - gone - exited, ZERO)
    return _Standing(left, max(min(left, held - view.elsewhere), ZERO))


def _left_with_its_position(algo: Algo, view: View, entry: Slot, *, held: Decimal) -> Decimal:
    """What was entered into a position that is closed: another one stands in its place.

    Nobody may have looked in between: it was paused, or both happened in one breath. What was entered since
    the last look counts for the one that stands.
    """
    place = getattr(algo.terms, "place", None)
    position = None if place is None else view.positions.get(place)
    if position is None or not held or not entry.filled:
        return ZERO
    known = algo.memory.get("entered", {"into": position.id, "quantity": ZERO})
    if known["into"] != position.id and not view.certain:
        return ZERO
    algo.memory["entered"] = {"into": position.id, "quantity": entry.filled}
    return ZERO if known["into"] == position.id else Decimal(known["quantity"])


def _exited(algo: Algo) -> Decimal:
    return algo.slots[PROFIT].filled + algo.slots[STOP].filled


def _close_entry(algo: Algo, view: View) -> None:
    """Whether anything more is entered: not behind an exit, and not after an end that nobody asked for."""
    entry = algo.slots.get(ENTRY)
    if entry is None or entry.state in OVER:
        return
    idle = ENTRY not in view.orders
    assert isinstance(algo.terms, Bracket)
    at_market = algo.terms.price is None
    least = view.instruments[algo.symbol].floor_quantity(entry.remaining, market=at_market)
    if "stopped" in algo.memory or _exited(algo) or (idle and (entry.tries or not least)):
        entry.state = SlotState.SKIPPED


def _end(algo: Algo, view: View, standing: _Standing) -> tuple[Status, str] | None:
    """What the bracket comes to, once nothing more is entered and nothing is left to protect."""
    terms, entry = algo.terms, algo.slots.get(ENTRY)
    assert isinstance(terms, Bracket)
    if entry is not None and (ENTRY in view.orders or entry.state not in OVER):
        return None
    if entry is not None and not entry.filled:
        by_hand = entry.note == BY_HAND
        outcome = Status.CANCELLED if by_hand else Status.FAILED
        return outcome, f"nothing was entered: {entry.note or 'the order expired'}"
    if standing.left <= 0:
        return (Status.FINISHED, _closed_by(algo)) if view.certain else None
    if {PROFIT, STOP} & view.orders.keys():
        return None
    if _dust(algo, view, standing.left):
        told = f"{_closed_by(algo)}: {plain(standing.left)} is left, too little for an order"
        return (Status.FINISHED if _exited(algo) else Status.FAILED), told
    if terms.stop_loss is None and algo.slots[PROFIT].state is SlotState.SKIPPED:
        return Status.CANCELLED, f"its take-profit was {BY_HAND}"
    return None


def _closed_by(algo: Algo) -> str:
    profit, stop = algo.slots[PROFIT].filled, algo.slots[STOP].filled
    if profit and stop:
        return "closed at the take-profit in part, and by the stop-loss"
    return "take-profit" if profit else "stop-loss" if stop else "position closed"


def _dust(algo: Algo, view: View, left: Decimal) -> bool:
    """Whether no exit can be placed for what is left; what rests may be for less than what is at market."""
    terms, top, profit, stop = algo.terms, view.tops.get(algo.symbol), algo.slots[PROFIT], algo.slots[STOP]
    assert isinstance(terms, Bracket)
    may_rest = (
        terms.take_profit is not None
        and "stopped" not in algo.memory
        and (terms.stop_loss is None or profit.state is not SlotState.SKIPPED)
    )
    if may_rest and not too_small(profit, view, left, price=terms.take_profit, market=False):
        return False
    price = None if top is None else touch(top, stop.side)
    return terms.stop_loss is None or too_small(stop, view, left, price=price)


def _profit_price(algo: Algo, view: View) -> Decimal | None:
    """Where the take-profit should rest: where it was asked for, or behind the market at the touch.

    That is better, and further behind the exchange takes none.
    """
    terms, slot, top = algo.terms, algo.slots[PROFIT], view.tops.get(algo.symbol)
    assert isinstance(terms, Bracket)
    asked, order = _on_tick(view, slot, terms.take_profit), view.orders.get(PROFIT)
    if asked is None or top is None or (order is not None and order.price == asked):
        return asked
    return _on_tick(view, slot, best(slot.side, asked, touch(top, slot.side)))


def _on_tick(view: View, slot: Slot, price: Decimal | None) -> Decimal | None:
    """A price on the tick that the symbol has by now, never worse than asked."""
    instrument = view.instruments[slot.symbol]
    return None if price is None else rounded(instrument, price, down=slot.side == "BUY")
