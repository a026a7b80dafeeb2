"""The sweep: commands whose deadline is over are answered, whoever lost them."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from pms.bus.requests import Requests


async def sweep_requests(redis: Redis, requests: Requests) -> int:
    """Answer the open commands whose deadline is over, and those that PostgreSQL has by now; how many."""
    untyped: Any = redis
    seconds, micros = await untyped.time()
    now = seconds * 1000 + micros // 1000
    answered = 0
    for request_id in await requests.open_since(now):
        record = await requests.read(request_id)
        if record is None or record.result is not None or record.deadline < now:
            answered += await requests.settle(request_id, record) is not None
    for request_id in await requests.folded():
        answered += await requests.settle(request_id) is not None
    return answered
