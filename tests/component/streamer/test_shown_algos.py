"""Redis lost that an algo has ended, and the books have it: no page shows for ever that it runs."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "domain" / "algos"))

from position_world import PositionWorld

from pms.bus.connection import connect
from pms.contract.events import AlgoEvent
from pms.contract.journal import AlgoRow, Entry, Rows
from pms.contract.money import encode
from pms.contract.names import algo_key
from pms.db.load import LoadedState
from pms.streamer.shown_algos import ended, forget_ended

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


def row(algo_id: str, *, ended_at: int | None) -> AlgoRow:
    nothing: dict[str, Any] = dict.fromkeys(AlgoRow.__struct_fields__)
    return AlgoRow(**{**nothing, "id": algo_id, "kind": "trail_stop", "ended_at": ended_at})


def test_what_ended_behind_the_snapshot_has_ended_and_what_was_taken_up_again_has_not() -> None:
    """Redis loses its last second; the snapshot is older than that, and the archive has it."""
    tail = [
        Entry(v=1, seq=seq, prev=seq - 1, at=1, kind="algo", rows=Rows(algos=rows))
        for seq, rows in enumerate(
            [
                (row("behind", ended_at=None), row("again", ended_at=None)),
                (row("behind", ended_at=5),),
                (row("runs", ended_at=None),),
            ],
            start=1,
        )
    ]
    empty: dict[str, Any] = {each.name: [] for each in fields(LoadedState)}
    state = LoadedState(**empty)
    state = replace(state, ended_algos=[("trail_stop", "before"), ("trail_stop", "again")], tail=tail)
    assert ended(state) == [("trail_stop", "before"), ("trail_stop", "behind")]


async def test_nothing_that_ended_asks_redis_nothing(redis: Redis) -> None:
    await forget_ended(redis, [])
