"""Find out what became of an order by asking the exchange; never by a timer.

Absence is proven only when the exchange's clock is past the signature's life, and then the order is
found neither among orders nor among algo orders, twice, at least a second apart, and no trade names
it. A transport error is never "not found".
"""

from __future__ import annotations

from dataclasses import dataclass

from pms.binance.client import ExchangeClient, OrderAnswer, UserTrade
from pms.binance.errors import NotFound

PROOF_MARGIN_MS = 3000
NOT_FOUND_APART_MS = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """The exchange has the order; its trades, where it counts more than we have."""

    order: OrderAnswer
    trades: list[UserTrade]


@dataclass(frozen=True, slots=True)
class Absent:
    """Neither an order nor an algo order of this id, at this exchange time."""

    at: int


async def look_up(
    client: ExchangeClient, *, symbol: str, client_order_id: str, booked: object
) -> Found | Absent:
    """Ask for one order by our id; raises whatever the exchange client raises but NotFound."""
    try:
        order = await client.query_order(symbol=symbol, client_order_id=client_order_id)
    except NotFound:
        try:
            await client.query_algo_order(client_algo_id=client_order_id)
        except NotFound:
            return Absent(client.exchange_now_ms())
        raise
    trades: list[UserTrade] = []
    if order.executed_qty != booked:
        trades = await client.user_trades(symbol=symbol, order_id=order.order_id)
    return Found(order, trades)


def proves_absence(*, signed_at: int, recv_window_ms: int, first_absent: int, now_absent: int) -> bool:
    """Whether two absences prove that an order signed then was never executed."""
    dead_from = signed_at + recv_window_ms + PROOF_MARGIN_MS
    return first_absent > dead_from and now_absent - first_absent >= NOT_FOUND_APART_MS
