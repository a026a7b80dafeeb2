"""Plain commands that wait for a thread of a real worker are not as young as their record."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from pms.bus.requests import Record, Requests
from pms.bus.wake import wake_up
from pms.contract.names import Queue, Task, ready_key

THREADS = 16
"""Of the orders' worker; it takes as many messages more, to hold them ready."""
LATE = THREADS + 4
HELD_MS, LATE_MS, PATIENT_MS = 3000, 500, 60_000
HANGS_S = 60.0


@pytest.fixture
async def worker(redis_url: str, redis: Redis, tmp_path: Path) -> AsyncIterator[None]:
    """A worker that is up, with an exchange at an address where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        settings = {
            "HOME": str(tmp_path),
            "REDIS_URL": redis_url,
            "BINANCE_REST_URL": f"http://127.0.0.1:{bound.getsockname()[1]}",
            "BINANCE_API_KEY": "key",
            "BINANCE_API_SECRET": "secret",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pms.tasks.worker", "orders"),
            env={**os.environ, **{f"PMS_{name}": value for name, value in settings.items()}},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await until(lambda: redis.exists(ready_key("worker-orders")))
            yield
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()


async def push(redis: Redis, *, ttl_ms: int) -> str:
    """A plain market order, as a gateway that speaks Celery pushes it."""
    request_id = str(uuid4())
    fields = {
        "requestId": request_id,
        "subAccountId": "alice",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "quantity": "0.01",
        "ttlMs": ttl_ms,
    }
    message = wake_up(
        Task.TRADE,
        queue=Queue.COMMANDS,
        task_id=request_id,
        args=cast("list[str]", [fields]),
        new_tag=lambda: str(uuid4()),
    )
    untyped: Any = redis
    await untyped.lpush(Queue.COMMANDS, message)
    return request_id


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    for _ in range(int(HANGS_S * 10)):
        if await holds():
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"still waiting after {HANGS_S:g} s")


async def recorded(requests: Requests, request_id: str) -> Record:
    await until(lambda: requests.read(request_id))
    record = await requests.read(request_id)
    assert record is not None
    return record


@pytest.mark.usefixtures("worker", "chain")
async def test_what_outlives_its_deadline_behind_busy_threads_is_refused(
    redis: Redis, requests: Requests
) -> None:
    # Nobody decides: each thread is held until its command's deadline.
    held = [await push(redis, ttl_ms=HELD_MS) for _ in range(THREADS)]
    for request_id in held:
        await recorded(requests, request_id)
    late = [await push(redis, ttl_ms=LATE_MS) for _ in range(LATE)]
    patient = await push(redis, ttl_ms=PATIENT_MS)
    records = [await recorded(requests, request_id) for request_id in late]
    assert {json.loads(record.result or b"{}").get("code") for record in records} == {"STALE"}
    left = await recorded(requests, patient)
    assert left.decision is None
    assert left.deadline - left.at <= PATIENT_MS - LATE_MS, "what it waited is part of its time to live"
