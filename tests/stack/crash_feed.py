"""The market as one beside the streamer hears it: the same streams, on connections of one's own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any

import aiohttp
from crash_tape import Mark, Tape, Tick

from pms.binance.book import BookState, LocalBook
from pms.binance.frames import decode_market
from pms.binance.market_messages import DepthUpdate, MarkPrice

SNAPSHOT_TRIES = 50


class CrashFeed:
    """Records each diff's best prices and each mark. Trap: a gap ends it, for its tape would not be whole."""

    def __init__(self, http: aiohttp.ClientSession, url: str, symbols: Sequence[str]) -> None:
        self._http, self._url = http, url
        self._books = {symbol: LocalBook(symbol) for symbol in symbols}
        self._tasks: list[asyncio.Task[None]] = []
        self.ticks: list[Tick] = []
        self.marks: list[Mark] = []

    async def __aenter__(self) -> CrashFeed:
        for route, kind, take in (
            ("public", "depth@100ms", self._depth),
            ("market", "markPrice@1s", self._mark),
        ):
            streams = "/".join(f"{symbol.lower()}@{kind}" for symbol in self._books)
            socket = await self._http.ws_connect(
                f"{self._url}/{route}/stream?streams={streams}", max_msg_size=0
            )
            self._tasks.append(asyncio.create_task(self._read(socket, take)))
        for symbol, book in self._books.items():
            await self._sync(symbol, book)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception) and error is None:
                raise outcome

    def tape(self, *, slack_ms: int) -> Tape:
        """What was recorded so far."""
        return Tape(list(self.ticks), list(self.marks), slack_ms)

    async def _sync(self, symbol: str, book: LocalBook) -> None:
        for _ in range(SNAPSHOT_TRIES):
            async with self._http.get(f"{self._url}/fapi/v1/depth?symbol={symbol}&limit=1000") as response:
                answer: dict[str, Any] = await response.json()
            book.snapshot(answer["lastUpdateId"], answer["bids"], answer["asks"])
            for _ in range(20):
                if book.state is BookState.LIVE:
                    return
                await asyncio.sleep(0.05)
        raise AssertionError(f"no snapshot of {symbol} fits its diffs")

    async def _read(self, socket: aiohttp.ClientWebSocketResponse, take: Any) -> None:
        async for message in socket:
            take(decode_market(message.data.encode()))
        raise AssertionError("the venue closed the recorder's connection: the tape is not whole")

    def _depth(self, update: object) -> None:
        assert isinstance(update, DepthUpdate)
        book = self._books[update.symbol]
        best = book.apply(update)
        assert book.state is not BookState.GAP, f"the tape of {update.symbol} is not whole"
        if book.state is BookState.LIVE:
            bid, ask = (None, None) if best is None else (Decimal(best.bid), Decimal(best.ask))
            self.ticks.append(Tick(update.symbol, update.time, bid, ask))

    def _mark(self, update: object) -> None:
        assert isinstance(update, MarkPrice)
        self.marks.append(Mark(update.symbol, update.event_time, update.mark))
