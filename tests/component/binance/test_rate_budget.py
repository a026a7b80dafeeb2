"""The rate budget that all processes share, on a real Redis: two budgets stand for two processes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from decimal import Decimal
from time import monotonic

import pytest
import pytest_asyncio
from budgets import USUAL, Budgets, no_retry
from redis.asyncio import Redis

from pms.binance.errors import Throttled
from pms.binance.limits import REFRESH_S, Grant, RateBudget
from pms.binance.windows import BOUNDARY_MS, Lane
from pms.contract.names import RATE_BUDGET, RATE_STOP


@pytest_asyncio.fixture
async def make(redis_url: str) -> AsyncIterator[Budgets]:
    """Two seconds into a minute: no window ends, or has just begun, while a test counts in it."""
    client = no_retry(redis_url)
    async with Budgets(client) as budgets:
        yield budgets
    await client.aclose()


@pytest.fixture
def redis(make: Budgets) -> Redis:
    return make.redis


async def use_up(
    budget: RateBudget, *, lane: Lane, orders: int = 1, weight: int = 0, account: str = ""
) -> tuple[int, Throttled]:
    """Acquire until there is no room; returns how often there was."""
    for granted in range(5000):
        try:
            await budget.acquire(weight=weight, orders=orders, lane=lane, account=account)
        except Throttled as error:
            return granted, error
    raise AssertionError("there was always room")


async def test_each_lane_has_its_reserve(make: Budgets) -> None:
    budget = make()
    counts = [(await use_up(budget, lane=lane))[0] for lane in ("open", "reduce")]
    assert counts == [255, 45]
    lanes: tuple[Lane, ...] = ("background", "query", "open", "reduce", "cancel", "vital")
    counts = [(await use_up(budget, lane=lane, orders=0, weight=10))[0] for lane in lanes]
    assert counts == [144, 36, 24, 12, 12, 12]


async def test_what_many_idle_processes_were_credited_leaves_room_to_start_anew(make: Budgets) -> None:
    """A day of two dozen processes, each of which asked once; then a streamer reads its order books."""
    for _ in range(24):
        await make().acquire(weight=1, lane="query")
    granted, _ = await use_up(make(), lane="query", orders=0, weight=20)
    assert granted * 20 > 1000


async def test_a_refusal_says_lane_limit_and_when_there_is_room(make: Budgets) -> None:
    _, error = await use_up(make(), lane="open")
    assert 0 < error.retry_after <= 10
    assert error.http is None
    assert "lane open may use 255 of the exchange's 300 orders_10s" in str(error)
    assert "room in" in str(error)


async def test_processes_share_one_budget(make: Budgets) -> None:
    first, second, third = make(), make(), make()
    total = 0
    for _ in range(40):
        for budget in (first, second):
            await budget.acquire(orders=3, lane="open")
            total += 3
    assert total == 240
    for _ in range(15):
        await second.acquire(orders=1, lane="open")
    with pytest.raises(Throttled):
        await third.acquire(orders=1, lane="open")
    await third.acquire(orders=1, lane="reduce")


async def test_while_there_is_room_a_request_costs_no_round_trip(make: Budgets, redis: Redis) -> None:
    budget = make()
    await budget.acquire(weight=1, lane="query")
    await budget.acquire(orders=1, lane="open", account="alice")
    before = await scripts_run(redis)
    for _ in range(24):
        await budget.acquire(weight=1, lane="query")
    for _ in range(4):
        await budget.acquire(orders=1, lane="open", account="alice")
    looks = await scripts_run(redis) - before
    assert looks <= 2, "only the looking task asked"
    await budget.close()
    assert int(await redis.hget(RATE_BUDGET, "used:1")) == 25, "credit is counted when it is given"
    assert int(await redis.hget(RATE_BUDGET, "used:3")) == 5


async def scripts_run(redis: Redis) -> int:
    return int((await redis.info("commandstats"))["cmdstat_evalsha"]["calls"])


async def test_the_limits_of_one_reach_the_others(make: Budgets) -> None:
    first, second = make(), make()
    await first.acquire(weight=1, lane="query")
    first.learn([{**row, "limit": 10} for row in USUAL])
    await first.close()
    assert (await use_up(second, lane="reduce"))[0] == 10


async def test_a_limit_that_is_not_advertised_does_not_limit(make: Budgets) -> None:
    first, second = make(), make()
    first.learn([])
    for _ in range(1000):
        await first.acquire(orders=1, weight=40, lane="open")
    await first.close()
    for _ in range(1000):
        await second.acquire(orders=1, weight=40, lane="open")


async def test_what_the_exchange_counted_counts_for_all(make: Budgets) -> None:
    first, second = make(), make()
    grant = await first.acquire(orders=1, lane="open")
    first.observe(
        Grant(grant.at + BOUNDARY_MS), {"X-MBX-ORDER-COUNT-10S": "299", "X-MBX-USED-WEIGHT-1M": "-1"}
    )
    with pytest.raises(Throttled):
        await first.acquire(orders=1, lane="open")
    await first.close()
    assert (await use_up(second, lane="reduce"))[0] == 1
    await second.acquire(weight=100, lane="query")


async def test_a_ban_stops_everybody_at_once(make: Budgets, redis: Redis) -> None:
    """The second has credit left and would not ask; it is told."""
    first, second, later = make(), make(), make()
    await second.acquire(weight=1, lane="query")
    await first.acquire(weight=1, lane="query")
    while (await redis.pubsub_numsub(RATE_STOP))[0][1] < 2:  # noqa: ASYNC110  Redis tells nobody
        await asyncio.sleep(0.01)
    first.block(30, orders_only=False)
    with pytest.raises(Throttled):
        await first.acquire(weight=1, lane="vital")
    with pytest.raises(Throttled):
        first.taken_before()
    async with asyncio.timeout(REFRESH_S / 2):
        error = await refusal(second)
    assert 20 < error.retry_after <= 30
    assert "nothing is sent" in str(error)
    with pytest.raises(Throttled):
        await later.acquire(weight=1, lane="vital")


@pytest.mark.parametrize(("away_s", "left_s"), [(3600, 0), (20, 40)])
async def test_a_ban_that_redis_learns_late_is_over_when_it_is_over(
    make: Budgets, redis: Redis, away_s: int, left_s: int
) -> None:
    """Redis was away when the exchange turned us away; what is told later is what is left of it."""
    moved_s = 0.0
    budget = make(lambda: moved_s)
    await budget.acquire(weight=1, lane="query")
    with pytest.MonkeyPatch.context() as away:
        away.setattr(budget, "_script", refused)
        budget.block(60, orders_only=False)
        await budget.close()
    moved_s = away_s
    if left_s:
        with pytest.raises(Throttled):
            await budget.acquire(weight=1, lane="query")
    else:
        await budget.acquire(weight=1, lane="query")
    await budget.close()
    assert await blocked_for_ms(redis) <= left_s * 1000


async def blocked_for_ms(redis: Redis) -> int:
    seconds, micros = await redis.time()
    blocked, ahead = await redis.hmget(RATE_BUDGET, "blocked", "ahead")
    return int(blocked or 0) - (seconds * 1000 + micros // 1000 + int(ahead))


async def refused(**_: object) -> None:
    raise ConnectionError("Redis is away")


async def refusal(budget: RateBudget) -> Throttled:
    """Ask until a process has heard of the ban."""
    while True:
        try:
            await budget.acquire(weight=1, lane="vital")
        except Throttled as error:
            return error
        await asyncio.sleep(0.002)


async def test_too_many_orders_stop_orders_alone(make: Budgets) -> None:
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


async def test_what_is_given_at_the_end_of_a_window_counts_in_the_next_too(make: Budgets) -> None:
    """It may arrive when the exchange's own has begun: a burst across the border is one burst."""
    budget = make()
    await make.at(9500)
    before, _ = await use_up(budget, lane="open")
    await make.at(10_001)
    after, _ = await use_up(budget, lane="reduce")
    assert (before, after) == (255, 45)
    await make.at(20_001)
    assert (await use_up(budget, lane="open"))[0] == 255, "and in that one only"


async def test_windows_begin_by_the_exchanges_clock(make: Budgets) -> None:
    first, second = make(), make()
    now = (await first.acquire(weight=1, lane="query")).at
    assert (await use_up(first, lane="open"))[0] == 255
    first.align(now + 8000)
    await first.close()
    assert (await second.acquire(orders=1, lane="open")).at - now >= 8000


async def test_the_state_is_shown(make: Budgets) -> None:
    first, second = make(), make()
    await first.acquire(weight=1000, orders=100, lane="open")
    weight, _, ten = (await second.view()).counts
    assert (weight.name, weight.used, weight.limit) == ("weight_1m", 1024, 2400)
    assert (weight.lanes["background"], weight.lanes["vital"]) == (416, 1376)
    assert (ten.used, ten.lanes["open"], ten.lanes["reduce"]) == (100, 155, 200)
    first.block(7, orders_only=False)
    await first.close()
    assert 6000 < (await second.view()).blocked_ms <= 7000
