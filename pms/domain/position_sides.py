"""Position sides: which of a sub-account's positions an order is for, and which one a trade moves.

In one-way mode there is one position a symbol, BOTH. In hedge mode there are two, and each order says for
which it is. One that takes from it, SELL for the LONG or BUY for the SHORT, only ever reduces: it is judged
as `reduceOnly`, so that the long is never below zero nor the short above. Only our books know of this; the
exchange account stays one-way and netted.

A trade has happened, whatever the books expected, and all of it is booked to whoever owns the order. What
exceeds the position that it should reduce opens the other one: it is what the account then owns.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from pms.contract.codes import Code, Refusal
from pms.contract.commands import Trade
from pms.contract.money import plain
from pms.contract.names import BOTH, LONG, SHORT
from pms.domain.algos.ids import names_slot
from pms.domain.desk import Desk
from pms.domain.orders import Order
from pms.domain.positions import Position
from pms.domain.sub_accounts import SubAccount

ZERO = Decimal(0)
OTHER = {LONG: SHORT, SHORT: LONG}


def sided(account: SubAccount, command: Trade) -> Trade:
    """The trade with its position side, and with `reduceOnly` where the side says as much."""
    side = side_for(account, command.position_side)
    reduces = command.reduce_only or takes_from(side, command.side)
    return command.model_copy(update={"position_side": side, "reduce_only": reduces})


def takes_from(position_side: str | None, side: str) -> bool:
    """Whether an order of a side can only take from the position that it is for, whatever that holds."""
    return (position_side, side) in {(LONG, "SELL"), (SHORT, "BUY")}


def side_for(account: SubAccount, asked: str | None) -> str:
    """The position side that a command means; raises Refusal where it is not one of the account's mode."""
    sides = account.sides
    if asked in sides or (asked is None and not account.hedge):
        return asked or BOTH
    mode = "hedge" if account.hedge else "one-way"
    raise Refusal(
        Code.POSITION_SIDE,
        f"{account.id} is in {mode} mode: positionSide is {' or '.join(sides)}",
        field="positionSide",
        limit=" or ".join(sides),
        actual=asked or "nothing",
    )


def side_held(desk: Desk, account: str, symbol: str, quantity: Decimal) -> str:
    """The side that a signed quantity is for where nobody said: it reduces first, and opens if it cannot."""
    if not desk.accounts[account].hedge:
        return BOTH
    opens = LONG if quantity > 0 else SHORT
    return OTHER[opens] if desk.holds((account, symbol, OTHER[opens])) else opens


def take_side(desk: Desk, order: Order, quantity: Decimal) -> None:
    """Ask anew which side a plain order is for that was adopted without anybody's word on it, and had traded.

    Trap: behind a start orders are adopted before the trades of older ones are booked, so that the exit of a
    position which is not read yet would open the other one. What trades later is not asked for anew: what it
    finds may have been opened since. Nor is an algo's order, which its algo counts once it is begun again.
    `quantity` is signed.
    """
    spec = order.spec
    asked_for = spec.request_id or spec.parent_id or spec.deadline or names_slot(spec.client_order_id)
    had_traded = order.venue_filled and not order.filled_qty
    if asked_for or not had_traded or not desk.accounts[spec.sub_account_id].hedge:
        return
    side = side_held(desk, spec.sub_account_id, spec.symbol, quantity)
    if side != spec.position_side:
        desk.release(order)
        order.spec = replace(spec, position_side=side)
        desk.reserve(order)


def parts_of(
    desk: Desk, account: str, symbol: str, asked: str | None, quantity: Decimal
) -> list[tuple[Position, Decimal]]:
    """The positions that a trade moves, each by its part; the first is the one that it is booked to.

    Trap: the mode may be another than when the order was admitted, if it traded after it was over.
    """
    side = asked if asked in desk.accounts[account].sides else side_held(desk, account, symbol, quantity)
    if side is None or side == BOTH or (side == LONG) == (quantity > 0):
        return [(desk.position(account, symbol, side or BOTH), quantity)]
    position, other = desk.position(account, symbol, side), desk.position(account, symbol, OTHER[side])
    if not position.quantity:
        return [(other, quantity)]
    part = min(abs(quantity), abs(position.quantity)).copy_sign(quantity)
    rest = quantity - part
    return [(position, part), *([(other, rest)] if rest else [])]


def check_side(position: Position, change: Decimal) -> None:
    """Refuse what would carry a hedged position beyond zero."""
    after = position.quantity + change
    if (position.position_side == LONG and after < 0) or (position.position_side == SHORT and after > 0):
        raise Refusal(
            Code.QUANTITY_MAX,
            f"{position.sub_account_id}'s {position.position_side} in {position.symbol} is "
            f"{plain(position.quantity)}",
            field="quantity",
            limit=plain(position.quantity),
            actual=plain(change),
        )
