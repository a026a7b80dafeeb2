"""What may only reduce is never for more than there is to be reduced: whoever shrinks a position sees to it.

An order is judged by its position once, when it is admitted; the exchange sees the net of all accounts and
does not know what the order promised. So where the position becomes less, what of its orders no longer fits
is unwanted from that very entry on, the newest first, as the exchange's own reduce-only orders expire.

    at market, or of a moment      closes by itself, and no cancel meets it: it takes room first
    an algo's                      the algo's to make smaller; it takes room, unless it yields to all others
    wanted cancelled already       counts no more: if it trades all the same, that shrinks the position anew
    not sent yet                   unwanted like any: whoever attends to it closes its send right
    being amended                  counts by the larger of both terms

Plain orders stay, whatever they were for: behind the position they open, and hold margin for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from pms.domain.desk import Desk
from pms.domain.orders import Order
from pms.domain.positions import Position
from pms.domain.posting import Draft
from pms.domain.rows import order_row

ZERO = Decimal(0)
BEYOND = "it may only reduce, and there is less to be reduced"
"""Why its cancel is wanted, in the order's row and its events."""


def fit_to(desk: Desk, draft: Draft, position: Position) -> None:
    """Want those of a position's reduce-only orders cancelled that no longer fit into it."""
    found = desk.reducing.get(position.place)
    if not found:
        return
    for side, room in (("SELL", position.quantity), ("BUY", -position.quantity)):
        orders = [order for order in found.values() if order.spec.side == side]
        _fit(desk, draft, orders, room=max(room, ZERO))


def _fit(desk: Desk, draft: Draft, orders: Iterable[Order], *, room: Decimal) -> None:
    resting = []
    for order in orders:
        algo = desk.algos.every.get(order.spec.parent_id or "")
        conducted = algo is not None and not algo.status.over
        if order.momentary:
            room -= order.leaves
        elif order.cancel_wanted:
            continue
        elif not conducted:
            resting.append(order)
        elif algo is not None and not algo.terms.follows_position:
            room -= order.leaves
    beyond = sum((order.leaves for order in resting), ZERO) - room
    for order in sorted(resting, key=_age, reverse=True):
        if beyond <= 0:
            return
        if not order.leaves:
            continue
        beyond -= order.leaves
        order.want_cancelled(at=draft.at)
        order.reason = BEYOND
        draft.orders[order.spec.client_order_id] = order_row(order)


def _age(order: Order) -> tuple[int, str]:
    return order.spec.admitted_at, order.spec.client_order_id
