"""Where an algo of slices is in its plan: which slice is open, what was missed, and who makes up for it.

    a slice's time has come         it is open until the next one's; several at once: the last of them alone
    its time is over                its order goes, and then what it did not fill is taken off its target:
                                    `missed` where an order could have been for it, else `carried`: too
                                    little by the grid, or found to be where the exchange's net is not reduced
    a slice opens                   it takes all that is carried, and by `catch_up` its part of what is missed
                                    and of one that takes part in the market, its part of what traded
    the last one's time is over     by `catch_up` one more slice, while something is missed, and overtime left

The slots' targets, `missed` and `carried` add up to the algo's target, always: nothing is planned twice. A
slice is never more than `most_catch_up` even slices, so that an outage is not made up for in one burst.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pms.contract.algo_commands import Twap
from pms.contract.codes import Code, Refusal
from pms.contract.money import plain
from pms.domain.algos.algo import Algo, Slot, SlotState
from pms.domain.algos.slices import HUNDRED, ZERO, down, spread, up
from pms.domain.algos.targets import filled_but, too_little, too_little_by
from pms.domain.algos.volumes import TradedVolumes
from pms.domain.instrument import Instrument

NOTIONAL_ROOM = Decimal("1.1")
"""A slice is planned to be worth more than the least, or a market that falls a little would forbid it."""


@dataclass(frozen=True, slots=True)
class Grid:
    """What one order of an algo may be for, at a price."""

    instrument: Instrument
    market: bool
    price: Decimal
    reduce_only: bool

    @property
    def step(self) -> Decimal:
        """Of slices; a market order's may be the wider one."""
        return max(self.instrument.step, self.instrument.market_step if self.market else ZERO)

    def placeable(self, quantity: Decimal) -> bool:
        """Whether an order could be for it."""
        return not too_little(
            self.instrument, quantity, price=self.price, reduce_only=self.reduce_only, market=self.market
        )

    def least(self, total: Decimal) -> Decimal:
        """The least slice that is planned of a total.

        The exchange exempts what only reduces from the least notional while its own net is reduced, and that
        may turn: so it is kept to here as well, where it leaves two slices.
        """
        found = self.instrument
        least = max(found.min_quantity, found.market_min_quantity if self.market else ZERO, self.step)
        worth = up(max(least, found.min_notional * NOTIONAL_ROOM / self.price), self.step)
        return up(least, self.step) if self.reduce_only and total < 2 * worth else worth


