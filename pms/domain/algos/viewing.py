"""What is so, for a machine to look at: prices, orders, and the position that it is for."""

from __future__ import annotations

from decimal import Decimal

from pms.contract.algo_commands import AlgoStart, Chase, Twap
from pms.contract.basket import Basket, OneOrder
from pms.domain.algos.algo import ZERO, Algo, Slot
from pms.domain.algos.legs import legs_of
from pms.domain.algos.machine import View
from pms.domain.checks import closing
from pms.domain.desk import Desk
from pms.domain.positions import Place, Position


def view_of(desk: Desk, algo: Algo, *, now: int, certain: bool = True) -> View:
    """What is so, for a machine; not `certain` while trades may have been missed."""
    position = position_of(desk, algo.terms)
    place = position.place if position is not None else getattr(algo.terms, "place", None)
    orders = {number: desk.orders.get(algo.slots[number].order_id or "") for number in algo.busy}
    return View(
        now=now,
        tops=desk.tops,
        instruments=desk.instruments,
        orders={number: order for number, order in orders.items() if order is not None},
        held=desk.quantity(place) if place is not None else ZERO,
        certain=certain,
        position=position,
        elsewhere=_elsewhere(desk, algo, place) if place and algo.terms.follows_position else ZERO,
        leaves={number: leaves_of(desk, algo.slots[number]) for number in algo.busy},
        sides=desk.accounts[algo.account].sides,
        traded=desk.traded,
        positions=desk.positions,
        beside={key: _beside(desk, algo, *key) for key in _reduced(algo)},
    )


def position_of(desk: Desk, terms: AlgoStart) -> Position | None:
    """The open position that an algo's terms name by its id; None where they name none."""
    named = getattr(terms, "position_id", None)
    position = None if named is None else desk.find_position(str(named))
    return position if position is not None and position.sub_account_id == terms.sub_account_id else None


def bereft(desk: Desk, terms: AlgoStart) -> bool:
    """Whether the position that an algo's terms name is no more: paused or not, it has nothing left to do."""
    return getattr(terms, "position_id", None) is not None and position_of(desk, terms) is None


def spent(algo: Algo) -> bool:
    """Whether all that an algo is for is filled, and nothing of it may trade: paused or not, it is over.

    Trap: what only follows a position is for something else as soon as that is; a bracket still has to exit.
    """
    if algo.busy:
        return False
    if isinstance(algo.terms, Basket):
        return not algo.memory["unwinding"] and all(leg.filled >= leg.target for leg in legs_of(algo))
    return isinstance(algo.terms, Chase | Twap) and algo.filled >= algo.target


def _elsewhere(desk: Desk, algo: Algo, place: Place) -> Decimal:
    """What orders of others may still take from a position."""
    held = desk.quantity(place)
    return others_close(desk, algo, place, "SELL" if held > 0 else "BUY") if held else ZERO


def _reduced(algo: Algo) -> set[tuple[Place, str]]:
    """The positions that an algo's orders only reduce, and from which side."""
    parts = [leg.terms for leg in legs_of(algo)] if isinstance(algo.terms, Basket) else [algo.terms]
    return {
        (part.place, part.side)
        for part in parts
        if isinstance(part, Chase | OneOrder | Twap) and part.reduce_only
    }


def _beside(desk: Desk, algo: Algo, place: Place, side: str) -> Decimal:
    """What orders of the account's other algos may still take from a position on a side."""
    taken = ZERO
    for other in desk.algos.by_account.get(algo.account, {}).values():
        for number in other.busy if other is not algo else ():
            order = desk.orders.get(other.slots[number].order_id or "")
            if order is not None and (order.spec.place, order.spec.side) == (place, side):
                taken += leaves_of(desk, other.slots[number])
    return taken


def others_close(desk: Desk, algo: Algo, place: Place, side: str) -> Decimal:
    """What may still trade of a position on a side by orders that are not an algo's own."""
    own = ZERO
    for number in algo.busy:
        order = desk.orders.get(algo.slots[number].order_id or "")
        if order is not None and (order.spec.place, order.spec.side) == (place, side):
            own += leaves_of(desk, algo.slots[number])
    return closing(desk, place, side) - own


def leaves_of(desk: Desk, slot: Slot) -> Decimal:
    """What a slot's order may still trade, known or unknown."""
    order = desk.orders.get(slot.order_id or "")
    return ZERO if order is None else order.leaves
