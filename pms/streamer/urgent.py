"""Waking a worker for an order that takes risk away; a lost message only costs a quarter second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.bus.wake import wake_up
from pms.contract import names

log = structlog.get_logger()


async def wake_urgent(redis: Redis, client_order_id: str, *, new_id: Callable[[], str]) -> None:
    """Push the message that lets an urgent worker place an order."""
    untyped: Any = redis
    message = wake_up(
        names.Task.PLACE,
        queue=names.Queue.URGENT,
        task_id=new_id(),
        args=[client_order_id],
        new_tag=new_id,
    )
    try:
        await untyped.lpush(names.Queue.URGENT, message)
    except (RedisError, OSError) as error:
        log.warning("urgent_not_woken", order=client_order_id, error=str(error))
