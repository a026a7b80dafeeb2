"""Waking a worker for an order that the streamer itself decided on.

A message is only a wake-up: one that is lost costs a quarter second, for then the streamer sends the order.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.bus.wake import wake_up
from pms.streamer.engine import TAKE_OVER_S, Engine

log = structlog.get_logger()


@dataclass(slots=True)
class WakeUps:
    """Pushes wake-ups; the order is on the engine's agenda from then on."""

    engine: Engine
    redis: Redis
    new_id: Callable[[], str]
    spawn: Callable[[str, Coroutine[Any, Any, None]], object]

    def wake(self, task: str, client_order_id: str, *, queue: str) -> None:
        """Wake a worker of a queue for an order."""
        self.engine.agenda.put(client_order_id, in_s=TAKE_OVER_S)
        self.spawn("wake_up", push(self.redis, task, client_order_id, queue=queue, new_id=self.new_id))


async def push(
    redis: Redis, task: str, client_order_id: str, *, queue: str, new_id: Callable[[], str]
) -> None:
    """Push the message that wakes a worker of a queue."""
    untyped: Any = redis
    message = wake_up(task, queue=queue, task_id=new_id(), args=[client_order_id], new_tag=new_id)
    try:
        await untyped.lpush(queue, message)
    except (RedisError, OSError) as error:
        log.warning("worker_not_woken", task=task, order=client_order_id, error=str(error))
