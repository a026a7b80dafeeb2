"""What the WebSocket streams are made of: connecting, reading, leaving, and trying again.

Trap: a socket can be open and silent for hours (expired listen key, unrouted path, half-open TCP), and
answer every ping meanwhile: its peer's front lives, what should feed it does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from itertools import count
from typing import Any, Literal

import aiohttp
import structlog

log = structlog.get_logger()

FIRST_DELAY_S = 0.1
LAST_DELAY_S = 5.0
HANDSHAKE_S = 5.0
AT_ONCE = 256
"""Frames taken before the loop may turn to its other work: some eight milliseconds of depth diffs. A few per
turn, and on a slow processor, whose turns are long, more come than are taken."""

HEARTBEAT_S = 15.0
"""A ping every so often; the connection is lost when the pong takes longer than half of it."""

Sleep = Callable[[float], Awaitable[None]]
Socket = aiohttp.ClientWebSocketResponse[Literal[False]]


class Backoff:
    """Delays between attempts: doubling, jittered, reset by a connection that was of use."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._delay = FIRST_DELAY_S

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        delay, self._delay = self._delay, min(self._delay * 2, LAST_DELAY_S)
        return delay * (0.5 + self._jitter() / 2)

    def reset(self) -> None:
        """The connection was of use."""
        self._delay = FIRST_DELAY_S


class Receiver:
    """Hands frames over; a handler's exception is counted and never kills the feed."""

    def __init__(self, on_frame: Callable[[bytes], None]) -> None:
        self._on_frame = on_frame
        self.failed = 0

    def take(self, raw: bytes) -> None:
        """Hand one frame over."""
        try:
            self._on_frame(raw)
        except Exception:
            self.failed += 1
            # One broken symbol must not turn thousands of frames a second into as many tracebacks.
            if self.failed <= 10 or self.failed % 100 == 0:
                log.exception("frame_handler_failed", failed=self.failed)


async def connect(session: aiohttp.ClientSession, url: str, *, heartbeat_s: float) -> Socket:
    """Open a socket that tells its peer's death and gives text as bytes."""
    async with asyncio.timeout(HANDSHAKE_S):
        return await session.ws_connect(
            url,
            heartbeat=heartbeat_s,
            max_msg_size=0,
            decode_text=False,
            timeout=aiohttp.ClientWSTimeout(ws_close=0.5),
        )


async def leave(socket: Socket, event: str) -> None:
    """Close, and say with which code it ended: 1000 by us or the exchange's day, 1006 a broken line."""
    await socket.close()
    log.info(event, code=socket.close_code)


async def read(socket: Socket, take: Callable[[bytes], bool]) -> None:
    """Take frames until the socket ends or `take` has had enough.

    Trap: a socket does not yield as long as it has frames ready; some hundred hold up all else on the loop.
    """
    for number in count(1):
        if not number % AT_ONCE:
            await asyncio.sleep(0)
        message = await socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            if not take(message.data):
                return
        elif message.type is not aiohttp.WSMsgType.BINARY:
            return


async def until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
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


def described(error: Exception) -> dict[str, Any]:
    """What may be logged of an error: its text can hold the address, and that the listen key."""
    return {"error": type(error).__name__, "status": getattr(error, "status", getattr(error, "http", None))}
