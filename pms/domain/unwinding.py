"""Unwinding: the house closes what it took over, its net in each symbol, one order at a time.

What is left stands in `Desk.unwinds`, journaled with each takeover and with each fill of the house's own
orders: so a restart goes on from what is proven, and an order whose outcome is unknown blocks the next.

Trap: only what was taken over is unwound, not what else the house holds: hand-placed orders, foreign ones.
"""

from __future__ import annotations

import base64
import hashlib
from decimal import Decimal

from pms.contract.names import HOUSE
from pms.domain.desk import Desk
from pms.domain.instrument import Instrument
from pms.domain.orders import Order, OrderSpec
from pms.domain.posting import Posting
from pms.domain.rows import order_row

ORIGIN = "LIQUIDATION"
LIVES_MS = 5_000
"""The deadline of one order: what was not sent by then is void, and the next one takes its place."""


def unwind(desk: Desk, symbol: str, *, now: int, most_notional: Decimal | None = None) -> Posting | None:
    """The house's next order in a symbol; None while one lives, or what is left is below the symbol's least.

    `most_notional` bounds one order; None leaves it to the exchange's own largest.
    """
    left = desk.unwinds.get(symbol)
    instrument, top = desk.instruments.get(symbol), desk.tops.get(symbol)
    if not left or instrument is None or top is None or instrument.status != "TRADING":
        return None
    if desk.orders_of(HOUSE, symbol):
        return None
    side = "SELL" if left > 0 else "BUY"
    price = top.bid if left > 0 else top.ask
    quantity = _quantity(instrument, abs(left), price=price, most_notional=most_notional)
    if not quantity:
        return None
    order = _order(desk, symbol, side, quantity, now=now)
    desk.add_order(order)
    draft = desk.draft("unwind", at=now)
    draft.orders[order.spec.client_order_id] = order_row(order)
    return Posting(entry=desk.sealed(draft).entry())


def _quantity(
    instrument: Instrument, left: Decimal, *, price: Decimal, most_notional: Decimal | None
) -> Decimal:
    """What one market order may be for; zero for dust, which waits until more is taken over."""
    most = min(left, instrument.market_max_quantity or left)
    if most_notional is not None:
        most = min(most, most_notional / price)
    quantity = instrument.floor_quantity(most, market=True)
    return quantity if quantity * price >= instrument.min_notional else Decimal(0)


def _order(desk: Desk, symbol: str, side: str, quantity: Decimal, *, now: int) -> Order:
    spec = OrderSpec(
        client_order_id=_order_id(symbol, desk.last_seq),
        sub_account_id=HOUSE,
        symbol=symbol,
        side=side,
        type="MARKET",
        quantity=quantity,
        price=None,
        time_in_force=None,
        reduce_only=False,
        leverage=desk.position(HOUSE, symbol).leverage,
        origin=ORIGIN,
        parent_id=None,
        request_id=None,
        epoch=desk.epoch,
        deadline=now + LIVES_MS,
        admitted_at=now,
    )
    return Order(spec=spec, quantity=quantity, price=None, updated_at=now)


def _order_id(symbol: str, seq: int) -> str:
    """`PMS_house_L_{parent}`: the parent names the entry that the order follows, so it never comes twice."""
    digest = hashlib.blake2b(f"unwind:{symbol}:{seq}".encode(), digest_size=15).digest()
    return f"PMS_{HOUSE}_L_{base64.urlsafe_b64encode(digest).decode()}"
