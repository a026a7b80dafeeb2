"""Plain commands that wait for a thread of a real worker are not as young as their record."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from real_worker import push, recorded, worker_of
from redis.asyncio import Redis

from pms.bus.requests import Requests
from pms.contract.names import Queue, Task

THREADS = 16
"""Of the orders' worker; it takes as many messages more, to hold them ready."""
LATE = THREADS + 4
HELD_MS, LATE_MS, PATIENT_MS = 3000, 500, 60_000


@pytest.fixture
async def worker(redis_url: str, redis: Redis, tmp_path: Path) -> AsyncIterator[None]:
    async with worker_of("orders", redis, redis_url, tmp_path):
        yield


async def order(redis: Redis, *, ttl_ms: int, wants_result: bool = False, priority: int = 0) -> str:
    """Push a plain market order."""
    fields = {
        "requestId": str(uuid4()),
        "subAccountId": "alice",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "quantity": "0.01",
        "ttlMs": ttl_ms,
    }
    return await push(
        redis, Task.TRADE, fields, queue=Queue.COMMANDS, wants_result=wants_result, priority=priority
    )


@pytest.mark.usefixtures("worker", "chain")
async def test_what_outlives_its_deadline_behind_busy_threads_is_refused(
    redis: Redis, requests: Requests
) -> None:
    # Nobody decides, and somebody wants the results: each thread is held until its command's deadline.
    held = [await order(redis, ttl_ms=HELD_MS, wants_result=True) for _ in range(THREADS)]
    for request_id in held:
        await recorded(requests, request_id)
    late = [await order(redis, ttl_ms=LATE_MS, priority=rank % 6) for rank in range(LATE)]
    patient = await order(redis, ttl_ms=PATIENT_MS)
    records = [await recorded(requests, request_id) for request_id in late]
    assert {json.loads(record.result or b"{}").get("code") for record in records} == {"STALE"}
    left = await recorded(requests, patient)
    assert left.decision is None
    assert left.deadline - left.at <= PATIENT_MS - LATE_MS, "what it waited is part of its time to live"


@pytest.mark.usefixtures("chain")
async def test_money_that_was_to_move_before_the_worker_began_does_not(
    redis: Redis, redis_url: str, requests: Requests, tmp_path: Path
) -> None:
    fields = {"requestId": str(uuid4()), "subAccountId": "alice", "amount": "5"}
    request_id = await push(redis, "pms.withdraw", fields, queue=Queue.COMMANDS)
    async with worker_of("orders", redis, redis_url, tmp_path):
        record = await recorded(requests, request_id)
    assert json.loads(record.result or b"{}").get("code") == "STALE"
