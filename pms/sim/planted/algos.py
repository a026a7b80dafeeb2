"""Bugs of algos, planted on purpose like those of `orders`; worlds in which algos run find them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from pms.contract.algo_commands import Twap
from pms.contract.basket import Basket
from pms.contract.journal import AlgoRow, AlgoSlotRow, Entry
from pms.domain import admission, booking, checks, liquidation
from pms.domain.algos import basket, book, bracket, clearing, conduct, ending, scalper_orders, viewing
from pms.domain.algos.algo import Algo, Slot, Status, slot_from
from pms.domain.algos.basket import BasketMachine
from pms.domain.algos.book import AlgoBook
from pms.domain.algos.bracket import BracketMachine
from pms.domain.algos.children import Turn
from pms.domain.algos.counting import count
from pms.domain.algos.course import Course
from pms.domain.algos.ladder import shares
from pms.domain.algos.layers import Layer
from pms.domain.algos.legs import Leg, leg_at
from pms.domain.algos.machine import Beginning, Plan, View, Want
from pms.domain.algos.trail_stop import TrailStopMachine
from pms.domain.algos.twap import TwapMachine
from pms.domain.algos.undoing import unwind
from pms.domain.algos.viewing import view_of
from pms.domain.desk import Desk
from pms.domain.orders import Order
from pms.domain.positions import Place, Position
from pms.sim.planted.planting import Patch, mutant
from pms.sim.traffic.errands import works


@mutant("what an algo's orders trade is not counted to it", where=works)
def fills_not_counted() -> Sequence[Patch]:
    return [(booking, "count", lambda *_, **__: None)]


@mutant("an algo takes an order of unknown outcome for one that never was", where=works)
def unknown_taken_for_over() -> Sequence[Patch]:
    return [(conduct, "_settle", _leaving(lambda order, _: order.doubt))]


@mutant("an algo places its next order as soon as the last one's cancel is wanted", where=works)
def cancel_taken_for_over() -> Sequence[Patch]:
    return [(conduct, "_settle", _leaving(lambda order, slot: slot.cancelling and not order.unproven))]


@mutant("each order of an algo is for all of its target, whatever is filled", where=works)
def placed_for_all() -> Sequence[Patch]:
    return [(conduct, "quantity_of", _without_room)]


@mutant(
    "an algo does not know its order that only Redis forgot",
    where=works,
    only="redis_tail",
)
def lost_step_forgotten() -> Sequence[Patch]:
    return [(AlgoBook, "expecting", lambda *_: None)]


def _without_room(turn: Turn, slot: Slot, want: Want, *, room: Decimal) -> Decimal:
    return slot.target


def _leaving(when: Callable[[Order, Slot], bool]) -> Callable[[Turn, Slot], None]:
    """`_settle` that gives up a slot's order too early."""
    real = conduct._settle

    def settle(turn: Turn, slot: Slot) -> None:
        order = turn.desk.orders.get(slot.order_id or "")
        if order is not None and when(order, slot):
            conduct._vacate(turn.algo, slot)
            return
        real(turn, slot)

    return settle


# --- TWAP ---


@mutant("what a slice missed is planned twice", where=works)
def miss_carried_twice() -> Sequence[Patch]:
    real = Course._release

    def release(self: Course, busy: Collection[int]) -> None:
        before = self.missed
        real(self, busy)
        self.algo.memory["missed"] = self.missed + (self.missed - before)

    return [(Course, "_release", release)]


@mutant("an outage is made up for in one burst", where=works)
def outage_made_up_at_once() -> Sequence[Patch]:
    return [(Course, "_share", lambda self, slot: self.missed)]


@mutant("a slice opens half a second before its moment", where=works)
def slice_too_early() -> Sequence[Patch]:
    go_on, place = Course.go_on, conduct._place

    def ahead(self: Course, busy: Collection[int]) -> None:
        self.now += 500
        go_on(self, busy)

    def early(turn: Turn, slot: Slot, want: Want) -> None:
        due_at, slot.due_at = slot.due_at, None
        try:
            place(turn, slot, want)
        finally:
            slot.due_at = due_at

    return [(Course, "go_on", ahead), (conduct, "_place", early)]


