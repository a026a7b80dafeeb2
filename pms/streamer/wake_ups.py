"""Waking a worker for an order that the streamer itself decided on.

A message is only a wake-up: one that is lost costs a quarter second, for then the streamer sends the order.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.bus.wake import wake_up
from pms.streamer.engine import TAKE_OVER_S, Engine

log = structlog.get_logger()


Wake = tuple[str, str, str]
"""A task, the order that it is for, and the queue."""


@dataclass(slots=True)
class WakeUps:
    """Pushes wake-ups; the order is on the engine's agenda from then on.

    What is wanted while a push is on its way goes with the next: two hundred orders at once take one
    connection of Redis, not all that there are, and the journal waits behind none of them.
    """

    engine: Engine
    redis: Redis
    new_id: Callable[[], str]
    spawn: Callable[[str, Coroutine[Any, Any, None]], object]
    _waiting: list[Wake] = field(default_factory=list)
    _pushing: bool = False

    def wake(self, task: str, client_order_id: str, *, queue: str) -> None:
        """Wake a worker of a queue for an order."""
        self.engine.agenda.put(client_order_id, in_s=TAKE_OVER_S)
        self._waiting.append((task, client_order_id, queue))
        if not self._pushing:
            self._pushing = True
            self.spawn("wake_up", self._push())

    async def _push(self) -> None:
        try:
            while self._waiting:
                wakes, self._waiting = self._waiting, []
                await push(self.redis, wakes, new_id=self.new_id)
        finally:
            self._pushing = False


async def push(redis: Redis, wakes: Sequence[Wake], *, new_id: Callable[[], str]) -> None:
    """Push the messages that wake workers, in one call."""
    try:
        async with redis.pipeline(transaction=False) as pipe:
            for task, order, queue in wakes:
                message = wake_up(task, queue=queue, task_id=new_id(), args=[order], new_tag=new_id)
                pipe.lpush(queue, message)
            await pipe.execute()
    except (RedisError, OSError) as error:
        log.warning("workers_not_woken", orders=[order for _, order, _ in wakes], error=str(error))
