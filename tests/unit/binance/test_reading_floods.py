"""A flood of frames does not have the loop to itself."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any, cast

import aiohttp

from pms.binance.sockets import AT_ONCE, read


class Flood:
    """A socket that always has the next frame at hand."""

    def __init__(self, frames: int) -> None:
        self.left = frames

    async def receive(self) -> aiohttp.WSMessage:
        self.left -= 1
        kind = aiohttp.WSMsgType.TEXT if self.left >= 0 else aiohttp.WSMsgType.CLOSED
        return aiohttp.WSMessage(kind, b"frame", None)  # type: ignore[no-any-return, call-arg]


async def test_others_get_a_turn_between_frames_that_wait_already() -> None:
    taken, seen = 0, list[int]()

    def take(_: bytes) -> bool:
        nonlocal taken
        taken += 1
        return True

    async def other() -> None:
        while True:
            seen.append(taken)
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    await read(cast("Any", Flood(10 * AT_ONCE)), take)
    beside.cancel()
    assert taken == 10 * AT_ONCE
    assert max(later - before for before, later in pairwise(seen)) <= AT_ONCE
    assert len(seen) >= 10
