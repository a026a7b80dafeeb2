"""Market data: one local book per followed symbol, and its best bid and ask to whoever wants them.

A gap resyncs that symbol alone. A symbol out of sync has no price: the desk forgets its top, the
price key is left to expire, and admission refuses rather than guesses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.binance.book import L1, BookState, LocalBook
from pms.binance.client import ExchangeClient
from pms.binance.errors import ExchangeError
from pms.binance.frames import DepthUpdate, FrameError, decode_market
from pms.binance.streams import MarketStream
from pms.contract import names
from pms.contract.events import Price
from pms.contract.money import encode
from pms.domain.desk import Desk, Top
from pms.streamer.mailbox import Mailbox

log = structlog.get_logger()
PUBLISH_EVERY_S = 0.1
REFRESH_EVERY_S = 5.0
FOLLOW_PATIENCE_S = 2.0


@dataclass(slots=True)
class Followed:
    """One symbol being followed."""

    book: LocalBook
    mailbox: Mailbox[Top]
    best: L1 | None = None
    told: Top | None = None
    syncing: asyncio.Task[None] | None = None
    waiting: list[Callable[[], None]] = field(default_factory=list)
    consumers: list[Mailbox[Top]] = field(default_factory=list)


class MarketData:
    """The books of all followed symbols."""

    def __init__(
        self,
        desk: Desk,
        client: ExchangeClient,
        redis: Redis,
        *,
        now_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        prepare: Callable[[str], Awaitable[None]],
    ) -> None:
        self._desk = desk
        self._client = client
        self._redis: Any = redis
        self._now_ms = now_ms
        self._sleep = sleep
        self._prepare = prepare
        self._followed: dict[str, Followed] = {}
        self._publishers: set[asyncio.Task[None]] = set()
        self.stream: MarketStream
        self.bad_frames = 0
        self.resyncs = 0

    def follow(self, symbol: str) -> Followed:
        """Begin to follow a symbol; once is enough."""
        known = self._followed.get(symbol)
        if known is not None:
            return known
        followed = self._followed[symbol] = Followed(LocalBook(symbol), Mailbox())
        followed.consumers.append(followed.mailbox)
        self.stream.subscribe([f"{symbol.lower()}@depth@100ms"])
        self._spawn(self._publish(symbol, followed))
        self._resync(symbol, followed)
        return followed

    def follow_for(self, symbol: str, then: Callable[[], None]) -> bool:
        """Follow a symbol for a command that waits; False if it need not, or would wait in vain."""
        if symbol in self._desk.tops or symbol not in self._desk.instruments:
            return False
        followed = self.follow(symbol)
        followed.waiting.append(then)
        self._spawn(self._give_up_waiting(followed, then))
        return True

    def mailbox(self, symbol: str) -> Mailbox[Top]:
        """A mailbox of one's own for a symbol's ticks."""
        box: Mailbox[Top] = Mailbox()
        self.follow(symbol).consumers.append(box)
        return box

    def frame(self, raw: bytes) -> None:
        """Take one frame of the market stream; a malformed one is counted and skipped."""
        try:
            update = decode_market(raw)
        except FrameError as error:
            self.bad_frames += 1
            log.warning("bad_market_frame", error=str(error))
            return
        if not isinstance(update, DepthUpdate):
            return
        followed = self._followed.get(update.symbol)
        if followed is None:
            return
        best = followed.book.apply(update)
        if best is not None:
            self._tell(update.symbol, followed, best, at=update.time)
        elif followed.book.state is BookState.GAP:
            self._lost(update.symbol, followed)
        elif followed.book.state is BookState.LIVE:
            # One side is empty: the price before is true no more.
            self._desk.tops.pop(update.symbol, None)

    def disconnected(self) -> None:
        """The stream is down: no symbol has a price until its book is built anew."""
        for symbol, followed in self._followed.items():
            self._desk.tops.pop(symbol, None)
            followed.book.reset()

    def connected(self) -> None:
        """The stream is back: build every book anew."""
        for symbol, followed in self._followed.items():
            self._resync(symbol, followed)

    def close(self) -> None:
        """Stop publishing and syncing."""
        for task in self._publishers:
            task.cancel()

    def expire_stale(self) -> None:
        """Forget the tops of symbols when the whole feed is silent."""
        self._desk.tops.clear()

    def _tell(self, symbol: str, followed: Followed, best: L1, *, at: int) -> None:
        before = followed.told
        if best is followed.best and before is not None:
            told = Top(before.bid, before.bid_qty, before.ask, before.ask_qty, at)
        else:
            told = Top(Decimal(best.bid), Decimal(best.bid_qty), Decimal(best.ask), Decimal(best.ask_qty), at)
        followed.best, followed.told = best, told
        self._desk.tops[symbol] = told
        for box in followed.consumers:
            box.put(told)
        if followed.waiting:
            waiting, followed.waiting = followed.waiting, []
            for then in waiting:
                then()

    def _lost(self, symbol: str, followed: Followed) -> None:
        self.resyncs += 1
        self._desk.tops.pop(symbol, None)
        log.warning("book_gap", symbol=symbol)
        self._resync(symbol, followed)

    def _resync(self, symbol: str, followed: Followed) -> None:
        if followed.syncing is None or followed.syncing.done():
            followed.syncing = self._spawn(self._sync(symbol, followed))

    async def _sync(self, symbol: str, followed: Followed) -> None:
        """Fetch snapshots until one fits the events; a newer one is kept by the book until they reach it."""
        delay = 0.05
        await self._prepare(symbol)
        while not _live(followed.book):
            await self._sleep(delay)
            delay = min(delay * 2, 3.0)
            try:
                snapshot = await self._client.depth(symbol, limit=1000)
            except ExchangeError as error:
                log.warning("snapshot_failed", symbol=symbol, error=str(error))
                continue
            if _live(followed.book):
                # The snapshot before fitted meanwhile; this one would set the book ahead of its events.
                return
            best = followed.book.snapshot(snapshot.last_update_id, snapshot.bids, snapshot.asks)
            if best is not None:
                self._tell(symbol, followed, best, at=self._now_ms())

    async def _publish(self, symbol: str, followed: Followed) -> None:
        """Write the price key: at most ten times a second, at least every five seconds while in sync."""
        while True:
            try:
                async with asyncio.timeout(REFRESH_EVERY_S):
                    top = await followed.mailbox.take()
            except TimeoutError:
                known = self._desk.tops.get(symbol)
                if known is None:
                    continue
                top = known
            price = Price(bid=top.bid, ask=top.ask, mid=top.mid, ts=top.at)
            try:
                await self._redis.set(names.price_key(symbol), encode(price), ex=names.CACHE_TTL_S)
            except (RedisError, OSError) as error:
                log.warning("price_not_written", symbol=symbol, error=str(error))
            await self._sleep(PUBLISH_EVERY_S)

    async def _give_up_waiting(self, followed: Followed, then: Callable[[], None]) -> None:
        """One command has waited long enough; it is decided without a price."""
        await self._sleep(FOLLOW_PATIENCE_S)
        if then in followed.waiting:
            followed.waiting.remove(then)
            then()

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._publishers.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._publishers.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("market_task_died", error=repr(task.exception()))


def _live(book: LocalBook) -> bool:
    return book.state is BookState.LIVE
