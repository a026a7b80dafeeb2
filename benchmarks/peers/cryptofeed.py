"""cryptofeed 1.9: its BinanceFutures feed, handed each message as its socket would; it checks `pu` itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from cryptofeed.defines import ASK, BID, BINANCE_FUTURES, L2_BOOK
from cryptofeed.exchanges import BinanceFutures
from cryptofeed.symbols import Symbols

from benchmarks.peers.rounds import Start, serve


class Rest:
    """Answers the one request that the feed makes when it has no book; another means that it lost it."""

    def __init__(self, start: Start) -> None:
        self._answers = [
            json.dumps({"lastUpdateId": start.last_update_id, "bids": start.bids, "asks": start.asks})
        ]

    async def read(self, address: str) -> str:
        return self._answers.pop()


def follow(frames: list[bytes], start: Start) -> list[tuple[Any, Any]]:
    return asyncio.run(_follow(frames, start))


async def _follow(frames: list[bytes], start: Start) -> list[tuple[Any, Any]]:
    tops: list[tuple[Any, Any]] = []

    async def told(book: Any, **_: Any) -> None:
        tops.append((book[BID].peekitem(-1)[0], book[ASK].peekitem(0)[0]))

    Symbols.set(BINANCE_FUTURES, {"BTC-USDT-PERP": "BTCUSDT"}, {})  # spares it the request for symbols
    feed = BinanceFutures(callbacks={L2_BOOK: told})
    feed.http_conn = Rest(start)
    for frame in frames:
        await feed.message_handler(frame.decode(), None, 0.0)
    return tops


if __name__ == "__main__":
    serve(follow)
