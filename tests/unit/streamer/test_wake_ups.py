"""Wake-ups leave together: a crowd of orders takes one connection of Redis, and none is forgotten."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Coroutine
from typing import Any, cast

from pms.contract import names
from pms.streamer.wake_ups import WakeUps


class Pipe:
    """One call to Redis; how many are on their way at once is counted."""

    def __init__(self, redis: SlowRedis) -> None:
        self.redis, self.pushed = redis, list[tuple[str, str]]()

    async def __aenter__(self) -> Pipe:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def lpush(self, queue: str, message: bytes) -> None:
        body = json.loads(base64.b64decode(json.loads(message)["body"]))
        self.pushed.append((queue, body[0][0]))

    async def execute(self) -> None:
        self.redis.calls += 1
        self.redis.now += 1
        self.redis.most = max(self.redis.most, self.redis.now)
        await asyncio.sleep(0)
        self.redis.now -= 1
        if self.redis.calls == self.redis.fails_at:
            raise OSError("gone")
        self.redis.pushed += self.pushed


class SlowRedis:
    def __init__(self, *, fails_at: int = 0) -> None:
        self.calls = self.now = self.most = 0
        self.fails_at = fails_at
        self.pushed: list[tuple[str, str]] = []

    def pipeline(self, *, transaction: bool) -> Pipe:
        assert not transaction
        return Pipe(self)


async def woken(redis: SlowRedis, bursts: int) -> list[str]:
    """Wake workers for bursts of orders; who was put on the agenda."""
    due, tasks = list[str](), list[asyncio.Task[None]]()
    engine = type(
        "Engine", (), {"agenda": type("A", (), {"put": staticmethod(lambda o, in_s: due.append(o))})}
    )

    def spawn(name: str, work: Coroutine[Any, Any, None]) -> None:
        tasks.append(asyncio.create_task(work, name=name))

    ups = WakeUps(cast("Any", engine), cast("Any", redis), lambda: "id", spawn)
    for burst in range(bursts):
        for number in range(100):
            ups.wake(names.Task.PLACE, f"{burst}-{number}", queue=names.Queue.ORDERS)
        for _ in range(burst):
            await asyncio.sleep(0)
    while tasks:
        await tasks.pop()
    return due


async def test_a_crowd_of_orders_leaves_one_call_at_a_time_and_in_order() -> None:
    redis = SlowRedis()
    due = await woken(redis, 6)
    assert [order for _, order in redis.pushed] == due
    assert len(due) == 600
    assert redis.most == 1
    assert redis.calls <= 6


async def test_a_call_that_failed_stops_none_behind_it() -> None:
    redis = SlowRedis(fails_at=1)
    due = await woken(redis, 6)
    # What was lost is on the agenda: the streamer sends it itself
    assert len(due) == 600
    assert {order for _, order in redis.pushed} >= {f"5-{number}" for number in range(100)}
