"""Heartbeats: `pms:ready:{name}` tells that a process is up, and which one.

The key lives ten seconds and is rewritten every two: a process that hangs loses it.
"""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import structlog
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

log = structlog.get_logger()
TTL_S = 10
EVERY_S = 2.0


def ready_key(name: str) -> str:
    """Where a process's heartbeat lies."""
    return f"pms:ready:{name}"


def _value(pid: int) -> str:
    return json.dumps({"pid": pid})


async def beat_forever(redis: Redis, name: str, pid: int) -> None:
    """Beat from an event loop, as long as the loop lives and is not blocked."""
    untyped: Any = redis
    while True:
        try:
            await untyped.set(ready_key(name), _value(pid), ex=TTL_S)
        except (RedisError, OSError) as error:
            log.warning("heartbeat_missed", error=str(error))
        await asyncio.sleep(EVERY_S)


def start_heartbeat(url: str, name: str, pid: int) -> threading.Event:
    """Beat from a daemon thread; set the returned event to stop."""
    stop = threading.Event()
    redis = BlockingRedis.from_url(
        url, retry=Retry(NoBackoff(), 0), socket_timeout=2, client_name=f"{name}-heartbeat"
    )

    def beat() -> None:
        while not stop.is_set():
            try:
                redis.set(ready_key(name), _value(pid), ex=TTL_S)
            except (RedisError, OSError) as error:
                log.warning("heartbeat_missed", error=str(error))
            stop.wait(EVERY_S)

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    return stop
