"""The exchange fills an admitted order: what tests of positions and margin need between two commands."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from pms.contract.journal import OrderRow
from pms.domain.booking import Trade, book, observe
from pms.domain.desk import Desk
from pms.domain.orders import Seen
from pms.domain.posting import Posting

D = Decimal


def fill(
    desk: Desk,
    posting: Posting,
    *,
    price: str,
    quantity: str | None = None,
    paid: str = "0",
    asset: str = "USDT",
    at: int = 2000,
) -> Posting:
    """Fill the first order of an admission, all of it unless told otherwise; `paid` is the commission."""
    row = posting.entry.rows.orders[0]
    order = desk.orders[row.client_order_id]
    number = order.exchange_order_id or desk.last_seq
    if order.exchange_order_id is None:
        observe(desk, order, Seen(number, "NEW", D(0)), at=2000)
    traded = row.quantity if quantity is None else D(quantity)
    word = "FILLED" if order.filled_qty + traded >= order.quantity else "PARTIALLY_FILLED"
    trade = trade_of(row, number, trade_id=desk.last_seq, quantity=traded, price=D(price), paid=D(paid))
    trade = replace(trade, commission_asset=asset, at=at)
    booked = book(desk, trade, fact=Seen(number, word, order.filled_qty + traded))
    assert booked is not None
    return booked


def trade_of(
    row: OrderRow, number: int, *, trade_id: int, quantity: Decimal, price: Decimal, paid: Decimal
) -> Trade:
    """One trade of an order as the feed tells it; what the exchange paid on the net is left to the caller."""
    return Trade(
        symbol=row.symbol,
        exchange_order_id=number,
        trade_id=trade_id,
        client_order_id=row.client_order_id,
        side=row.side,
        price=price,
        quantity=quantity,
        commission=paid,
        commission_asset="USDT",
        realized_pnl=D(0),
        maker=False,
        at=2000,
    )
