"""The public market streams: connected for ever, watched for silence, frames handed over at once.

Silence is measured on data, not on the connection: a market always has some, so a stream without any
for ten seconds is connected anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import aiohttp
import msgspec
import structlog

from pms.binance.sockets import (
    HEARTBEAT_S,
    Backoff,
    Receiver,
    Sleep,
    Socket,
    connect,
    described,
    leave,
    read,
    until_one_ends,
)

log = structlog.get_logger()

SILENCE_S = 10.0
CONTROL_EVERY_S = 0.2
"""Five control messages a second; Binance disconnects above ten, pings included."""
STREAMS_PER_MESSAGE = 100

_encode = msgspec.json.Encoder().encode


class MarketStream:
    """Streams of one route, of any number of symbols, on one connection. Jitter is in [0, 1).

    Books are on the route `public`, mark prices on `market` (PROTOCOL 1.2): on the wrong one a subscription
    is acknowledged and stays mute.
    """

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
        route: Literal["public", "market"] = "public",
        silence_s: float = SILENCE_S,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/{route}/stream"
        self._session = session
        self._receiver = Receiver(on_frame)
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._monotonic = monotonic
        self._sleep = sleep
        self._backoff = Backoff(jitter)
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
                log.warning("market_stream_lost", **described(error))
            await self._sleep(self._backoff.next())

    async def _once(self) -> None:
        socket = await connect(self._session, self._url, heartbeat_s=self._heartbeat_s)
        try:
            self._control = asyncio.Queue()
            self._expected_since = self._monotonic()
            self._request("SUBSCRIBE", list(self._wanted))
            self._on_connected()
            try:
                await until_one_ends(
                    read(socket, self._take), self._send_control(socket, self._control), self._watch()
                )
            finally:
                self._control = None
                self._on_disconnected()
        finally:
            await leave(socket, "market_stream_closed")

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
