"""How long a WebSocket connection lives: a day at most, and only while its client answers pings.

USDⓈ-M docs, WebSocket Market Streams: a connection is good for 24 hours; the server sends a ping every three
minutes and disconnects where no pong comes within ten. `serverShutdown` says that the end is near.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from aiohttp import WSCloseCode, web

Clock = Callable[[], int]
encode = msgspec.json.Encoder().encode
NOTICE = 1 / 144
"""How much of a day before its end a connection is told of it: ten minutes of 24 hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLife:
    """Seconds; a test has shorter days."""

    day_s: float = 86_400.0
    ping_every_s: float = 180.0
    pong_within_s: float = 600.0


def server_shutdown(time: int) -> bytes:
    """The event that says that this connection ends soon."""
    return encode({"e": "serverShutdown", "E": time})


class Life:
    """One connection's day and heartbeat. `tell` sends a payload of the venue's own accord."""

    def __init__(
        self, socket: web.WebSocketResponse, rules: SocketLife, *, tell: Callable[[bytes], None], clock: Clock
    ) -> None:
        self._socket = socket
        self._rules = rules
        self._tell = tell
        self._clock = clock
        self._over = asyncio.Event()
        self._lost: asyncio.TimerHandle | None = None
        self._answers = True
        self._closing = False
        # A connection that is to look dead sends no pings either
        self.dead: Callable[[], bool] = bool

    def heard_pong(self) -> None:
        """The client is there."""
        if self._lost is not None:
            self._lost.cancel()
            self._lost = None

    def end(self) -> None:
        """Let its day be over now."""
        self._over.set()

    async def run(self) -> None:
        """Ping until its day is over, or its client gone; then close it."""
        beat = asyncio.create_task(self._beat())
        try:
            if not await self._over_within(self._rules.day_s * (1 - NOTICE)):
                self._tell(server_shutdown(self._clock()))
                await self._over_within(self._rules.day_s * NOTICE)
            elif self._answers:
                self._tell(server_shutdown(self._clock()))
        finally:
            beat.cancel()
            self.heard_pong()
        self._closing = True
        if self._answers:
            await self._socket.close(code=WSCloseCode.GOING_AWAY)
        else:
            await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Pong timeout")

    async def leave(self, running: asyncio.Task[None]) -> None:
        """The connection has ended. Trap: if by our own goodbye, that is not on the wire yet."""
        if not self._closing:
            running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def _over_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            return False
        return True

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._rules.ping_every_s)
                if self.dead():
                    return
                await self._socket.ping()
                if self._lost is None:
                    self._lost = loop.call_later(self._rules.pong_within_s, self._give_up)

    def _give_up(self) -> None:
        self._answers = False
        self._over.set()