@mutant("who takes part in the market counts what traded before he began", where=works)
def past_volume_counted() -> Sequence[Patch]:
    real = TwapMachine._taking_part

    def begin(self: TwapMachine, terms: Twap, view: View) -> Beginning:
        found = real(self, terms, view)
        found.memory["base"] = Decimal(0)
        return found

    return [(TwapMachine, "_taking_part", begin)]


@mutant("the next life does not know which order a slot has", where=works)
def slots_order_forgotten() -> Sequence[Patch]:
    def without(row: AlgoSlotRow) -> Slot:
        slot = slot_from(row)
        slot.order_id = None
        return slot

    return [(book, "slot_from", without)]


# --- what guards a position ---


@mutant("a stop that has fired closes what is opened afterwards too", where=works)
def stop_fires_again() -> Sequence[Patch]:
    real = TrailStopMachine._close

    def close(self: TrailStopMachine, algo: Algo, plan: Plan, view: View, position: Position) -> Plan:
        algo.memory["size"] = algo.slots[0].filled + abs(position.quantity)
        return real(self, algo, plan, view, position)

    return [(TrailStopMachine, "_close", close)]


@mutant("each price is the best one to a trailing stop", where=works)
def stop_never_fires() -> Sequence[Patch]:
    real = TrailStopMachine._follow

    def follow(self: TrailStopMachine, algo: Algo, price: Decimal) -> None:
        if "extreme" in algo.memory:
            algo.memory["extreme"] = algo.seen["extreme"] = price
        real(self, algo, price)

    return [(TrailStopMachine, "_follow", follow)]


@mutant("a bracket's stop does not wait for the end of its take-profit", where=works)
def both_exits_live() -> Sequence[Patch]:
    real = BracketMachine._want_exits

    def want(self: BracketMachine, algo: Algo, view: View, plan: Plan, standing: Any) -> None:
        real(self, algo, replace(view, leaves={}), plan, standing)

    return [(BracketMachine, "_want_exits", want)]


@mutant("an exit counts what makes way for it as gone at once", where=works, only="rest_")
def way_made_at_once() -> Sequence[Patch]:
    real, clear = checks.closing, clearing.clear

    def closing(desk: Desk, place: Place, side: str) -> Decimal:
        going = (
            order.leaves
            for order in desk.orders_of(place[0], place[1])
            if order.cancel_wanted and (order.spec.place, order.spec.side) == (place, side)
        )
        return real(desk, place, side) - sum(going, Decimal(0))

    def at_once(turn: Turn, slot: Slot, want: Want) -> Decimal:
        free = clear(turn, slot, want)
        return clear(turn, slot, want) if turn.cleared else free

    found: list[Patch] = [(where, "closing", closing) for where in (checks, clearing, viewing)]
    return [*found, (conduct, "clear", at_once)]


@mutant("a stop that has fired waits for what rests beside it", where=works)
def nobody_makes_way() -> Sequence[Patch]:
    return [(clearing, "_make_way", lambda *_, **__: False)]


@mutant("a bracket's exits are for all that it was to enter", where=works)
def exits_before_entry() -> Sequence[Patch]:
    real = bracket._standing

    def standing(algo: Algo, view: View) -> Any:
        entry = algo.slots.get(bracket.ENTRY)
        if entry is None or not entry.filled:
            return real(algo, view)
        filled, entry.filled = entry.filled, entry.target
        try:
            return real(algo, view)
        finally:
            entry.filled = filled

    return [(bracket, "_standing", standing)]


# --- scalper ---


@mutant("a layer whose round is over is armed for twice its size", where=works)
def layer_armed_twice() -> Sequence[Patch]:
    real = Layer.begin_round

    def begin(self: Layer, *, size: Decimal) -> None:
        real(self, size=2 * size)

    return [(Layer, "begin_round", begin)]


@mutant("a scalper's exposure is what it holds, whatever its entries may add", where=works)
def claims_not_counted() -> Sequence[Patch]:
    return [(scalper_orders, "shares", lambda *args, most: shares(*args, most=None))]


