"""The exchange's WebSocket streams: connected for ever, watched for silence, frames handed over at once.

Trap: a socket can be open and silent for hours (expired listen key, unrouted path, half-open TCP).
So silence is measured on data, not on the connection, and a silent stream is connected anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import aiohttp
import msgspec
import structlog

log = structlog.get_logger()

FIRST_DELAY_S = 0.1
LAST_DELAY_S = 5.0
HEARTBEAT_S = 15.0
CONTROL_EVERY_S = 0.2
"""Five control messages a second; Binance disconnects above ten."""

Sleep = Callable[[float], Awaitable[None]]
_encode = msgspec.json.Encoder().encode


class OnUp(Protocol):
    """Told after each (re)connection."""

    async def __call__(self, *, first: bool) -> None:
        """`first` is false after a gap, which must then be closed over REST."""


class _Backoff:
    """Delays between attempts: doubling, jittered, reset by a connection that brought data."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._delay = FIRST_DELAY_S

    def next(self) -> float:
        delay, self._delay = self._delay, min(self._delay * 2, LAST_DELAY_S)
        return delay * (0.5 + self._jitter() / 2)

    def reset(self) -> None:
        self._delay = FIRST_DELAY_S


class MarketStream:
    """The public market streams of any number of symbols, on one connection."""

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
        silence_s: float = 10.0,
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/public/stream"
        self._session = session
        self._on_frame = on_frame
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._monotonic = monotonic
        self._sleep = sleep
        self._backoff = _Backoff(jitter)
        self._silence_s = silence_s
        self._wanted: dict[str, None] = {}
        self._control: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._connected = False
        self._heard_at = -1e9
        self._number = 0
        self.failed_frames = 0

    def subscribe(self, streams: list[str]) -> None:
        """Want streams, now and after every reconnection."""
        new = [stream for stream in streams if stream not in self._wanted]
        self._wanted.update(dict.fromkeys(new))
        if new and self._connected:
            self._control.put_nowait(self._request("SUBSCRIBE", new))

    def unsubscribe(self, streams: list[str]) -> None:
        """Want streams no more."""
        gone = [stream for stream in streams if self._wanted.pop(stream, self) is not self]
        if gone and self._connected:
            self._control.put_nowait(self._request("UNSUBSCRIBE", gone))

    def age(self) -> float:
        """Seconds since the last data frame was handed over."""
        return self._monotonic() - self._heard_at

    async def run(self) -> None:
        """Stay connected for ever."""
        while True:
            try:
                await self._once()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                log.warning("market_stream_lost", error=type(error).__name__)
            await self._sleep(self._backoff.next())

    async def _once(self) -> None:
        async with self._session.ws_connect(
            self._url, heartbeat=HEARTBEAT_S, max_msg_size=0, timeout=aiohttp.ClientWSTimeout(ws_close=1)
        ) as socket:
            self._control = asyncio.Queue()
            self._connected = True
            if self._wanted:
                self._control.put_nowait(self._request("SUBSCRIBE", list(self._wanted)))
            sender = asyncio.create_task(self._send_control(socket))
            self._on_connected()
            try:
                await self._read(socket)
            finally:
                self._connected = False
                sender.cancel()
                self._on_disconnected()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        since = self._monotonic()
        while True:
            try:
                message = await socket.receive(timeout=1.0)
            except TimeoutError:
                if self._wanted and self._monotonic() - max(since, self._heard_at) > self._silence_s:
                    log.warning("market_stream_silent", seconds=round(self.age(), 1))
                    return
                continue
            if message.type is not aiohttp.WSMsgType.TEXT:
                if message.type is aiohttp.WSMsgType.BINARY:
                    continue
                return
            raw = message.data.encode()
            if not raw.startswith(b'{"result"') and not raw.startswith(b'{"error"'):
                self._heard_at = self._monotonic()
                self._backoff.reset()
            _hand_over(self._on_frame, raw, self)

    async def _send_control(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await socket.send_str(_encode(await self._control.get()).decode())
            await self._sleep(CONTROL_EVERY_S)

    def _request(self, method: str, streams: list[str]) -> dict[str, Any]:
        self._number += 1
        return {"method": method, "params": streams, "id": self._number}


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
    ) -> None:
        self._base = base_url.rstrip("/")
        self._session = session
        self._new_listen_key = new_listen_key
        self._on_frame = on_frame
        self._on_up = on_up
        self._on_down = on_down
        self._monotonic = monotonic
        self._sleep = sleep
        self._backoff = _Backoff(jitter)
        self._first = True
        self.failed_frames = 0

    async def run(self) -> None:
        """Stay connected for ever; a key that cannot be had is asked for again."""
        while True:
            started = self._monotonic()
            try:
                await self._once(await self._new_listen_key())
            except Exception as error:
                log.warning("user_stream_lost", error=type(error).__name__)
            if self._monotonic() - started > LAST_DELAY_S:
                self._backoff.reset()
            await self._sleep(self._backoff.next())

    async def _once(self, key: str) -> None:
        url = f"{self._base}/private/ws?listenKey={key}"
        async with self._session.ws_connect(
            url, heartbeat=HEARTBEAT_S, max_msg_size=0, timeout=aiohttp.ClientWSTimeout(ws_close=1)
        ) as socket:
            await self._on_up(first=self._first)
            self._first = False
            try:
                async for message in socket:
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        continue
                    raw = message.data.encode()
                    if b'"listenKeyExpired"' in raw:
                        log.warning("listen_key_expired")
                        return
                    _hand_over(self._on_frame, raw, self)
            finally:
                self._on_down()


def _hand_over(on_frame: Callable[[bytes], None], raw: bytes, stream: MarketStream | UserStream) -> None:
    """Hand a frame over; an exception of its handler is counted and never kills the feed."""
    try:
        on_frame(raw)
    except Exception:
        stream.failed_frames += 1
        log.exception("frame_handler_failed")
