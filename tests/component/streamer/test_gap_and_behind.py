"""A gap of the user stream is closed by a pass that began behind it, whatever else is behind by then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any


async def complete_after_a_pass(streamer: Any, meanwhile: Callable[[], Awaitable[None]]) -> bool:
    """Let the stream come back, and something happen while that gap is closed; the next pass looks."""
    seen: list[bool] = []
    looked = asyncio.Event()

    async def run() -> int:
        seen.append(streamer._complete())
        if len(seen) == 1:
            await meanwhile()
        else:
            looked.set()
            await asyncio.Event().wait()
        return 0

    streamer._catch_up = type("Passes", (), {"run": staticmethod(run)})()
    await streamer._user_is_up(first=True)
    await streamer._user_is_up(first=False)
    keeping = asyncio.create_task(streamer._keep_caught_up())
    async with asyncio.timeout(60):
        await looked.wait()
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
    assert seen[0] is False, "a gap is open until it is closed"
    return seen[1]


async def test_what_else_is_behind_meanwhile_does_not_keep_it_open(streamer: Any) -> None:
    async def behind() -> None:
        streamer._behind.set()

    assert await complete_after_a_pass(streamer, behind)


async def test_a_stream_that_came_back_meanwhile_has_another(streamer: Any) -> None:
    async def back_again() -> None:
        streamer._user_is_down()
        await streamer._user_is_up(first=False)

    assert not await complete_after_a_pass(streamer, back_again)