@mutant("an exit is for what its layer may hold", where=works)
def exit_beyond_entry() -> Sequence[Patch]:
    real = scalper_orders._exits

    def exits(standing: Any, leg: Any, other: Any) -> dict[int, Want]:
        wants = real(standing, leg, other)
        for layer in leg.layers:
            if layer.exit.number in wants:
                layer.exit.target = layer.entry.target
                wants[layer.exit.number] = wants[layer.exit.number]._replace(
                    quantity=layer.entry.target - layer.exit.filled
                )
        return wants

    return [(scalper_orders, "_exits", exits)]


# --- how they end ---


@mutant("an algo that ends goes on placing", where=works)
def ended_still_places() -> Sequence[Patch]:
    real = conduct._plan

    def plan(turn: Turn) -> Plan:
        if turn.algo.status is not Status.ENDING:
            return real(turn)
        return turn.machine.plan(turn.algo, view_of(turn.desk, turn.algo, now=turn.asked.now))

    return [(conduct, "_plan", plan), (conduct, "_goes_on", lambda _: True)]


@mutant("until the journal has a cancel of all, its algos go on as if nothing were", where=works)
def sentence_not_known() -> Sequence[Patch]:
    real = ending.sentence

    def sentence(algos: Iterable[Algo], **named: Any) -> dict[str, AlgoRow]:
        found = list(algos)
        rows = real(found, **named)
        for algo in found:
            algo.sentence = None
        return rows

    def settle(desk: Desk, entry: Entry, *, held: bool) -> None:
        for row in entry.rows.algos if held else ():
            if row.status == Status.ENDING and entry.kind == "cancel_wanted":
                conduct.end(desk.algos.every[row.id], Status.CANCELLED, row.reason or "")

    return [(admission, "sentence", sentence), (ending, "settle", settle)]


@mutant("a liquidation leaves the account's algos alone", where=works, storms=True)
def algos_not_shed() -> Sequence[Patch]:
    return [(liquidation, "shed", lambda *_, **__: None)]


@mutant("what an algo's orders cost in fees is counted for makers alone", where=works)
def fees_not_counted() -> Sequence[Patch]:
    def cheaply(*args: Any, **named: Any) -> Any:
        return count(*args, **named if named["maker"] else named | {"commission": Decimal(0)})

    return [(booking, "count", cheaply)]


# --- basket ---


@mutant("a basket's leg is unwound twice over", where=works)
def unwound_twice() -> Sequence[Patch]:
    allowed = BasketMachine.part_of

    def part_of(self: BasketMachine, algo: Algo, slot: Slot) -> tuple[range, Decimal]:
        numbers, most = allowed(self, algo, slot)
        return numbers, most if slot.number in leg_at(algo, slot.number).numbers else 2 * most

    def doubled(legs: Iterable[Leg], view: View, plan: Plan) -> str | None:
        found = list(legs)
        told = unwind(found, view, plan)
        for leg in found:
            want = plan.wants.get(leg.undo.number)
            if want is not None:
                leg.undo.target = 2 * leg.filled
                plan.wants[leg.undo.number] = want._replace(quantity=leg.undo.remaining)
        return told

    return [(BasketMachine, "part_of", part_of), (basket, "unwind", doubled)]


@mutant("a basket that should hold when a leg fails lets the others go on", where=works)
def held_goes_on() -> Sequence[Patch]:
    real = BasketMachine.plan

    def plan(self: BasketMachine, algo: Algo, view: View) -> Plan:
        terms = algo.terms
        assert isinstance(terms, Basket)
        if terms.on_leg_failure == "hold":
            algo.terms = terms.model_copy(update={"on_leg_failure": "finish"})
        try:
            return real(self, algo, view)
        finally:
            algo.terms = terms

    return [(BasketMachine, "plan", plan)]


@mutant("a sequence's legs begin all at once", where=works)
def sequence_at_once() -> Sequence[Patch]:
    return [(basket, "_may_begin", lambda *_: True)]
