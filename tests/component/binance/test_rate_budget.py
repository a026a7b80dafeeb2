"""The rate budget that all processes share, on a real Redis: two budgets stand for two processes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from time import monotonic

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from pms.binance.errors import Throttled
from pms.binance.limits import KEY, RateBudget
from pms.binance.windows import BOUNDARY_MS, Lane

USUAL = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
]
MakeBudget = Callable[[], RateBudget]


def no_retry(url: str) -> Redis:
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=2)


@pytest_asyncio.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = no_retry(redis_url)
    await client.delete(KEY)
    await _middle_of_a_window(client)
    yield client
    await client.delete(KEY)
    await client.aclose()


@pytest_asyncio.fixture
async def make(redis: Redis) -> AsyncIterator[MakeBudget]:
    """Make budgets, each one process's own, that are closed after the test."""
    async with AsyncExitStack() as stack:

        def one() -> RateBudget:
            budget = RateBudget(redis, share=Decimal(1), monotonic=monotonic)
            stack.push_async_callback(budget.close)
            return budget

        yield one


async def _middle_of_a_window(redis: Redis) -> None:
    """Let no window end, or have just begun, while a test counts in it."""
    seconds, micros = await redis.time()
    into = seconds % 10 + micros / 1e6
    if not BOUNDARY_MS / 1000 < into < 7:
        await asyncio.sleep((BOUNDARY_MS / 1000 + 0.05 - into) % 10)


async def use_up(
    budget: RateBudget, *, lane: Lane, orders: int = 1, weight: int = 0
) -> tuple[int, Throttled]:
    """Acquire until there is no room; returns how often there was."""
    for granted in range(5000):
        try:
            await budget.acquire(weight=weight, orders=orders, lane=lane)
        except Throttled as error:
            return granted, error
    raise AssertionError("there was always room")


async def test_each_lane_has_its_reserve(make: MakeBudget) -> None:
    budget = make()
    counts = [(await use_up(budget, lane=lane))[0] for lane in ("open", "reduce", "cancel")]
    assert counts == [240, 30, 30]
    _, error = await use_up(budget, lane="cancel")
    assert 0 < error.retry_after <= 10
    assert error.http is None


async def test_processes_share_one_budget(make: MakeBudget) -> None:
    first, second, third = make(), make(), make()
    total = 0
    for _ in range(40):
        for budget in (first, second):
            await budget.acquire(orders=3, lane="open")
            total += 3
    assert total == 240
    with pytest.raises(Throttled):
        await third.acquire(orders=1, lane="open")
    await third.acquire(orders=1, lane="reduce")


async def test_many_at_once_never_take_more_than_there_is(make: MakeBudget) -> None:
    """All start with a calm view; each may overdraw by what it takes before it tells: 5 % of the limit."""
    budgets = [make() for _ in range(4)]
    for budget in budgets:
        await budget.acquire(weight=1, lane="query")

    async def greedy(budget: RateBudget) -> int:
        return (await use_up(budget, lane="cancel"))[0]

    assert sum(await asyncio.gather(*map(greedy, budgets))) <= 300


async def test_while_there_is_room_a_request_costs_no_round_trip(make: MakeBudget, redis: Redis) -> None:
    budget = make()
    await budget.acquire(orders=1, lane="open")
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    for _ in range(10):
        await budget.acquire(orders=1, lane="open")
    after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after == before
    await budget.close()
    assert int(await redis.hget(KEY, "used:3")) == 11


async def test_the_limits_of_one_reach_the_others(make: MakeBudget) -> None:
    first, second = make(), make()
    await first.acquire(weight=1, lane="query")
    first.learn([{**row, "limit": 10} for row in USUAL])
    await first.close()
    assert (await use_up(second, lane="cancel"))[0] == 10


async def test_a_limit_that_is_not_advertised_does_not_limit(make: MakeBudget) -> None:
    first, second = make(), make()
    first.learn([])
    for _ in range(1000):
        await first.acquire(orders=1, weight=40, lane="open")
    await first.close()
    for _ in range(1000):
        await second.acquire(orders=1, weight=40, lane="open")


async def test_what_the_exchange_counted_counts_for_all(make: MakeBudget) -> None:
    first, second = make(), make()
    grant = await first.acquire(orders=1, lane="open")
    first.observe(grant, {"X-MBX-ORDER-COUNT-10S": "299", "X-MBX-USED-WEIGHT-1M": "-1"})
    with pytest.raises(Throttled):
        await first.acquire(orders=1, lane="open")
    await first.close()
    assert (await use_up(second, lane="cancel"))[0] == 1
    await second.acquire(weight=100, lane="query")


async def test_a_ban_stops_everybody(make: MakeBudget) -> None:
    first, second = make(), make()
    await second.acquire(weight=1, lane="query")
    await first.acquire(weight=1, lane="query")
    first.block(30, orders_only=False)
    with pytest.raises(Throttled):
        await first.acquire(weight=1, lane="cancel")
    await first.close()
    async with asyncio.timeout(5):
        error = await _refusal(second)
    assert 20 < error.retry_after <= 30


async def _refusal(budget: RateBudget) -> Throttled:
    """Ask until a process that looks only now and then has heard of the ban."""
    while True:
        try:
            await budget.acquire(weight=1, lane="cancel")
        except Throttled as error:
            return error
        await asyncio.sleep(0.02)


async def test_too_many_orders_stop_orders_alone(make: MakeBudget) -> None:
    first, second = make(), make()
    await first.acquire(orders=1, lane="open")
    first.block(0, orders_only=True)
    await first.acquire(weight=1, lane="cancel")
    with pytest.raises(Throttled):
        await first.acquire(orders=1, lane="reduce")
    await first.close()
    await second.acquire(weight=1, lane="query")
    with pytest.raises(Throttled):
        await second.acquire(orders=1, lane="reduce")


@pytest_asyncio.fixture
async def lost() -> AsyncIterator[RateBudget]:
    """A budget whose Redis refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = no_retry(f"redis://127.0.0.1:{taken.getsockname()[1]}/0")
        budget = RateBudget(client, share=Decimal(1), monotonic=monotonic)
        yield budget
        await budget.close()
        await client.aclose()


async def test_without_redis_nothing_is_opened_and_everything_can_be_cancelled(lost: RateBudget) -> None:
    for _ in range(3):
        with pytest.raises(Throttled, match="cannot be read"):
            await lost.acquire(orders=1, lane="open")
        for _ in range(20):
            await lost.acquire(weight=1, lane="cancel")
            await lost.acquire(weight=1, lane="query")
            await lost.acquire(orders=1, lane="reduce")


async def test_without_redis_the_own_count_still_limits(lost: RateBudget) -> None:
    granted, _ = await use_up(lost, lane="cancel", orders=0, weight=40)
    assert granted <= 60
