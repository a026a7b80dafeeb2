"""Redis lost that an algo has ended, and the books have it: no page shows for ever that it runs."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "domain" / "algos"))

from position_world import PositionWorld

from pms.bus.connection import connect
from pms.contract.events import AlgoEvent
from pms.contract.money import encode
from pms.contract.names import algo_key
from pms.streamer.shown_algos import forget_ended

KEY = "pms:trailstop:"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(redis_url, name="test") as redis:
        yield redis


def told() -> tuple[str, list[AlgoEvent]]:
    """A trailing stop that is started and cancelled, and all that was told of it."""
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.05")
    algo = world.start("pms.trail_stop", positionId=world.position_id, callbackPct="1")
    world.conduct(algo.id)
    world.ask("pms.cancel_algo", None, algoId=algo.id)
    world.conduct(algo.id)
    events = [event for posting in world.postings for event in posting.events if isinstance(event, AlgoEvent)]
    return algo.id, events


async def shown(redis: Redis, events: list[AlgoEvent]) -> dict[str, bytes]:
    """Show algos as they were told; returns what is shown."""
    untyped: Any = redis
    found = {algo_key(event.type.removesuffix("_progress"), event.algo_id): encode(event) for event in events}
    for key, text in found.items():
        await untyped.set(key, text)
    return found


async def test_one_that_is_over_and_shown_as_it_ran_is_forgotten(redis: Redis) -> None:
    algo_id, events = told()
    assert [event.status for event in events][:: len(events) - 1] == ["running", "cancelled"]
    (key,) = await shown(redis, events[:-1])
    assert key == f"{KEY}{algo_id}"
    await forget_ended(redis, [("trail_stop", algo_id), ("chase", "never-shown")])
    assert await redis.get(key) is None


async def test_what_is_shown_of_its_end_and_of_those_that_run_is_kept(redis: Redis) -> None:
    over, events = told()
    assert events[-1].algo_id == over
    runs = events[0].model_copy(update={"algo_id": "runs"})
    kept = await shown(redis, [events[-1], runs])
    await forget_ended(redis, [("trail_stop", over)])
    assert {key: await redis.get(key) for key in kept} == kept


async def test_nothing_that_ended_asks_redis_nothing(redis: Redis) -> None:
    await forget_ended(redis, [])
