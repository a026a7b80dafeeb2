"""What a worker process holds for its tasks: one asyncio loop in one thread, and its connections.

Celery's threads hand their flows to the loop and wait. So all of a worker's REST calls share one
kept-alive session, and none of its code needs a lock.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

import aiohttp
import structlog
import uvloop
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.binance.client import ExchangeClient, open_session
from pms.binance.limits import RateBudget
from pms.bus.connection import connect
from pms.config import ConfigError, Settings, load_settings
from pms.db.engine import create
from pms.flows.place import synced
from pms.flows.serve import Serving
from pms.tasks.once import once
from pms.tasks.wiring import wire

log = structlog.get_logger()
T = TypeVar("T")
SEND_S = 3.5
"""A send that has its right is over by then: a request lasts 3 s at most."""

CANCEL_S = 0.5


@dataclass(frozen=True, slots=True)
class Runtime:
    """One worker process's loop and connections."""

    settings: Settings
    loop: asyncio.AbstractEventLoop
    redis: Redis
    session: aiohttp.ClientSession
    client: ExchangeClient
    budget: RateBudget
    serving: Serving

    def run(self, flow: Coroutine[Any, Any, T]) -> T:
        """Run a flow on the loop and wait for it, from a task's thread."""
        return asyncio.run_coroutine_threadsafe(flow, self.loop).result()

    def close(self) -> None:
        """Close the connections; flows still running are cut off, which they survive."""
        asyncio.run_coroutine_threadsafe(self._close(), self.loop).result(timeout=5)

    async def _close(self) -> None:
        if self.serving.sending:
            await asyncio.wait(self.serving.sending, timeout=SEND_S)
            # They wait for room, or were decided just now: under a closed session a right would be taken in
            # vain. Of one that has just been taken the exchange is asked, as if we had died.
            waiting = {send for send in self.serving.sending if not send.done()}
            for send in waiting:
                send.cancel()
            if waiting:
                await asyncio.wait(waiting, timeout=CANCEL_S)
        await self.budget.close()
        await self.session.close()
        await self.redis.aclose()


@once
def database() -> AsyncEngine:
    """This process's PostgreSQL, for the roles that use it; belongs to the flows' loop."""
    address = runtime().settings.database_url
    if address is None:
        raise ConfigError("PMS_DATABASE_URL is not set: is `pms up` running?")
    return create(address, name="pms-worker")


@once
def runtime() -> Runtime:
    """This process's runtime, made on first use: after any fork, and never twice."""
    loop = uvloop.new_event_loop()
    threading.Thread(target=loop.run_forever, name="flows", daemon=True).start()
    try:
        return asyncio.run_coroutine_threadsafe(build(loop), loop).result(timeout=30)
    except BaseException:
        loop.call_soon_threadsafe(loop.stop)
        raise


async def build(loop: asyncio.AbstractEventLoop) -> Runtime:
    """Make a runtime on this loop, whether or not the exchange can be reached.

    Its clock is learnt at once if it can be, and else by the first request whose timestamp it refuses: what
    is signed by a wrong clock executes nothing, or dies by the very time that its send right tells.
    """
    settings = load_settings()
    if settings.redis_url is None:
        raise ConfigError("PMS_REDIS_URL is not set: is `pms up` running?")
    redis = connect(settings.redis_url, name="worker", connections=64)
    session = open_session()
    wired = wire(
        settings,
        redis=redis,
        decisions_redis=connect(settings.redis_url, name="decisions", connections=2),
        session=session,
        sender=f"worker:{socket.gethostname()}:{os.getpid()}",
        monotonic=time.monotonic,
        now_ms=lambda: time.time_ns() // 1_000_000,
        new_id=lambda: str(uuid4()),
    )
    decisions = wired.serving.decisions
    decisions.task = loop.create_task(decisions.run())
    await synced(wired.serving.placing)
    return Runtime(settings, loop, redis, session, wired.client, wired.budget, wired.serving)
