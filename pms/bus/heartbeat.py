"""Heartbeats: `pms:ready:{name}` tells that a process is up, and which one.

The key lives ten seconds and is rewritten every two: a process that hangs loses it. Its value names the
process by id and start, counts the beats, and carries what the process itself tells of its progress.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from typing import Any, Protocol

import structlog
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from pms.bus.process_id import ProcessId
from pms.contract.names import ready_key

log = structlog.get_logger()
TTL_S = 10
EVERY_S = 2.0


class Progress(Protocol):
    """What a process tells of itself with each beat."""

    def __call__(self) -> dict[str, Any]: ...


def _nothing() -> dict[str, Any]:
    return {}


class _Beats:
    """The values of one process's beats; each differs from the one before."""

    def __init__(self, pid: int, more: Progress) -> None:
        self._who = {"pid": pid, "created": ProcessId.of(pid).created, "host": socket.gethostname()}
        self._more = more
        self._count = 0

    def next(self) -> str:
        self._count += 1
        return json.dumps({**self._who, "beat": self._count, **self._more()})


async def beat_forever(
    redis: Redis, name: str, pid: int, *, every_s: float | None = None, more: Progress = _nothing
) -> None:
    """Beat from an event loop, as long as the loop lives and is not blocked."""
    untyped: Any = redis
    beats = _Beats(pid, more)
    while True:
        try:
            await untyped.set(ready_key(name), beats.next(), ex=TTL_S)
        except (RedisError, OSError) as error:
            log.warning("heartbeat_missed", error=str(error))
        await asyncio.sleep(EVERY_S if every_s is None else every_s)


def start_heartbeat(url: str, name: str, pid: int, *, more: Progress = _nothing) -> threading.Event:
    """Beat from a daemon thread; set the returned event to stop."""
    stop, beats = threading.Event(), _Beats(pid, more)
    redis = BlockingRedis.from_url(
        url, retry=Retry(NoBackoff(), 0), socket_timeout=2, client_name=f"{name}-heartbeat"
    )

    def beat() -> None:
        while not stop.is_set():
            try:
                redis.set(ready_key(name), beats.next(), ex=TTL_S)
            except (RedisError, OSError) as error:
                log.warning("heartbeat_missed", error=str(error))
            stop.wait(EVERY_S)

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    return stop
