"""A gap of the user stream is closed by a pass that began behind it; until then what it tells waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from pms.streamer import user_feed


async def complete_after_a_pass(streamer: Any, meanwhile: Callable[[], Awaitable[None]]) -> bool:
    """Let the stream come back, and something happen while that gap is closed; the next pass looks."""
    seen: list[bool] = []
    looked = asyncio.Event()

    async def run() -> int:
        seen.append(streamer._feed.complete())
        if len(seen) == 1:
            await meanwhile()
            # Another pass looks at what this one has left.
            streamer._feed.behind.set()
        else:
            looked.set()
            await asyncio.Event().wait()
        return 0

    streamer._feed.catch_up = SimpleNamespace(run=run, client=streamer._client, weight=0)
    await streamer._feed.is_up(first=True)
    await streamer._feed.is_up(first=False)
    keeping = asyncio.create_task(streamer._feed.run())
    looking = asyncio.create_task(looked.wait())
    await asyncio.wait({keeping, looking}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    assert looking.done(), keeping
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
    assert seen[0] is False, "a gap is open until it is closed"
    return seen[1]


async def nothing() -> None:
    """Only the passes themselves happen."""


async def test_what_else_is_behind_meanwhile_does_not_keep_it_open(streamer: Any) -> None:
    assert await complete_after_a_pass(streamer, nothing)


async def test_a_stream_that_came_back_meanwhile_has_another(streamer: Any) -> None:
    async def back_again() -> None:
        streamer._feed.is_down()
        await streamer._feed.is_up(first=False)
        assert streamer._feed.behind.is_set()

    assert not await complete_after_a_pass(streamer, back_again)


def frame(number: int) -> bytes:
    """A margin call, which needs nothing to be known."""
    return b'{"e":"MARGIN_CALL","E":%d,"cw":"1","p":[{"s":"N%d"}]}' % (number, number)


def called(streamer: Any) -> list[str]:
    waiting = streamer._outbox._waiting
    return [row.detail[-2:] for each in waiting for row in each.posting.entry.rows.incidents]


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_feed, "HELD_S", 0.01)


async def test_what_comes_behind_a_gap_waits_until_it_is_closed(streamer: Any) -> None:
    async def told() -> None:
        streamer._feed.frame(frame(1))
        streamer._feed.frame(frame(2))
        assert called(streamer) == [], "what was missed is not read yet"
        assert not streamer._feed.ready()

    assert await complete_after_a_pass(streamer, told)
    assert called(streamer) == ["N1", "N2"]
    streamer._feed.frame(frame(3))
    assert called(streamer) == ["N1", "N2", "N3"]


@pytest.mark.usefixtures("patience")
async def test_a_gap_that_nobody_can_close_holds_nothing_back_for_long(streamer: Any) -> None:
    taken = asyncio.Event()
    streamer._engine.margin_called = taken.set

    async def told() -> None:
        streamer._feed.frame(frame(1))
        async with asyncio.timeout(60):
            await taken.wait()
        assert called(streamer) == ["N1"]
        streamer._feed.frame(frame(2))
        assert called(streamer) == ["N1", "N2"], "once let go, nothing waits for this gap any more"
        assert not streamer._feed.complete()

    assert await complete_after_a_pass(streamer, told)


async def test_the_patience_with_a_gap_that_is_closed_does_not_end_the_next_one_s(streamer: Any) -> None:
    await complete_after_a_pass(streamer, nothing)
    assert streamer._feed._patience is None
    await streamer._feed.is_up(first=False)
    assert streamer._feed.held == []
    assert not streamer._feed._patience.cancelled()


async def test_a_gap_that_comes_while_the_start_catches_up_holds_back_as_well(streamer: Any) -> None:
    feed = streamer._feed

    async def run() -> int:
        feed.is_down()
        await feed.is_up(first=False)
        feed.frame(frame(1))
        return 0

    feed.catch_up, feed.held = SimpleNamespace(run=run, client=streamer._client, weight=0), []
    await feed.is_up(first=True)
    await feed.begin(remembered=True)
    assert called(streamer) == []
    assert not feed.ready()
    feed._let_go()
    assert called(streamer) == ["N1"]


async def test_what_a_gap_held_back_shows_no_difference_from_what_rest_told(
    streamer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(type(streamer._watch.conservation), "time_passed", lambda *_, **__: asked.append(1))
    await streamer._feed.is_up(first=True)
    streamer._time_passed(0)
    assert asked == [1]
    await streamer._feed.is_up(first=False)
    streamer._time_passed(0)
    assert asked == [1], "an older word of before REST's"
