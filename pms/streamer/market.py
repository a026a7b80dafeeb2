"""Market data: one local book per followed symbol, and its best bid and ask to whoever wants them.

A gap resyncs that symbol alone. A symbol out of sync has no price: the desk forgets its top, the
price key is left to expire, and admission refuses rather than guesses. A symbol that is silent while
the connection is lively is compared with a snapshot: a quiet market is proven, a dead stream is
subscribed anew, and no other symbol notices. One that does not trade has no diffs: its book waits
with the one snapshot that it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.binance.answers import DepthSnapshot
from pms.binance.book import L1, BookState, LocalBook
from pms.binance.client import ExchangeClient
from pms.binance.errors import ExchangeError, Refused
from pms.binance.frames import DepthUpdate, FrameError, decode_market
from pms.binance.streams import MarketStream
from pms.contract import names
from pms.contract.events import Price
from pms.contract.money import encode
from pms.domain.desk import Desk, Top
from pms.streamer.feed_lag import FeedLag
from pms.streamer.mailbox import Mailbox

log = structlog.get_logger()
PUBLISH_EVERY_S = 0.1
REFRESH_EVERY_S = 5.0
FOLLOW_PATIENCE_S = 2.0
WATCH_EVERY_S = 2.0
SILENT_MS = 10_000
SNAPSHOT_AGAIN_S = 3.0
REFUSED_AGAIN_S = 60.0
"""A symbol that the exchange does not know is not known soon after, and each answer has its weight."""

LATE_S = 1.0
"""A diff that the snapshot already knows is on its way for at most so long."""


@dataclass(slots=True)
class Followed:
    """One symbol being followed."""

    book: LocalBook
    mailbox: Mailbox[Top]
    best: L1 | None = None
    told: Top | None = None
    heard_at: int = 0
    #: our clock, ms: a diff came, or a snapshot showed that there was none
    said_at: int = 0
    #: the exchange's time of the last diff
    syncing: asyncio.Task[Any] | None = None
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
        spawn: Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[Any]],
    ) -> None:
        self._desk = desk
        self._client = client
        self._redis: Any = redis
        self._now_ms = now_ms
        self._sleep = sleep
        self._prepare = prepare
        self._followed: dict[str, Followed] = {}
        self._spawn_task = spawn
        self._publishers: set[asyncio.Task[Any]] = set()
        self.stream: MarketStream
        self.followed: Callable[[str], None] = _nobody
        #: a symbol is followed from now on
        self.ticked: Callable[[str], None] = _nobody
        #: a symbol's price was told, whether it moved or not
        self.moved: Callable[[str], None] = _nobody
        #: its best bid or ask is another than before, or known again; `ticked` was told first
        self.lag = FeedLag(client.exchange_now_ms)
        self.bad_frames = 0
        self.resyncs = 0
        self.silences = 0

    def follow(self, symbol: str) -> Followed:
        """Begin to follow a symbol; once is enough."""
        known = self._followed.get(symbol)
        if known is not None:
            return known
        followed = Followed(LocalBook(symbol), Mailbox(), heard_at=self._now_ms())
        self._followed[symbol] = followed
        followed.consumers.append(followed.mailbox)
        self.stream.subscribe([_stream(symbol)])
        self.followed(symbol)
        self._spawn(self._publish(symbol, followed))
        self._resync(symbol, followed)
        return followed

    def follow_for(self, symbol: str, then: Callable[[], None]) -> bool:
        """Follow a symbol for a command that waits; False if it need not, or would wait in vain."""
        instrument = self._desk.instruments.get(symbol)
        if symbol in self._desk.tops or instrument is None or instrument.status != "TRADING":
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
        followed.heard_at, followed.said_at = self._now_ms(), update.time
        self.lag.heard(update.event_time)
        best = followed.book.apply(update)
        if best is not None:
            self._tell(update.symbol, followed, best, at=update.time)
        elif followed.book.state is BookState.GAP:
            self._lost(update.symbol, followed)
        elif followed.book.state is BookState.LIVE:
            # One side is empty: the price before is true no more.
            self._desk.lose_price(update.symbol)

    def disconnected(self) -> None:
        """The stream is down: no symbol has a price until its book is built anew."""
        for symbol, followed in self._followed.items():
            self._desk.lose_price(symbol)
            followed.book.reset()

    def connected(self) -> None:
        """The stream is back: build every book anew."""
        for symbol, followed in self._followed.items():
            followed.heard_at = self._now_ms()
            self._resync(symbol, followed)

    def ages(self) -> dict[str, float]:
        """Seconds since each symbol was heard, or proven to be quiet."""
        now = self._now_ms()
        return {symbol: (now - followed.heard_at) / 1000 for symbol, followed in self._followed.items()}

    async def watch(self) -> None:
        """Look after silent symbols for ever, one at a time."""
        while True:
            await self._sleep(WATCH_EVERY_S)
            for symbol, followed in list(self._followed.items()):
                if self._now_ms() - followed.heard_at >= SILENT_MS and self.stream.age() < SILENT_MS / 1000:
                    await self._question(symbol, followed)

    async def _question(self, symbol: str, followed: Followed) -> None:
        """Prove a silent symbol quiet, or subscribe to it anew.

        By its prices, not by its update id: the exchange's counter goes on for other symbols' sake. A book
        that is not in sync has none to compare.
        """
        silent_since = followed.heard_at
        if _live(followed.book):
            try:
                snapshot = await self._client.depth(symbol, limit=5)
            except ExchangeError as error:
                log.info("silent_symbol_not_questioned", symbol=symbol, error=str(error))
                return
            if _same_top(followed.book, snapshot):
                followed.heard_at = self._now_ms()
                if followed.book.top is not None:
                    # As good as a diff that changes nothing: the price is young again, and there again if the
                    # whole feed was silent for a while. The next diff may be hours away.
                    self._tell(symbol, followed, followed.book.top, at=self._client.exchange_now_ms())
                return
        await self._sleep(LATE_S)
        if followed.heard_at != silent_since:
            return
        log.warning("symbol_silent", symbol=symbol, seconds=(self._now_ms() - silent_since) / 1000)
        self.silences += 1
        followed.heard_at = self._now_ms()
        self.stream.unsubscribe([_stream(symbol)])
        self.stream.subscribe([_stream(symbol)])
        if _live(followed.book):
            self._desk.lose_price(symbol)
            followed.book.reset()
        self._resync(symbol, followed)

    def close(self) -> None:
        """Stop publishing and syncing."""
        for task in self._publishers:
            task.cancel()

    def expire_stale(self) -> None:
        """Forget the tops of symbols when the whole feed is silent."""
        for symbol in list(self._desk.tops):
            self._desk.lose_price(symbol)

    def _tell(self, symbol: str, followed: Followed, best: L1, *, at: int) -> None:
        before = followed.told
        if best is followed.best and before is not None:
            told = Top(before.bid, before.bid_qty, before.ask, before.ask_qty, at)
        else:
            told = Top(Decimal(best.bid), Decimal(best.bid_qty), Decimal(best.ask), Decimal(best.ask_qty), at)
        followed.best, followed.told = best, told
        known = self._desk.tops.get(symbol)
        self._desk.price(symbol, told)
        self.ticked(symbol)
        if known is None or known.bid != told.bid or known.ask != told.ask:
            self.moved(symbol)
        for box in followed.consumers:
            box.put(told)
        if followed.waiting:
            waiting, followed.waiting = followed.waiting, []
            for then in waiting:
                _run(then)

    def _lost(self, symbol: str, followed: Followed) -> None:
        self.resyncs += 1
        self._desk.lose_price(symbol)
        log.warning("book_gap", symbol=symbol)
        self._resync(symbol, followed)

    def _resync(self, symbol: str, followed: Followed) -> None:
        if followed.syncing is None or followed.syncing.done():
            followed.syncing = self._spawn(self._sync(symbol, followed))

    async def _sync(self, symbol: str, followed: Followed) -> None:
        """Fetch snapshots until one fits the events; a newer one is kept by the book until they reach it.

        Trap: that may be never, in a symbol that does not trade. A snapshot every few seconds would use up
        what others need.
        """
        delay, most, prepared = 0.05, SNAPSHOT_AGAIN_S, False
        while not _live(followed.book):
            await self._sleep(min(delay, most))
            delay = min(delay, most) * 2
            if followed.book.waiting:
                continue
            try:
                if not prepared:
                    await self._prepare(symbol)
                    prepared = True
                snapshot = await self._client.depth(symbol, limit=1000)
            except ExchangeError as error:
                log.warning("snapshot_failed", symbol=symbol, error=str(error))
                most = REFUSED_AGAIN_S if isinstance(error, Refused) else SNAPSHOT_AGAIN_S
                continue
            most = SNAPSHOT_AGAIN_S
            if _live(followed.book):
                # The snapshot before fitted meanwhile; this one would set the book ahead of its events.
                return
            best = followed.book.snapshot(snapshot.last_update_id, snapshot.bids, snapshot.asks)
            if best is not None:
                # The book that fits is as old as the last diff in it, and no younger.
                self._tell(symbol, followed, best, at=followed.said_at or self._client.exchange_now_ms())

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
            _run(then)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[Any]:
        task = self._spawn_task("market", work)
        self._publishers.add(task)
        task.add_done_callback(self._publishers.discard)
        return task


def _nobody(_: str) -> None:
    """Nobody wants to know."""


def _run(then: Callable[[], None]) -> None:
    """Call one who waited; a fault in it must not cost the others their turn."""
    try:
        then()
    except Exception:
        log.exception("waiting_command_failed")


def _same_top(book: LocalBook, snapshot: DepthSnapshot) -> bool:
    if not _live(book):
        return False
    if book.top is None or not snapshot.bids or not snapshot.asks:
        return book.top is None and not (snapshot.bids and snapshot.asks)
    ours = (book.top.bid, book.top.bid_qty, book.top.ask, book.top.ask_qty)
    theirs = (*snapshot.bids[0], *snapshot.asks[0])
    return [Decimal(text) for text in ours] == [Decimal(text) for text in theirs]


def _live(book: LocalBook) -> bool:
    return book.state is BookState.LIVE


def _stream(symbol: str) -> str:
    return f"{symbol.lower()}@depth@100ms"
