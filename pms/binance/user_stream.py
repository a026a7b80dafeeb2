"""The account's private stream: one connection after the other, each up before the one before is left.

    planned    after 23 hours, or when the exchange says that it is about to close: the next connection on the
               same key is up and read before the old one is left; what both bring is handed over once, and
               there is no gap
    doubted    somebody knows better than the stream (half-open: pongs, but no data): likewise, but what was
               missed is a gap
    lost       the line broke, the key expired or was replaced: a gap

Traps: the exchange does not say when a key was deleted, so the key is asked for again now and then: the
answer is the live key, prolonged, and another one means that ours is dead. And the stream may rightly be
silent for hours: it cannot tell by itself that it is alive. Whoever can compare says so (`proven`), or
doubts it (`doubt`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import structlog

from pms.binance.errors import ExchangeError
from pms.binance.frames import FrameError, ListenKeyExpired, ServerShutdown, decode_user
from pms.binance.sockets import (
    HEARTBEAT_S,
    LAST_DELAY_S,
    Backoff,
    Receiver,
    Sleep,
    Socket,
    connect,
    described,
    leave,
    read,
)

log = structlog.get_logger()

KEY_REFRESH_S = 1200.0
REPLACE_S = 23 * 3600.0
"""The exchange ends every connection after 24 hours."""

SETTLE_S = 5.0
"""How long two connections are read side by side; more than any event takes on one of them alone."""

AGAIN_S = 60.0
"""After a planned change that failed."""


class OnUp(Protocol):
    """Told after each (re)connection with a gap before it."""

    async def __call__(self, *, first: bool) -> None:
        """`first` is false after a gap, to be closed over REST.

        Frames are kept and handed over once this has returned; it is cancelled if the line is lost.
        """


@dataclass(slots=True, eq=False)
class _Line:
    """One connection, being read."""

    socket: Socket
    reader: asyncio.Task[None] | None = None

    async def leave(self) -> None:
        if self.reader is not None:
            self.reader.cancel()
            await asyncio.gather(self.reader, return_exceptions=True)
        await leave(self.socket, "user_stream_closed")


class _Twins:
    """Two lines that bring the same frames: each frame is taken from whichever brings it first."""

    def __init__(self, heir: _Line) -> None:
        self._heir = heir
        self._ahead = Counter[bytes]()

    def had(self, line: _Line, raw: bytes) -> bool:
        """Whether the other line brought this frame before."""
        sign = 1 if line is self._heir else -1
        before = self._ahead[raw]
        self._ahead[raw] = before + sign
        return before * sign < 0


class UserStream:
    """The account's private stream; tells when it is up, so that the gap before can be closed."""

    def __init__(
        self,
        base_url: str,
        *,
        session: aiohttp.ClientSession,
        new_listen_key: Callable[[], Awaitable[str]],
        on_frame: Callable[[bytes], None],
        on_up: OnUp,
        on_down: Callable[[], None],
        monotonic: Callable[[], float],
        sleep: Sleep,
        jitter: Callable[[], float],
        heartbeat_s: float = HEARTBEAT_S,
        key_refresh_s: float = KEY_REFRESH_S,
        replace_s: float = REPLACE_S,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._session = session
        self._new_listen_key = new_listen_key
        self._receiver = Receiver(on_frame)
        self._on_up = on_up
        self._on_down = on_down
        self._monotonic = monotonic
        self._sleep = sleep
        self._backoff = Backoff(jitter)
        self._heartbeat_s = heartbeat_s
        self._key_refresh_s = key_refresh_s
        self._replace_s = replace_s
        self._settle_s = settle_s
        self._first = True
        self._kept: list[bytes] | None = None
        self._twins: _Twins | None = None
        self._change = asyncio.Event()
        self._doubted = False
        self._proven_at = float("-inf")
        self._replace_at = float("inf")
        self.frames = 0
        self.doubts = 0

    @property
    def failed_frames(self) -> int:
        """Frames whose handler raised."""
        return self._receiver.failed

    def age(self) -> float:
        """Seconds since a frame came, or since a comparison showed that none was owed."""
        return self._monotonic() - self._proven_at

    def proven(self) -> None:
        """A comparison showed that the exchange knows nothing that the stream has not told."""
        self._proven_at = self._monotonic()

    def doubt(self, reason: str) -> None:
        """The exchange knows what the stream has not told: leave this connection, whatever it answers."""
        log.warning("user_stream_doubted", reason=reason)
        self.doubts += 1
        self._doubted = True
        self._change.set()

    async def run(self) -> None:
        """Stay connected for ever; a key that cannot be had is asked for again."""
        while True:
            started = self._monotonic()
            try:
                await self._chain(await self._new_listen_key())
            except (ExchangeError, aiohttp.ClientError, OSError, TimeoutError) as error:
                log.warning("user_stream_lost", **described(error))
            if self._monotonic() - started > LAST_DELAY_S:
                self._backoff.reset()
            await self._sleep(self._backoff.next())

    async def _chain(self, key: str) -> None:
        """One connection after the other on one key; returns or raises when it ends in a gap."""
        line = await self._open(key)
        self._doubted = False
        serving = asyncio.create_task(self._serve(key))
        try:
            while True:
                change = asyncio.create_task(self._until_change())
                await _first_of(serving, change, line.reader)
                change.cancel()
                if serving.done() or line.reader is None or line.reader.done():
                    for task in (serving, line.reader):
                        if task is not None and task.done():
                            task.result()
                    return
                doubted, self._doubted = self._doubted, False
                successor = await self._succeeded(line, key, settle=not doubted)
                if successor is None:
                    return
                line = successor
                if doubted:
                    serving.cancel()
                    await asyncio.gather(serving, return_exceptions=True)
                    serving = asyncio.create_task(self._serve(key))
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            self._on_down()
            await line.leave()

    async def _open(self, key: str, *, heir: bool = False) -> _Line:
        """Connect and begin to read."""
        url = f"{self._base}/private/ws?listenKey={key}"
        line = _Line(await connect(self._session, url, heartbeat_s=self._heartbeat_s))
        if heir:
            self._twins = _Twins(line)
        else:
            self._kept = []
        line.reader = asyncio.create_task(read(line.socket, lambda raw: self._take(line, raw)))
        self._replace_at = self._monotonic() + self._replace_s
        self.proven()
        return line

    async def _until_change(self) -> None:
        """Return when the connection has to be replaced."""
        while self._monotonic() < self._replace_at and not self._change.is_set():
            due = asyncio.ensure_future(self._sleep(self._replace_at - self._monotonic()))
            told = asyncio.create_task(self._change.wait())
            await _first_of(due, told)
            due.cancel()
            told.cancel()
        self._change.clear()

    async def _succeeded(self, line: _Line, key: str, *, settle: bool) -> _Line | None:
        """The connection after this one, up before this one is left; this one if there can be none yet.

        None where this one is not worth keeping.
        """
        try:
            if await self._new_listen_key() != key:
                log.warning("listen_key_replaced")
                return None
            if not settle:
                # Its frames are behind a gap of which nobody knows before `_serve` tells.
                self._kept = []
            heir = await self._open(key, heir=True)
            if settle and line.reader is not None and line.reader.done():
                # What was told between the two is on neither, and the key may have ended with the old one.
                log.warning("user_stream_ended_before_its_next_was_up")
                self._twins = None
                await heir.leave()
                return None
        except (ExchangeError, aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("user_stream_not_replaced", **described(error))
            self._replace_at = self._monotonic() + AGAIN_S
            return line if settle else None
        try:
            if settle:
                await self._settled(line, heir)
        except BaseException:
            await heir.leave()
            raise
        finally:
            self._twins = None
        if settle and heir.reader is not None and heir.reader.done():
            await heir.leave()
            self._replace_at = self._monotonic() + AGAIN_S
            return line
        log.info("user_stream_replaced")
        await line.leave()
        return heir

    async def _settled(self, line: _Line, heir: _Line) -> None:
        """Return when what was on its way on the old connection alone has come, or one of them ended."""
        settled = asyncio.ensure_future(self._sleep(self._settle_s))
        await _first_of(settled, line.reader, heir.reader)
        settled.cancel()

    async def _serve(self, key: str) -> None:
        """Tell that the stream is up, hand over what came meanwhile, and look after the key.

        The socket is read all the time: one that is not read stops hearing pongs once its buffer is full.
        """
        if self._kept is None:
            self._kept = []
        await self._on_up(first=self._first)
        self._first = False
        kept, self._kept = self._kept or [], None
        for raw in kept:
            self._receiver.take(raw)
        await self._watch_key(key)

    def _take(self, line: _Line, raw: bytes) -> bool:
        self.proven()
        if b'"listenKeyExpired"' in raw and _is(raw, ListenKeyExpired):
            log.warning("listen_key_expired")
            return False
        if b'"serverShutdown"' in raw and _is(raw, ServerShutdown):
            self._change.set()
            return True
        if self._twins is not None and self._twins.had(line, raw):
            return True
        self.frames += 1
        if self._kept is not None:
            self._kept.append(raw)
        else:
            self._receiver.take(raw)
        return True

    async def _watch_key(self, key: str) -> None:
        """Prolong the key; return when it is no longer the account's."""
        while True:
            await self._sleep(self._key_refresh_s)
            try:
                live = await self._new_listen_key()
            except (ExchangeError, OSError, TimeoutError) as error:
                log.warning("listen_key_not_prolonged", **described(error))
                continue
            if live != key:
                log.warning("listen_key_replaced")
                return


async def _first_of(*tasks: asyncio.Future[Any] | None) -> None:
    """Wait until one is done; what was only waited for here is cancelled by its owner."""
    waited = [task for task in tasks if task is not None]
    try:
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        for task in waited:
            task.cancel()
        raise


def _is(raw: bytes, kind: type[ListenKeyExpired] | type[ServerShutdown]) -> bool:
    """Whether this is an event of that kind; a client order id may be spelled alike."""
    try:
        return isinstance(decode_user(raw), kind)
    except FrameError:
        return False
