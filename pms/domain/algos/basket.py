"""Basket: legs as one, each worked by the machine of its own kind, and one rule for when a leg fails.

    parallel        every leg begins with the basket
    sequence        a leg begins when the one before it is over
    a leg is done   nothing is left of it that an order could be for, now or when the basket began
    it has failed   its machine gave up, its order was refused three times in a row, nothing can cure the
                    refusal, its symbol trades no more, or the basket's time is over; and no order of it may
                    trade any more
    finish          the others go on
    hold            all stop, and what is filled is kept
    unwind          all stop, and what is filled is closed again (`undoing`)

All of it is one algo with one row: which leg stands where is in its memory, journaled with whatever follows
from it, so that no death finds a leg without its basket, or a rule half known. The bound of each leg is over
all slots of its machine; of its unwinding what the leg filled. Neither grows by what was forgotten.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pms.contract.basket import AmendBasket, Basket
from pms.contract.codes import Code, Refusal
from pms.contract.commands import Command
from pms.contract.events import BasketFigures
from pms.contract.money import plain
from pms.domain.algos.algo import ZERO, Algo, Slot, SlotState, Status
from pms.domain.algos.basket_figures import figures_of, whole_of
from pms.domain.algos.foreseen import foreseen
from pms.domain.algos.ids import MOST_SLOTS
from pms.domain.algos.legs import (
    DONE,
    ENDING,
    FAILED,
    RUNNING,
    WAITING,
    Leg,
    capacity,
    first_memory,
    kept_slots,
    leg_at,
    legs_of,
    machine_of,
    seen_by,
)
from pms.domain.algos.machine import Beginning, Plan, View, Whole
from pms.domain.algos.naming import of_leg
from pms.domain.algos.together import Ahead
from pms.domain.algos.twap import TwapMachine
from pms.domain.algos.undoing import unwind

NO_PRICE_MS = 500
MOST_TRIES = 3
"""Refusals and ends in a row that nobody asked for: then a leg of one order has failed."""


class BasketMachine:
    """Decides for baskets."""

    kind = "basket"
    origin = "BASKET"
    letter = "K"

    def begin(self, terms: Basket, view: View) -> Beginning:
        """All slots of all legs; raises Refusal that names the leg for one that cannot be."""
        slots: list[Slot] = []
        memory: list[dict[str, Any]] = []
        legs = []
        for number, leg in enumerate(terms.legs):
            start = terms.start_of(number)
            try:
                beginning = machine_of(start).begin(start, seen_by(start, view))
            except Refusal as refusal:
                raise of_leg(terms, number, refusal) from None
            on_grid = beginning.terms or start
            update = {
                name: value for name in type(leg).model_fields if (value := getattr(on_grid, name, None))
            }
            legs.append(leg.model_copy(update=update))
            memory.append(
                first_memory(
                    beginning, first=len(slots), slots=capacity(start), mid=view.tops[leg.symbol].mid
                )
            )
            slots += kept_slots(start, len(slots))
        if len(slots) > MOST_SLOTS:
            raise Refusal(
                Code.BAD_FIELD,
                f"all slices of all legs, with those that may be made up for, are {len(slots)}",
                field="legs",
                limit=MOST_SLOTS,
                actual=len(slots),
            )
        kept = terms.model_copy(update={"legs": tuple(legs)})
        only = set(terms.symbols)
        return Beginning(
            symbol=only.pop() if len(only) == 1 else "",
            side="",
            target=ZERO,
            arrival=ZERO,
            slots=slots,
            memory={"legs": memory, "unwinding": False},
            terms=kept,
        )

    def plan(self, algo: Algo, view: View) -> Plan:
        """What every leg that runs wants; the rule, once one has failed."""
        terms, legs = algo.terms, legs_of(algo)
        assert isinstance(terms, Basket)
        # What cannot rest ends by itself
        momentary = frozenset(number for number, order in view.orders.items() if order.momentary)
        plan = Plan(kept=momentary)
        ends_at = None if terms.duration is None else algo.started_at + 1_000 * terms.duration
        if not algo.memory["unwinding"]:
            for leg in legs:
                _go_on(leg, legs, view, plan, in_time=ends_at is None or view.now < ends_at)
        if ends_at is not None and view.now < ends_at:
            _wake(plan, ends_at)
        failed = [leg for leg in legs if leg.state == FAILED]
        if not failed:
            if all(leg.over for leg in legs):
                plan.end = Status.FINISHED, "filled"
            return plan
        told = "; ".join(f"{leg.name}: {leg.memory['reason']}" for leg in failed)
        if terms.on_leg_failure == "hold":
            plan.end = Status.FAILED, f"{told}; what is filled is kept"
        elif terms.on_leg_failure == "unwind":
            algo.memory["unwinding"] = True
            plan.wants, plan.kept = {}, momentary
            done = unwind(legs, view, plan)
            if done is not None:
                plan.end = Status.FAILED, f"{told}; {done}"
        elif all(leg.over for leg in legs):
            plan.end = Status.FAILED, f"{told}; the others are filled" if len(failed) < len(legs) else told
        return plan

    def ahead(self, algo: Algo, view: View) -> list[Ahead]:
        """All of it: it is admitted whole or not at all."""
        return foreseen(algo, view, self.plan(algo, view).wants)

    def named(self, algo: Algo, part: int, refusal: Refusal) -> Refusal:
        """A refusal that names the leg's field."""
        assert isinstance(algo.terms, Basket)
        return of_leg(algo.terms, part, refusal)

    def amend(self, algo: Algo, command: Command, view: View) -> None:
        """Another rule or time; not once it unwinds."""
        assert isinstance(command, AmendBasket)
        changed = {
            name: value
            for name in ("on_leg_failure", "duration")
            if (value := getattr(command, name)) is not None
        }
        if not changed:
            raise Refusal(Code.MISSING_FIELD, "name what is to be changed", field="onLegFailure")
        if algo.memory["unwinding"]:
            raise Refusal(Code.ALGO_OVER, "the basket unwinds", field="algoId", actual=algo.status.value)
        algo.terms = algo.terms.model_copy(update=changed)

    def part_of(self, algo: Algo, slot: Slot) -> tuple[range, Decimal]:
        """A leg's slots and its target; of a slot that unwinds, itself and what the leg filled."""
        leg = leg_at(algo, slot.number)
        if slot.number in leg.numbers:
            return leg.numbers, leg.target
        return range(slot.number, slot.number + 1), leg.filled

    def hopeless(self, algo: Algo, slot: Slot, reason: str) -> None:
        """The leg has failed, as soon as no order of it may trade; what cannot be unwound is left."""
        leg = leg_at(algo, slot.number)
        if slot.number in leg.numbers:
            _stop(leg, reason)
        else:
            slot.state, slot.note = SlotState.SKIPPED, reason

    def timed(self, algo: Algo, slot: int) -> bool:
        """Slices have moments of their own."""
        leg = leg_at(algo, slot)
        return machine_of(leg.terms).kind == TwapMachine.kind and slot in leg.numbers

    def figures(self, algo: Algo, *, now: int) -> BasketFigures:
        """How far each leg is, and how well it did."""
        return figures_of(algo, now=now)

    def whole(self, algo: Algo) -> Whole:
        """All legs together, in USDT."""
        return whole_of(algo)


