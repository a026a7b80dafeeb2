"""Bugs of algos, planted on purpose like those of `mutants`; worlds in which algos run find them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from pms.domain import booking
from pms.domain.algos import conduct
from pms.domain.algos.algo import Slot
from pms.domain.algos.book import AlgoBook
from pms.domain.algos.children import Turn
from pms.domain.algos.machine import Want
from pms.domain.orders import Order
from pms.sim.planting import Patch, mutant


@mutant("what an algo's orders trade is not counted to it", algos=True)
def fills_not_counted() -> Sequence[Patch]:
    return [(booking, "count", lambda *_, **__: None)]


@mutant("an algo takes an order of unknown outcome for one that never was", algos=True)
def unknown_taken_for_over() -> Sequence[Patch]:
    return [(conduct, "_settle", _leaving(lambda order, _: order.doubt))]


@mutant("an algo places its next order as soon as the last one's cancel is wanted", algos=True)
def cancel_taken_for_over() -> Sequence[Patch]:
    return [(conduct, "_settle", _leaving(lambda order, slot: slot.cancelling and not order.unproven))]


@mutant("each order of an algo is for all of its target, whatever is filled", algos=True)
def placed_for_all() -> Sequence[Patch]:
    return [(conduct, "_quantity", _without_room)]


@mutant(
    "an algo does not know its order that only Redis forgot",
    algos=True,
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
