"""The exchange's WebSocket streams: connected for ever, watched for silence, frames handed over at once.

Trap: a socket can be open and silent for hours (expired listen key, unrouted path, half-open TCP).
So silence is measured on data, not on the connection, and a silent stream is connected anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal, Protocol

import aiohttp
import msgspec
import structlog

from pms.binance.errors import ExchangeError
from pms.binance.frames import FrameError, ListenKeyExpired, decode_user

log = structlog.get_logger()

FIRST_DELAY_S = 0.1
LAST_DELAY_S = 5.0
HANDSHAKE_S = 5.0
HEARTBEAT_S = 15.0
"""A ping every so often; the connection is lost when the pong takes longer than half of it."""
SILENCE_S = 10.0
KEY_REFRESH_S = 1200.0
CONTROL_EVERY_S = 0.2
"""Five control messages a second; Binance disconnects above ten, pings included."""
STREAMS_PER_MESSAGE = 100

Sleep = Callable[[float], Awaitable[None]]
Socket = aiohttp.ClientWebSocketResponse[Literal[False]]
_encode = msgspec.json.Encoder().encode


class OnUp(Protocol):
    """Told after each (re)connection."""

    async def __call__(self, *, first: bool) -> None:
        """`first` is false after a gap, to be closed over REST.

        Frames are kept and handed over once this has returned; it is cancelled if the line is lost.
        """


class _Backoff:
    """Delays between attempts: doubling, jittered, reset by a connection that was of use."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._delay = FIRST_DELAY_S

    def next(self) -> float:
        delay, self._delay = self._delay, min(self._delay * 2, LAST_DELAY_S)
        return delay * (0.5 + self._jitter() / 2)

    def reset(self) -> None:
        self._delay = FIRST_DELAY_S


class _Receiver:
    """Hands frames over; a handler's exception is counted and never kills the feed."""

    def __init__(self, on_frame: Callable[[bytes], None]) -> None:
        self._on_frame = on_frame
        self.failed = 0

    def take(self, raw: bytes) -> None:
        try:
            self._on_frame(raw)
        except Exception:
            self.failed += 1
            # One broken symbol must not turn thousands of frames a second into as many tracebacks.
            if self.failed <= 10 or self.failed % 100 == 0:
                log.exception("frame_handler_failed", failed=self.failed)


