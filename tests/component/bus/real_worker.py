"""A real worker process on a Redis, and plain messages as a gateway that speaks Celery pushes them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from bisect import bisect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import msgspec
import pytest
from kombu.transport.redis import PRIORITY_STEPS, Channel
from redis.asyncio import Redis

from pms.bus.requests import Record, Requests
from pms.bus.wake import wake_up
from pms.contract.names import ready_key

HANGS_S = 60.0


@asynccontextmanager
async def worker_of(
    role: str,
    redis: Redis,
    redis_url: str,
    home: Path,
    *,
    ends_by: signal.Signals = signal.SIGKILL,
    **more: str,
) -> AsyncIterator[None]:
    """A worker that is up, with an exchange at an address where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        settings = {
            "HOME": str(home),
            "REDIS_URL": redis_url,
            "BINANCE_REST_URL": f"http://127.0.0.1:{bound.getsockname()[1]}",
            "BINANCE_API_KEY": "key",
            "BINANCE_API_SECRET": "secret",
            **more,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pms.tasks.worker", role),
            env={**os.environ, **{f"PMS_{name}": value for name, value in settings.items()}},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await until(lambda: redis.exists(ready_key(f"worker-{role}")))
            yield
        finally:
            process.send_signal(ends_by)
            await process.wait()


async def push(
    redis: Redis, task: str, argument: object, *, queue: str, wants_result: bool = False, priority: int = 0
) -> str:
    """Push a message with one argument; returns its id, a plain command's own if it has one."""
    request_id = str(argument["requestId"]) if isinstance(argument, dict) else str(uuid4())
    message = wake_up(
        task,
        queue=queue,
        task_id=request_id,
        args=cast("list[str]", [argument]),
        new_tag=lambda: str(uuid4()),
    )
    if wants_result:
        envelope = msgspec.json.decode(message)
        envelope["headers"]["ignore_result"] = False
        message = msgspec.json.encode(envelope)
    step = PRIORITY_STEPS[bisect(PRIORITY_STEPS, priority) - 1]
    untyped: Any = redis
    await untyped.lpush(f"{queue}{Channel.sep}{step}" if step else queue, message)
    return request_id


async def until(holds: Callable[[], Awaitable[object]], *, within_s: float = HANGS_S) -> None:
    for _ in range(int(within_s * 20)):
        if await holds():
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"still waiting after {within_s:g} s")


async def recorded(requests: Requests, request_id: str) -> Record:
    await until(lambda: requests.read(request_id))
    record = await requests.read(request_id)
    assert record is not None
    return record
