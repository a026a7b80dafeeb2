"""The account's trades in a symbol, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pms.binance.client import ExchangeClient, UserTrade
from pms.binance.windows import Lane

TRADES_PAGE = 1000


async def trade_pages(
    client: ExchangeClient, symbol: str, *, after: int, lane: Lane = "query"
) -> AsyncIterator[list[UserTrade]]:
    """The trades behind an id, ascending; raises what REST raises.

    Trap: two orders of the account that meet are two rows of one id, and a full page may end between them:
    its last id is left to the next.
    """
    while True:
        page = await client.user_trades(symbol=symbol, from_id=after + 1, limit=TRADES_PAGE, lane=lane)
        if len(page) < TRADES_PAGE:
            yield page
            return
        last = page[-1].id
        yield [row for row in page if row.id < last]
        after = last - 1
