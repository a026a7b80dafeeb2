"""What rests makes way for an exit that closes at market: a stop that fired, or a layer that lost too much.

    another's rests                its cancel is wanted, the furthest from the market first, to free enough
    it is wanted cancelled         it counts in full until the exchange has said that it is over
    another's trades at market     waited for: it closes the same position, and is over by itself
    no other's is left             what the position holds is closed; if that is nothing, admission says so

The exit takes at once what nobody else may trade, and the rest with each word that comes. So all that may
close a position is never for more than is held, however late a cancel is. Two exits at once wait for no
order but those that end by themselves, so never for each other.

Plain orders make way like reduce-only ones: they were admitted without margin, as what takes from a position,
and behind the exit they would open the opposite.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from pms.contract.names import BOTH
from pms.domain.algos.algo import ZERO, Slot
from pms.domain.algos.children import Turn, trade_of
from pms.domain.algos.machine import Want
from pms.domain.algos.viewing import others_close
from pms.domain.checks import check_open, closing, fresh_top, listed, touch
from pms.domain.halts import refuse_halted
from pms.domain.limit_checks import check_state
from pms.domain.orders import Order
from pms.domain.positions import Place
from pms.domain.rows import order_row
from pms.domain.siblings import apart

ALL_TAKEN = "other orders already close all of the position"
MAKING_WAY = "waits for the end of resting orders that make way for it"
MAKES_WAY = "makes way for"
"""How the reason begins of an order whose cancel is wanted for an exit."""


def clear(turn: Turn, slot: Slot, want: Want) -> Decimal:
    """How much an exit may be for now; what rests in its way is unwanted from here on.

    Raises Refusal while nothing could be placed: then nobody makes way for it either.
    """
    desk, account = turn.desk, turn.algo.account
    check_open(turn.asked)
    refuse_halted(desk, account, reduce_only=True)
    instrument, top = listed(desk, slot.symbol), fresh_top(desk, slot.symbol)
    check_state(desk, account, slot.symbol, side=slot.side, opens=False)
    apart(desk, instrument, trade_of(turn.algo, slot, want, quantity=want.quantity), price=None, top=top)
    place = account, slot.symbol, want.position_side or BOTH
    others = others_close(desk, turn.algo, place, slot.side)
    held = desk.quantity(place) if slot.side == "SELL" else -desk.quantity(place)
    # Below zero where plain orders are for more than is held: nothing is free before all of that is gone.
    spare = held - closing(desk, place, slot.side)
    if spare >= want.quantity:
        return want.quantity
    free = max(spare, ZERO)
    if not others:
        return free or want.quantity
    going = _make_way(turn, place, slot.side, missing=want.quantity - spare)
    if free * touch(top, slot.side) < instrument.min_notional:
        # Too little by itself, and more is to come free: an order that is refused now would hold that up.
        slot.note, free = MAKING_WAY if going else ALL_TAKEN, ZERO
    return free


def made_way(order: Order) -> bool:
    """Whether an order's cancel was wanted for an exit."""
    return order.cancel_wanted and (order.reason or "").startswith(MAKES_WAY)


def _make_way(turn: Turn, place: Place, side: str, *, missing: Decimal) -> bool:
    """Want resting orders cancelled until as much comes free as is missing; whether any is on its way out."""
    algo, (account, symbol, _) = turn.algo, place
    resting = [
        order
        for order in turn.desk.orders_of(account, symbol)
        if (order.spec.place, order.spec.side) == (place, side)
        and order.spec.parent_id != algo.id
        and not order.momentary
    ]
    going = sum((order.leaves for order in resting if order.cancel_wanted), ZERO)
    for order in _furthest_first((each for each in resting if not each.cancel_wanted), side):
        if going >= missing:
            break
        going += order.leaves
        turn.cleared[order.spec.client_order_id] = order.reason
        order.want_cancelled(at=turn.asked.now)
        order.reason = f"{MAKES_WAY} {algo.kind} {algo.id}, which closes at market"
        turn.draft.orders[order.spec.client_order_id] = order_row(order)
    return going > 0


def _furthest_first(orders: Iterable[Order], side: str) -> list[Order]:
    """Those that are least likely to close anything first; of one price the newest."""
    sign = -1 if side == "SELL" else 1
    return sorted(orders, key=lambda order: (sign * (order.price or ZERO), -order.spec.admitted_at))
