"""What an order would put at stake: the position of its sub-account if every open order of its side trades.

An order only ever adds to its own side, so that side alone is judged. What the orders of one side together
do no more than close opens nothing, whatever they say of themselves: no limit that bounds risk refuses it.

By value an open order counts at its own price or at mid, whichever is more: so its fill makes nothing worth
more than it was admitted for.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from pms.contract.commands import Trade
from pms.domain.desk import Desk
from pms.domain.orders import Order
from pms.domain.pending import beyond
from pms.domain.positions import Place

ZERO = Decimal(0)


@dataclass(slots=True)
class Stake:
    """An order that is asked for, or an amendment of one, as limits judge it."""

    account: str
    symbol: str
    position_side: str
    side: str
    type: str
    quantity: Decimal
    #: of the whole order
    price: Decimal | None
    at: Decimal
    #: the price that it is valued at
    momentary: bool
    held: Decimal
    #: the position, positive if the order adds to it
    pending: Decimal
    #: what the side's orders may trade, this one included
    pending_value: Decimal
    worst_quantity: Decimal
    #: the position if all of this side trades; not above zero where that only reduces
    opens: bool
    #: more than what closes the position is asked for
    more_quantity: bool = True
    more_value: bool = True
    more_worth: bool = True
    #: by the order's price, and by mid; an amendment may ask for less, which no limit refuses
    _worst: tuple[Decimal, Decimal] | None = None
    #: the mid that it was valued at last, and its value: several limits ask for the same

    @property
    def place(self) -> Place:
        """The position that it is for."""
        return self.account, self.symbol, self.position_side

    def worst_value(self, mid: Decimal) -> Decimal:
        """The position by value if all of this side trades."""
        if self._worst is None or self._worst[0] != mid:
            value = max(self.pending_value, self.pending * mid)
            worth = self.held * mid + value if self.held > 0 else beyond(self.pending, value, -self.held)
            self._worst = mid, worth
        return self._worst[1]


def stake_of(
    desk: Desk, command: Trade, *, quantity: Decimal, price: Decimal | None, at: Decimal, momentary: bool
) -> Stake:
    """A new order's; `at` is the price that it is valued at."""
    held, pending, value = _side(desk, command.place, command.side)
    pending += quantity
    worst = held + pending
    return Stake(
        account=command.sub_account_id,
        symbol=command.symbol,
        position_side=command.place[2],
        side=command.side,
        type=command.type,
        quantity=quantity,
        price=price,
        at=at,
        momentary=momentary,
        held=held,
        pending=pending,
        pending_value=value + quantity * at,
        worst_quantity=worst,
        opens=worst > 0,
    )


def amended_stake(
    desk: Desk, order: Order, *, total: Decimal, price: Decimal, mid: Decimal, asks_more: bool
) -> Stake:
    """An amendment's: until it is over the order may trade on either terms, so the larger counts."""
    spec = order.spec
    held, pending, value = _side(desk, spec.place, spec.side)
    _, old_leaves, old_value = desk.reserved[spec.client_order_id]
    leaves = total - order.filled_qty
    pending += max(leaves - old_leaves, ZERO)
    worst = held + pending
    return Stake(
        account=spec.sub_account_id,
        symbol=spec.symbol,
        position_side=spec.position_side,
        side=spec.side,
        type=spec.type,
        quantity=total,
        price=price,
        at=price,
        momentary=order.momentary,
        held=held,
        pending=pending,
        pending_value=value + max(leaves * price - old_value, ZERO),
        worst_quantity=worst,
        opens=asks_more and worst > 0,
        more_quantity=leaves > old_leaves,
        more_value=leaves * price > old_value,
        more_worth=leaves * max(price, mid) > max(old_value, old_leaves * mid),
    )


def worst_value(
    desk: Desk, place: Place, *, received: Decimal = ZERO, received_at: Decimal = ZERO
) -> Decimal:
    """What a position could be worth, by the worse side of its orders; with a signed quantity received.

    Where there is no price, positions count at cost and orders at their own.
    """
    account, symbol, position_side = place
    position, top = desk.position(*place), desk.tops.get(symbol)
    mid = ZERO if top is None else top.mid
    quantity = position.quantity + received
    worth = abs(position.cost + received * received_at if top is None else quantity * mid)
    pending = desk.pending.get(account, {}).get((symbol, position_side))
    if pending is None:
        return worth
    buys = max(pending.buy_notional, pending.buy_qty * mid)
    sells = max(pending.sell_notional, pending.sell_qty * mid)
    if quantity > 0:
        return max(worth + buys, beyond(pending.sell_qty, sells, quantity))
    return max(worth + sells, beyond(pending.buy_qty, buys, -quantity))


def places_of(desk: Desk, account: str) -> Collection[tuple[str, str]]:
    """Where a sub-account holds or may come to hold anything, by symbol and side; both sides count."""
    held, pending = desk.held.get(account), desk.pending.get(account)
    return held.keys() | pending.keys() if held and pending else (held or pending or {}).keys()


def _side(desk: Desk, place: Place, side: str) -> tuple[Decimal, Decimal, Decimal]:
    """The position as the side sees it, and what its live orders may trade and are worth."""
    account, symbol, position_side = place
    quantity = desk.quantity(place)
    pending = desk.pending.get(account, {}).get((symbol, position_side))
    if side == "BUY":
        return (quantity, pending.buy_qty, pending.buy_notional) if pending else (quantity, ZERO, ZERO)
    return (-quantity, pending.sell_qty, pending.sell_notional) if pending else (-quantity, ZERO, ZERO)