def _go_on(leg: Leg, legs: list[Leg], view: View, plan: Plan, *, in_time: bool) -> None:
    """Bring one leg to where it should be; what it wants goes into the basket's plan."""
    if not leg.over and not in_time and leg.state != ENDING:
        left = plain(max(leg.target - leg.filled, ZERO))
        _stop(leg, f"the basket's time is over, and {left} is not filled")
    gone = None if leg.over or leg.busy or not _may_begin(leg, legs) else _gone(leg, view)
    if gone is not None and leg.state != ENDING:
        _stop(leg, gone)
    if leg.state == WAITING and _may_begin(leg, legs):
        _begin(leg, view, plan)
    if leg.state == RUNNING:
        _work(leg, view, plan)
    if leg.state == ENDING and not leg.busy:
        _close(leg, view)


def _may_begin(leg: Leg, legs: list[Leg]) -> bool:
    assert isinstance(leg.algo.terms, Basket)
    return leg.algo.terms.mode == "parallel" or all(before.over for before in legs[: leg.number])


def _gone(leg: Leg, view: View) -> str | None:
    """Why no order of a leg can be any more. Trap: a symbol that stops trading may have no price either."""
    symbol = leg.terms.symbol
    instrument = view.instruments.get(symbol)
    if instrument is None:
        return f"the exchange lists {symbol} no more"
    return None if instrument.status == "TRADING" else f"{symbol} is {instrument.status}"


def _begin(leg: Leg, view: View, plan: Plan) -> None:
    """Begin a leg where there is a price; one that cannot be any more has failed."""
    symbol = leg.terms.symbol
    if symbol not in view.tops or symbol not in view.instruments:
        _wake(plan, view.now + NO_PRICE_MS)
        return
    try:
        leg.begin(view, plan.wrote)
    except Refusal as refusal:
        _stop(leg, f"{refusal.code}: {refusal.error}")


def _work(leg: Leg, view: View, plan: Plan) -> None:
    slot = leg.algo.slots[leg.first]
    if len(leg.numbers) == 1 and slot.tries >= MOST_TRIES and not leg.busy:
        _stop(leg, slot.note or "its order was ended again and again")
        return
    asked = leg.plan(view, plan.wrote)
    if asked.end is not None:
        _stop(leg, asked.end[1])
        return
    plan.wants |= asked.wants
    plan.kept |= asked.kept
    _wake(plan, asked.wake_at)


def _stop(leg: Leg, reason: str) -> None:
    """It wants nothing more; what it comes to is known when no order of it may trade."""
    if not leg.over:
        leg.memory.update(state=ENDING, reason=reason)


def _close(leg: Leg, view: View) -> None:
    """Done or failed, by what it has filled."""
    leg.memory.update(state=DONE if leg.complete(view) else FAILED, until=view.now)


def _wake(plan: Plan, at: int | None) -> None:
    if at is not None:
        plan.wake_at = at if plan.wake_at is None else min(at, plan.wake_at)
