"""How much a leverage may carry: the exchange's brackets, held against a sub-account's own position.

A position counts with all that its open orders may add, by the worse side, as limits count it; in hedge mode
each side by itself, as the exchange's brackets do. The exchange would judge the net alone, and by a leverage
of its own: what a sub-account borrows is ours to bound.

Trap: the market may carry a position into the next bracket. Nothing is refused for that but what would add to
it, or borrow more: whoever reduces, or asks for less leverage, is never in the wrong.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.codes import Code, Refusal
from pms.contract.money import plain
from pms.domain.brackets import ENDLESS, most_notional, permitted_leverage
from pms.domain.desk import Desk
from pms.domain.instrument import Instrument
from pms.domain.orders import Order
from pms.domain.positions import Position
from pms.domain.stakes import Stake, worst_value

ZERO = Decimal(0)


def check_ordered(desk: Desk, instrument: Instrument, stake: Stake, *, leverage: int, mid: Decimal) -> None:
    """Refuse an order for more than the leverage may carry, or whose leverage what stands is too much for."""
    most = most_notional(instrument.brackets, leverage)
    if most is ENDLESS or not stake.opens:
        return
    value = stake.worst_value(mid)
    if leverage > desk.position(*stake.place).leverage:
        value = max(value, _worst_in(desk, stake.account, stake.symbol))
    if value <= most:
        return
    raise _too_much(instrument, leverage, most, value, f"with every open order {stake.symbol}")


def check_amended(desk: Desk, instrument: Instrument, order: Order, stake: Stake, *, mid: Decimal) -> None:
    """Refuse an amendment for more than the leverage may carry, or that of an order which may say it next."""
    if not (stake.opens and stake.more_worth):
        return
    position = desk.position(*stake.place)
    leverage = position.leverage
    if not position.leverage_set:
        leverage = max(leverage, desk.order_leverages.since(order.spec))
    most = most_notional(instrument.brackets, leverage)
    if most is not ENDLESS and (value := stake.worst_value(mid)) > most:
        raise _too_much(instrument, leverage, most, value, f"with every open order {stake.symbol}")


def check_raised(desk: Desk, account: str, instrument: Instrument, *, leverage: int) -> None:
    """Refuse a leverage above the brackets of what stands in the symbol; less than before never is."""
    positions = desk.positions_in(account, instrument.symbol)
    most = most_notional(instrument.brackets, leverage)
    if most is ENDLESS or leverage <= positions[0].leverage:
        return
    value = _worst_in(desk, account, instrument.symbol)
    if value > most:
        permitted = permitted_leverage(instrument.brackets, value)
        raise Refusal(
            Code.LEVERAGE_BRACKET,
            f"with every open order {instrument.symbol} would be worth {plain(value)}, for which the "
            f"exchange permits leverage up to {permitted}",
            field="leverage",
            limit=permitted,
            actual=leverage,
        )


def check_received(
    desk: Desk,
    instrument: Instrument,
    position: Position,
    *,
    quantity: Decimal,
    price: Decimal,
    leverage: int,
) -> None:
    """Refuse a signed quantity that is handed over where it takes a position beyond its bracket.

    It counts at mid; at `price` where there is no mid.
    """
    after = position.quantity + quantity
    if abs(after) <= abs(position.quantity):
        return
    most = most_notional(instrument.brackets, leverage)
    if most is ENDLESS:
        return
    value = worst_value(desk, position.place, received=quantity, received_at=price)
    if leverage > position.leverage:
        value = max(value, _worst_in(desk, position.sub_account_id, instrument.symbol))
    if value > most:
        raise _too_much(instrument, leverage, most, value, f"{position.sub_account_id}'s {position.symbol}")


def _worst_in(desk: Desk, account: str, symbol: str) -> Decimal:
    return max(worst_value(desk, position.place) for position in desk.positions_in(account, symbol))


def _too_much(instrument: Instrument, leverage: int, most: Decimal, value: Decimal, what: str) -> Refusal:
    permitted = permitted_leverage(instrument.brackets, value)
    otherwise = f"; up to {permitted} may carry it" if permitted else ""
    return Refusal(
        Code.LEVERAGE_BRACKET,
        f"{what} would be worth {plain(value)}; a leverage of {leverage} may carry {plain(most)} at the "
        f"exchange{otherwise}",
        field="quantity",
        limit=plain(most),
        actual=plain(value),
    )