@dataclass(slots=True)
class Schedule:
    """Where a plan is by the clock, of which nobody need know a price.

    Trap: which slice is open was written down when a course last went on; its time may be over by now.
    """

    algo: Algo
    now: int

    @property
    def terms(self) -> Twap:
        assert isinstance(self.algo.terms, Twap)
        return self.algo.terms

    @property
    def at(self) -> int:
        """The open slice; -1 before the first, one more than the last behind it."""
        return int(self.algo.memory["at"])

    @property
    def last(self) -> int:
        """The last slice that is for anything."""
        return int(self.algo.memory["last"])

    @property
    def open(self) -> Slot | None:
        """The slice whose time it is."""
        return self.algo.slots[self.at] if 0 <= self.at <= self.last else None

    @property
    def interval(self) -> int:
        """From one slice to the next, ms."""
        return max(self.terms.duration * 1000 // int(self.algo.memory["planned"]), 1)

    def ends_at(self, number: int) -> int:
        """When a slice's time is over, ms."""
        if number < self.last:
            return self.algo.slots[number + 1].due_at or 0
        return (self.algo.slots[number].due_at or 0) + self.interval

    @property
    def next_at(self) -> int | None:
        """When the next slice opens or the last one's time is over, ms."""
        return self.ends_at(self.at) if self.at <= self.last and self.at >= 0 else self._first_at

    @property
    def _first_at(self) -> int | None:
        return self.algo.slots[0].due_at if self.at < 0 else None


@dataclass(slots=True)
class Course(Schedule):
    """One look at an algo's plan; what it writes is in `wrote`."""

    grid: Grid
    traded: TradedVolumes | None = None
    #: what the symbol traded lately, for one that takes part in it
    wrote: set[int] = field(default_factory=set)

    @staticmethod
    def begin(count: int) -> dict[str, object]:
        """The memory of a plan that has not begun."""
        return {
            "at": -1,
            "last": count - 1,
            "planned": count,
            "closing": [],
            "drawn": False,
            "missed": ZERO,
            "carried": ZERO,
        }

    # --- what is so ---

    @property
    def takes_part(self) -> bool:
        """A slice is for a part of what trades, and known only when it opens: until then all is missed."""
        return self.terms.profile == "participation"

    @property
    def closing(self) -> list[int]:
        """Slices whose time is over and whose order may still live."""
        return [int(number) for number in self.algo.memory["closing"]]

    @property
    def missed(self) -> Decimal:
        return Decimal(self.algo.memory["missed"])

    @property
    def carried(self) -> Decimal:
        return Decimal(self.algo.memory["carried"])

    @property
    def even(self) -> Decimal:
        """An even slice."""
        return up(self.algo.target / int(self.algo.memory["planned"]), self.grid.step)

    # --- what follows from the time ---

    def go_on(self, busy: Collection[int]) -> None:
        """Open what is due, close what is over, and let the open slice make up for what it should."""
        self._advance()
        self._release(busy)
        if self.at > self.last and not self.closing and not busy and self.algo.filled < self.algo.target:
            self._append()
        self._draw()

    def _advance(self) -> None:
        at, closing = self.at, self.closing
        while at <= self.last and (self.ends_at(at) if at >= 0 else self._first_at or 0) <= self.now:
            if at >= 0:
                closing.append(at)
            at += 1
        if at != self.at:
            self.algo.memory.update(at=at, closing=closing, drawn=False)

    def _release(self, busy: Collection[int]) -> None:
        closing = self.closing
        over = [number for number in closing if number not in busy]
        if not over:
            return
        missed, carried = self.missed, self.carried
        for number in over:
            slot = self.algo.slots[number]
            left = slot.remaining
            slot.target -= left
            slot.state = SlotState.DONE if slot.steps else SlotState.SKIPPED
            if self.grid.placeable(left) and not too_little_by(slot.note):
                missed += left
            else:
                carried += left
            self.wrote.add(number)
        self.algo.memory.update(
            closing=[number for number in closing if number in busy], missed=missed, carried=carried
        )

    def _draw(self) -> None:
        """The open slice takes its part once; the last of all whenever there is something."""
        slot = self.open
        again = self.at == self.last and not self.takes_part
        if slot is None or (self.algo.memory["drawn"] and not again):
            return
        if self.takes_part and self.traded is None:
            return
        self.algo.memory["drawn"] = True
        carried, share = self.carried, self._share(slot)
        if not carried and not share:
            return
        slot.target += carried + share
        slot.state = SlotState.WORKING if slot.steps else SlotState.WAITING
        self.algo.memory.update(missed=self.missed - share, carried=ZERO)
        self.wrote.add(slot.number)

    def _share(self, slot: Slot) -> Decimal:
        """The part of what is missed that an opening slice makes up for."""
        if self.takes_part:
            return self._part(slot)
        if not self.missed or self.terms.on_missed == "skip":
            return ZERO
        even_share = up(self.missed / (self.last - self.at + 1), self.grid.step)
        room = self.even * self.terms.most_catch_up - slot.target - self.carried
        return max(down(min(even_share, self.missed, room), self.grid.step), ZERO)

    def _part(self, slot: Slot) -> Decimal:
        """The part of what traded since the start, less what was planned of it; nothing below the least."""
        assert self.traded is not None
        volume = self.traded.since(self.algo.started_at) - Decimal(self.algo.memory["base"])
        planned = self.algo.target - self.missed - self.carried
        allowed = volume * (self.terms.participation or ZERO) / HUNDRED - planned
        room = self.even * self.terms.most_catch_up - slot.target
        found = max(down(min(allowed, self.missed, room), self.grid.step), ZERO)
        return found if self.grid.placeable(found) else ZERO

    def _append(self) -> None:
        """One more slice behind the last, if there is something for it and time."""
        number, missed = self.last + 1, self.missed + self.carried
        over_at = self.algo.started_at + int(self.terms.duration * 1000 * (1 + self.terms.overtime / HUNDRED))
        if (
            self.terms.on_missed == "skip"
            or self.takes_part
            or not self.grid.placeable(missed)
            or self.now >= over_at
            or number >= self.algo.most_slots
        ):
            return
        slot = self.algo.slots.setdefault(number, Slot(number, self.algo.symbol, self.algo.side, target=ZERO))
        slot.due_at = self.now
        self.algo.memory.update(last=number, drawn=False)
        self.wrote.add(number)

    def over(self, busy: Collection[int]) -> str | None:
        """Why the plan is at its end, None while it is not."""
        complete = self.takes_part and not self.missed and not self.carried
        if busy or self.closing or (self.at < self.last and not complete):
            return None
        left = self.algo.target - self.algo.filled
        if left <= 0:
            return "filled"
        slot = self.open
        if slot is not None and self.takes_part and not self.algo.memory["drawn"]:
            # What traded is not known yet, as behind a restart.
            return None
        if slot is not None and (self.grid.placeable(slot.remaining) or self._will_catch_up()):
            return None
        if not self.grid.placeable(left):
            return filled_but(left)
        return f"its time is over, and {plain(left)} is not filled"

    def _will_catch_up(self) -> bool:
        return (
            self.terms.on_missed == "catch_up"
            and not self.takes_part
            and self.grid.placeable(self.missed + self.carried)
        )

    # --- another total ---

    def resize(self, total: Decimal, live: Mapping[int, Decimal]) -> None:
        """Plan for another total: what is to come changes first, then what is open, never what is filled.

        `live` is what may still trade of each slice's order; the total is not below that and what is filled.
        Raises Refusal where it is more than the slices to come may take.
        """
        change = total - self.algo.target
        slots, memory = self.algo.slots, self.algo.memory
        planned = 0 if self.takes_part else int(memory["planned"])
        coming = [slots[number] for number in range(self.at + 1, planned)]
        from_missed = min(self.missed, max(-change, ZERO))
        from_carried = min(self.carried, max(-change - from_missed, ZERO))
        rest = sum((slot.target for slot in coming), ZERO) + change + from_missed + from_carried
        parts, excess = self._parts(coming, max(rest, ZERO), total)
        if excess and self.terms.on_missed == "skip" and not self.takes_part:
            raise Refusal(
                Code.QUANTITY_MAX,
                f"the slices to come take {plain(excess)} less, by mostCatchUp",
                field="totalSize",
                limit=plain(total - excess),
                actual=plain(total),
            )
        for slot, part in zip(coming, parts, strict=True):
            slot.target = part
        filled = [slot.number for slot in coming if slot.target]
        if coming:
            memory["last"] = max([*filled, min(self.at, self.last), 0])
        memory["missed"] = self.missed - from_missed + excess
        memory["carried"] = self.carried - from_carried
        if rest < 0:
            self._cut(-rest, live)
        self.algo.target = total

    def _parts(self, coming: list[Slot], rest: Decimal, total: Decimal) -> tuple[list[Decimal], Decimal]:
        """What each slice to come is for, and what none of them may take.

        One that was planned larger than the multiple, by volume, may stay as large: it is no burst.
        """
        if not coming:
            return [], rest
        weights = [slot.target or self.grid.step for slot in coming]
        parts = spread(rest, weights, step=self.grid.step, least=self.grid.least(rest))
        before, most = self._most(self.algo.target), self._most(total)
        caps = [max(most, slot.target) if slot.target > before else most for slot in coming]
        parts = [min(part, cap) for part, cap in zip(parts, caps, strict=True)]
        excess = rest - sum(parts, ZERO)
        for number, (part, cap) in enumerate(zip(parts, caps, strict=True)):
            more = min(cap - part, excess) if part else ZERO
            parts[number], excess = part + more, excess - more
        return parts, excess

    def _most(self, total: Decimal) -> Decimal:
        """The most that a slice may come to be for, of a total."""
        even = up(total / int(self.algo.memory["planned"]), self.grid.step)
        return down(even * self.terms.most_catch_up, self.grid.step)

    def _cut(self, excess: Decimal, live: Mapping[int, Decimal]) -> None:
        """Take from what is under way what it has not sent yet."""
        for number in (self.at, *self.closing):
            slot = self.algo.slots.get(number)
            if slot is None:
                continue
            spare = max(slot.remaining - live.get(number, ZERO), ZERO)
            slot.target -= min(spare, excess)
            excess -= min(spare, excess)