class MarketStream:
    """The public market streams of any number of symbols, on one connection. Jitter is in [0, 1)."""

    def __init__(
        self,
        base_url: str,
        *,
        session: aiohttp.ClientSession,
        on_frame: Callable[[bytes], None],
        on_connected: Callable[[], None],
        on_disconnected: Callable[[], None],
        monotonic: Callable[[], float],
        sleep: Sleep,
        jitter: Callable[[], float],
        silence_s: float = SILENCE_S,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/public/stream"
        self._session = session
        self._receiver = _Receiver(on_frame)
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._monotonic = monotonic
        self._sleep = sleep
        self._backoff = _Backoff(jitter)
        self._silence_s = silence_s
        self._heartbeat_s = heartbeat_s
        self._wanted: dict[str, None] = {}
        self._control: asyncio.Queue[bytes] | None = None
        self._heard_at = float("-inf")
        self._expected_since = 0.0
        self._number = 0
        self.refused_subscriptions = 0

    @property
    def failed_frames(self) -> int:
        """Frames whose handler raised."""
        return self._receiver.failed

    def subscribe(self, streams: list[str]) -> None:
        """Want streams, now and after every reconnection."""
        new = [stream for stream in dict.fromkeys(streams) if stream not in self._wanted]
        if not self._wanted:
            self._expected_since = self._monotonic()
        self._wanted.update(dict.fromkeys(new))
        self._request("SUBSCRIBE", new)

    def unsubscribe(self, streams: list[str]) -> None:
        """Want streams no more."""
        gone = [stream for stream in dict.fromkeys(streams) if stream in self._wanted]
        for stream in gone:
            del self._wanted[stream]
        self._request("UNSUBSCRIBE", gone)

    def age(self) -> float:
        """Seconds since the last data frame; infinite before the first."""
        return self._monotonic() - self._heard_at

    async def run(self) -> None:
        """Stay connected for ever."""
        while True:
            try:
                await self._once()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                log.warning("market_stream_lost", **_described(error))
            await self._sleep(self._backoff.next())

    async def _once(self) -> None:
        socket = await _connect(self._session, self._url, heartbeat_s=self._heartbeat_s)
        try:
            self._control = asyncio.Queue()
            self._expected_since = self._monotonic()
            self._request("SUBSCRIBE", list(self._wanted))
            self._on_connected()
            try:
                await _until_one_ends(
                    _read(socket, self._take), self._send_control(socket, self._control), self._watch()
                )
            finally:
                self._control = None
                self._on_disconnected()
        finally:
            await _leave(socket, "market_stream_closed")

    def _take(self, raw: bytes) -> bool:
        if raw.startswith(b'{"stream"') or b'"stream"' in raw:
            self._heard_at = self._monotonic()
            self._backoff.reset()
        elif b'"error"' in raw:
            self.refused_subscriptions += 1
            log.error("subscription_refused", answer=raw[:300].decode(errors="replace"))
        self._receiver.take(raw)
        return True

    async def _watch(self) -> None:
        """Return when data was expected for too long and none came."""
        while True:
            quiet = self._monotonic() - max(self._heard_at, self._expected_since)
            if self._wanted and quiet >= self._silence_s:
                log.warning("market_stream_silent", seconds=round(quiet, 1))
                return
            await self._sleep(self._silence_s - quiet if self._wanted else self._silence_s)

    async def _send_control(self, socket: Socket, control: asyncio.Queue[bytes]) -> None:
        while True:
            await socket.send_frame(await control.get(), aiohttp.WSMsgType.TEXT)
            await self._sleep(CONTROL_EVERY_S)

    def _request(self, method: str, streams: list[str]) -> None:
        """Queue control messages; without a connection there is nothing to tell."""
        if self._control is None:
            return
        for start in range(0, len(streams), STREAMS_PER_MESSAGE):
            self._number += 1
            part = streams[start : start + STREAMS_PER_MESSAGE]
            self._control.put_nowait(_encode({"method": method, "params": part, "id": self._number}))


class UserStream:
    """The account's private stream; tells when it is up, so that the gap before can be closed.

    Trap: the exchange does not say when a key was deleted, so the key is asked for again now and then:
    the answer is the live key, prolonged, and another one means that ours is dead.
    """

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
    ) -> None:
        self._base = base_url.rstrip("/")
        self._session = session
        self._new_listen_key = new_listen_key
        self._receiver = _Receiver(on_frame)
        self._on_up = on_up
        self._on_down = on_down
        self._monotonic = monotonic
        self._sleep = sleep
        self._backoff = _Backoff(jitter)
        self._heartbeat_s = heartbeat_s
        self._key_refresh_s = key_refresh_s
        self._first = True
        self._kept: list[bytes] | None = None

    @property
    def failed_frames(self) -> int:
        """Frames whose handler raised."""
        return self._receiver.failed

    async def run(self) -> None:
        """Stay connected for ever; a key that cannot be had is asked for again."""
        while True:
            started = self._monotonic()
            try:
                await self._once(await self._new_listen_key())
            except (ExchangeError, aiohttp.ClientError, OSError, TimeoutError) as error:
                log.warning("user_stream_lost", **_described(error))
            if self._monotonic() - started > LAST_DELAY_S:
                self._backoff.reset()
            await self._sleep(self._backoff.next())

    async def _once(self, key: str) -> None:
        url = f"{self._base}/private/ws?listenKey={key}"
        socket = await _connect(self._session, url, heartbeat_s=self._heartbeat_s)
        try:
            self._kept = []
            await _until_one_ends(_read(socket, self._take), self._serve(key))
        finally:
            self._on_down()
            await _leave(socket, "user_stream_closed")

    async def _serve(self, key: str) -> None:
        """Tell that the stream is up, hand over what came meanwhile, and look after the key.

        The socket is read all the time: one that is not read stops hearing pongs once its buffer is full.
        """
        await self._on_up(first=self._first)
        self._first = False
        kept, self._kept = self._kept or [], None
        for raw in kept:
            self._receiver.take(raw)
        await self._watch_key(key)

    def _take(self, raw: bytes) -> bool:
        if b'"listenKeyExpired"' in raw and _tells_expiry(raw):
            log.warning("listen_key_expired")
            return False
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
                log.warning("listen_key_not_prolonged", **_described(error))
                continue
            if live != key:
                log.warning("listen_key_replaced")
                return


async def _connect(session: aiohttp.ClientSession, url: str, *, heartbeat_s: float) -> Socket:
    """Open a socket that tells its peer's death and gives text as bytes."""
    async with asyncio.timeout(HANDSHAKE_S):
        return await session.ws_connect(
            url,
            heartbeat=heartbeat_s,
            max_msg_size=0,
            decode_text=False,
            timeout=aiohttp.ClientWSTimeout(ws_close=0.5),
        )


async def _leave(socket: Socket, event: str) -> None:
    """Close, and say with which code it ended: 1000 by us or the exchange's day, 1006 a broken line."""
    await socket.close()
    log.info(event, code=socket.close_code)


async def _read(socket: Socket, take: Callable[[bytes], bool]) -> None:
    """Take frames until the socket ends or `take` has had enough."""
    while True:
        message = await socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            if not take(message.data):
                return
        elif message.type is not aiohttp.WSMsgType.BINARY:
            return


def _tells_expiry(raw: bytes) -> bool:
    """Whether this is the event of that name; a client order id may be spelled alike."""
    try:
        return isinstance(decode_user(raw), ListenKeyExpired)
    except FrameError:
        return False


async def _until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Run all; when one ends the others are cancelled, and its exception, if any, is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _described(error: Exception) -> dict[str, Any]:
    """What may be logged of an error: its text can hold the address, and that the listen key."""
    return {"error": type(error).__name__, "status": getattr(error, "status", getattr(error, "http", None))}
