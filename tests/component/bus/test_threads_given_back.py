"""What waits for room, or for a decision that nobody makes, keeps no thread: a halt behind it is recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from chain import Chain, redis_ms
from real_worker import push, recorded, until, worker_of
from redis.asyncio import Redis

from pms.bus.requests import Requests
from pms.contract import names
from pms.contract.names import Queue, Task
from pms.flows.serve import LATEST_S, MOST_POLL_S

THREADS = 8
"""Of the urgent worker."""

SOON_S = 2.5
DEADLINE_MS, TTL_MS = 8000, 1000


@pytest.fixture
async def worker(redis_url: str, redis: Redis, tmp_path: Path) -> AsyncIterator[None]:
    async with worker_of("urgent", redis, redis_url, tmp_path):
        yield


async def halt(redis: Redis) -> str:
    """Push a plain halt behind all else."""
    fields = {"requestId": str(uuid4()), "reason": "a test", "actor": "me"}
    return await push(redis, Task.HALT, fields, queue=Queue.URGENT)


@pytest.mark.usefixtures("worker")
async def test_orders_that_wait_for_room_hold_up_no_halt(redis: Redis, chain: Chain) -> None:
    deadline = await redis_ms(redis) + DEADLINE_MS
    await redis.hset(names.RATE_BUDGET, "blocked", deadline + 60_000)
    orders = [await chain.order(f"PMS_alice_M_{n}", deadline=deadline) for n in range(THREADS + 2)]
    for order in orders:
        await push(redis, Task.PLACE, order, queue=Queue.URGENT)
    await halt(redis)
    await until(lambda: redis.exists(names.HALT), within_s=SOON_S)
    assert not await redis.exists(*map(names.right_key, orders))


@pytest.mark.usefixtures("worker", "chain")
async def test_commands_that_nobody_may_expire_hold_up_no_halt(redis: Redis, requests: Requests) -> None:
    await redis.hset(names.EPOCH, "known", "another life")
    for _ in range(THREADS):
        await requests.submit(Task.CANCEL, cancel(), door="test")
    request_id = await halt(redis)
    await until(lambda: redis.exists(names.HALT), within_s=SOON_S)
    record = await recorded(requests, request_id)
    assert record.decision is None


@pytest.mark.usefixtures("worker", "chain")
async def test_who_wants_the_result_of_such_a_command_waits_for_it_and_no_longer(redis: Redis) -> None:
    await redis.hset(names.EPOCH, "known", "another life")
    for _ in range(THREADS):
        fields = {**cancel(), "ttlMs": TTL_MS}
        await push(redis, Task.CANCEL, fields, queue=Queue.URGENT, wants_result=True)
    await halt(redis)
    await until(lambda: redis.exists(names.HALT), within_s=TTL_MS / 1000 + LATEST_S + MOST_POLL_S + SOON_S)


def cancel() -> dict[str, str]:
    return {"requestId": str(uuid4()), "clientOrderId": "PMS_alice_M_1"}
