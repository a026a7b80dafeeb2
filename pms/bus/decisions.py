"""Waiting for decisions: one subscription a process, one future a waiting command.

Trap: an announcement can be missed (pub/sub keeps nothing). Whoever waits reads the record after
registering, and again before giving up.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.bus.journal import Announced, read_announced
from pms.contract.names import DECIDED

log = structlog.get_logger()


class Decisions:
    """Tells waiting flows that their command was decided."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis
        self._waiting: dict[str, set[asyncio.Future[Announced]]] = {}
        self.task: asyncio.Task[None] | None = None

    def expect(self, request_id: str) -> asyncio.Future[Announced]:
        """A future of the decision; read the record after asking for it."""
        future: asyncio.Future[Announced] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(request_id, set()).add(future)
        future.add_done_callback(lambda done: self._forget(request_id, done))
        return future

    async def run(self) -> None:
        """Listen for ever; a lost connection only means that waiting flows read for themselves."""
        while True:
            try:
                async with self._redis.pubsub() as listener:
                    await listener.subscribe(DECIDED)
                    while True:
                        message = await listener.get_message(ignore_subscribe_messages=True, timeout=1.0)
                        if message is not None:
                            self._tell(read_announced(message["data"]))
            except (RedisError, OSError) as error:
                log.warning("decisions_interrupted", error=str(error))
                await asyncio.sleep(0.2)
            except Exception:
                # Whoever waits reads for himself meanwhile, which is slow: the subscription must come back
                log.exception("decisions_failed")
                await asyncio.sleep(0.2)

    def _tell(self, announced: Announced) -> None:
        for future in list(self._waiting.get(announced.request_id, ())):
            if not future.done():
                future.set_result(announced)

    def _forget(self, request_id: str, future: asyncio.Future[Announced]) -> None:
        waiting = self._waiting.get(request_id)
        if waiting is not None:
            waiting.discard(future)
            if not waiting:
                del self._waiting[request_id]
