"""A private stream is changed for the next without a gap, and left at once when it is doubted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from exchange_socket import PATIENCE_S, ExchangeSocket, ManualClock, Peer
from test_streams_user import Keys, Running, running

from pms.binance import user_stream

DAY = 23 * 3600
SETTLE = 5


@pytest.fixture
async def exchange() -> AsyncIterator[ExchangeSocket]:
    async with ExchangeSocket() as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
async def stream(exchange: ExchangeSocket, keys: Keys, clock: ManualClock) -> AsyncIterator[Running]:
    async with running(
        exchange.base_url, keys, monotonic=clock.monotonic, sleep=clock.sleep, key_refresh_s=10 * DAY
    ) as under_test:
        yield under_test


async def event(peer: Peer, number: int) -> None:
    await peer.send({"e": "TRADE_LITE", "number": number})


async def numbers(stream: Running, count: int) -> list[int]:
    return [(await stream.frames.next())["number"] for _ in range(count)]


async def after_a_day(exchange: ExchangeSocket, clock: ManualClock) -> tuple[Peer, Peer]:
    """Both connections, the next one just up."""
    old = await exchange.peer()
    await clock.sleeping_until(clock.now + DAY)
    clock.advance(DAY)
    new = await exchange.peer()
    await clock.sleeping_until(clock.now + SETTLE)
    return old, new


async def test_the_next_one_is_up_before_the_old_one_is_left(
    exchange: ExchangeSocket, clock: ManualClock, stream: Running
) -> None:
    old, new = await after_a_day(exchange, clock)
    assert new.request.query["listenKey"] == "KEY-1"
    await event(old, 1)
    assert await numbers(stream, 1) == [1]
    await event(new, 1)
    await event(new, 2)
    await event(old, 2)
    await event(new, 3)
    assert await numbers(stream, 2) == [2, 3]
    clock.advance(SETTLE)
    await asyncio.wait_for(old.closed.wait(), PATIENCE_S)
    await event(new, 4)
    assert await numbers(stream, 1) == [4]
    assert stream.told == ["first"], "nobody heard of a gap, for there was none"


async def test_what_came_on_the_old_one_alone_is_not_lost(
    exchange: ExchangeSocket, clock: ManualClock, stream: Running
) -> None:
    old, new = await after_a_day(exchange, clock)
    await event(new, 2)
    assert await numbers(stream, 1) == [2]
    await event(old, 1)
    await event(old, 2)
    await event(old, 2)
    assert await numbers(stream, 2) == [1, 2], "the same twice on one connection was sent twice"


async def test_the_exchange_may_end_the_old_one_while_both_are_read(
    exchange: ExchangeSocket, clock: ManualClock, stream: Running
) -> None:
    old, new = await after_a_day(exchange, clock)
    old.abort()
    await event(new, 1)
    assert await numbers(stream, 1) == [1]
    assert stream.told == ["first"]


async def test_a_next_one_that_cannot_be_had_leaves_the_old_one(
    exchange: ExchangeSocket, clock: ManualClock, stream: Running
) -> None:
    old = await exchange.peer()
    exchange.refusals = 1
    await clock.sleeping_until(clock.now + DAY)
    clock.advance(DAY)
    await clock.sleeping_until(clock.now + 60)
    await event(old, 1)
    assert await numbers(stream, 1) == [1]
    clock.advance(60)
    await event(await exchange.peer(), 2)
    assert await numbers(stream, 1) == [2]
    assert stream.told == ["first"]


async def test_a_next_one_that_breaks_at_once_leaves_the_old_one(
    exchange: ExchangeSocket, clock: ManualClock, stream: Running
) -> None:
    old, new = await after_a_day(exchange, clock)
    new.abort()
    await clock.sleeping_until(clock.now + 60)
    await event(old, 1)
    assert await numbers(stream, 1) == [1]
    assert stream.told == ["first"]


async def test_another_key_means_that_there_was_a_gap(
    exchange: ExchangeSocket, clock: ManualClock, stream: Running, keys: Keys
) -> None:
    await exchange.peer()
    keys.live = "KEY-2"
    await clock.sleeping_until(clock.now + DAY)
    clock.advance(DAY)
    await asyncio.wait_for(stream.lost.wait(), PATIENCE_S)
    await clock.sleeping_until(clock.now + 0.05)
    clock.advance(1)
    assert (await exchange.peer()).request.query["listenKey"] == "KEY-2"


async def test_an_announced_end_is_met_with_the_next_one(
    exchange: ExchangeSocket, clock: ManualClock, stream: Running
) -> None:
    old = await exchange.peer()
    await old.send({"e": "serverShutdown", "E": 1})
    new = await exchange.peer()
    await clock.sleeping_until(clock.now + SETTLE)
    await old.socket.close()
    await event(new, 1)
    assert await numbers(stream, 1) == [1]
    assert stream.told == ["first"]


@pytest.mark.parametrize("last", ["close", "expire"])
async def test_an_old_one_that_ends_before_the_next_is_up_leaves_a_gap_that_is_told(
    exchange: ExchangeSocket, clock: ManualClock, stream: Running, keys: Keys, last: str
) -> None:
    old = await exchange.peer()
    exchange.answers.clear()
    await old.send({"e": "serverShutdown", "E": 1})
    await asyncio.wait_for(exchange.asked.wait(), PATIENCE_S)
    if last == "expire":
        keys.live = "KEY-2"
        await old.send({"e": "listenKeyExpired", "E": 2, "listenKey": "KEY-1"})
    else:
        await old.socket.close()
    await asyncio.sleep(0.2)
    exchange.answers.set()
    await exchange.peer()
    await asyncio.wait_for(stream.lost.wait(), PATIENCE_S)
    await clock.sleeping_until(clock.now + 0.05)
    clock.advance(1)
    again = await exchange.peer()
    assert again.request.query["listenKey"] == keys.live
    await event(again, 1)
    assert await numbers(stream, 1) == [1]
    assert stream.told == ["first", "down", "again"]


async def test_a_doubted_connection_is_left_at_once_and_its_gap_is_told(
    exchange: ExchangeSocket, clock: ManualClock, stream: Running
) -> None:
    old = await exchange.peer()
    stream.stream.doubt("REST knows better")
    new = await exchange.peer()
    await asyncio.wait_for(old.closed.wait(), PATIENCE_S)
    await event(new, 1)
    assert await numbers(stream, 1) == [1]
    assert stream.told == ["first", "again"], "never down: the next one was up"


async def test_what_the_next_one_tells_waits_until_the_gap_before_it_is_told(
    exchange: ExchangeSocket, stream: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-open peer answers no close: to leave it takes a while, and the next one speaks meanwhile."""
    left, leave = asyncio.Event(), user_stream.leave

    async def slowly(*line: Any) -> None:
        await left.wait()
        await leave(*line)

    monkeypatch.setattr(user_stream, "leave", slowly)
    await exchange.peer()
    stream.stream.doubt("REST knows better")
    await event(await exchange.peer(), 1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await numbers(stream, 1)
    assert stream.told == ["first"]
    left.set()
    assert await numbers(stream, 1) == [1]
    assert stream.told == ["first", "again"]


async def test_a_doubted_connection_without_a_next_one_is_lost(
    exchange: ExchangeSocket, clock: ManualClock, stream: Running
) -> None:
    await exchange.peer()
    exchange.refusals = 1
    stream.stream.doubt("REST knows better")
    await asyncio.wait_for(stream.lost.wait(), PATIENCE_S)
    await clock.sleeping_until(clock.now + 0.05)
    clock.advance(1)
    await event(await exchange.peer(), 1)
    assert await numbers(stream, 1) == [1]
    assert stream.told == ["first", "down", "again"]


async def test_its_age_counts_from_the_last_frame_or_proof(
    exchange: ExchangeSocket, clock: ManualClock, stream: Running
) -> None:
    peer = await exchange.peer()
    clock.advance(100)
    assert stream.stream.age() == 100
    await event(peer, 1)
    await numbers(stream, 1)
    assert stream.stream.age() == 0
    clock.advance(30)
    stream.stream.proven()
    assert stream.stream.age() == 0
