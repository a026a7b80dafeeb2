"""The volume of a symbol by the minute, read from the exchange: of its last days, and since a time.

All of it in the background lane of the rate budget; ten of weight for each day and a little more.
"""

from __future__ import annotations

from decimal import Decimal

from pms.binance.client import ExchangeClient

MINUTE_MS = 60_000
DAY_MS = 1_440 * MINUTE_MS
MOST_BARS = 1_500
"""Of one answer."""


async def traded_since(client: ExchangeClient, symbol: str, start: int) -> list[tuple[int, Decimal]]:
    """The 1-minute bars from a time on, the one that is not over included; raises ExchangeError."""
    missing = (client.exchange_now_ms() - start) // MINUTE_MS + 2
    found: list[tuple[int, Decimal]] = []
    while missing > 0:
        limit = min(missing, MOST_BARS)
        page = await client.klines(symbol, "1m", start=start, limit=limit)
        fresh = [(bar.open_time, bar.volume) for bar in page if bar.open_time >= start]
        found += fresh
        if len(page) < limit or not fresh:
            break
        start, missing = fresh[-1][0] + MINUTE_MS, missing - limit
    return found


async def volume_history(client: ExchangeClient, symbol: str, *, days: int) -> list[tuple[int, Decimal]]:
    """When each finished 1-minute bar opened and what traded in it, ascending; raises ExchangeError.

    A young symbol has fewer: what the exchange has is all there is.
    """
    now = client.exchange_now_ms()
    start = now - now % MINUTE_MS - days * DAY_MS
    found: list[tuple[int, Decimal]] = []
    while start + MINUTE_MS <= now:
        page = await client.klines(symbol, "1m", start=start, limit=MOST_BARS)
        fresh = [(bar.open_time, bar.volume) for bar in page if start <= bar.open_time]
        found += [(opened, volume) for opened, volume in fresh if opened + MINUTE_MS <= now]
        if len(page) < MOST_BARS or not fresh:
            break
        start = fresh[-1][0] + MINUTE_MS
    return found
