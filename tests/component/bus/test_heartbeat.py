"""The heartbeat names its process, outlives an absence of Redis, and ends with its process."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from pms.bus import heartbeat
from pms.bus.connection import connect
from pms.bus.heartbeat import TTL_S, beat_forever, start_heartbeat
from pms.contract.names import ready_key
from pms.stack.processes import Heartbeats
from pms.stack.servers.redis import EmbeddedRedis

WITHIN_S = 10


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.02)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def beats(url: str) -> bool:
    """Whether our own heartbeat is there, with a life of ten seconds at most."""
    with Redis.from_url(url) as client:
        found = client.get(ready_key("part"))
        assert not found or 0 < client.ttl(ready_key("part")) <= TTL_S
    return found is not None and json.loads(found)["pid"] == os.getpid()


def test_a_thread_beats_until_it_is_told_to_stop(redis_url: str) -> None:
    stop = start_heartbeat(redis_url, "part", os.getpid())
    wait_for(lambda: beats(redis_url))
    stop.set()
    wait_for(lambda: not any(thread.name == "heartbeat" for thread in threading.enumerate()))


async def test_a_loop_beats_until_it_is_cancelled(redis_url: str) -> None:
    redis = connect(redis_url, name="part")
    beating = asyncio.create_task(beat_forever(redis, "part", os.getpid()))
    await asyncio.to_thread(wait_for, lambda: beats(redis_url))
    beating.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(20):
            await beating
    await redis.aclose()


def test_it_goes_on_when_redis_comes_back(servers_dir: Path) -> None:
    place = servers_dir / "beat"
    place.mkdir(mode=0o711)
    server = EmbeddedRedis(data_dir=place / "redis", runtime_dir=place / "r")
    with server:
        stop = start_heartbeat(server.url, "part", os.getpid())
        wait_for(lambda: beats(server.url))
        server.kill()
    with server:
        Redis.from_url(server.url).delete(ready_key("part"))
        wait_for(lambda: beats(server.url))
        stop.set()
        wait_for(lambda: not any(thread.name == "heartbeat" for thread in threading.enumerate()))


def test_a_supervisor_reads_of_its_own_process_alone_that_it_recovers_and_does_not_hang(
    redis_url: str,
) -> None:
    going_on = Heartbeats(redis_url).going_on("part")
    assert going_on(os.getpid()) is None
    told = {"recovering": True, "turnedAway": 3, "loaded": 7}
    stop = start_heartbeat(redis_url, "part", os.getpid(), more=lambda: told)
    wait_for(lambda: going_on(os.getpid()) == (3, 7))
    told["loaded"] = 8
    wait_for(lambda: going_on(os.getpid()) == (3, 8))
    assert going_on(os.getpid() + 1) is None
    told["recovering"] = False
    wait_for(lambda: going_on(os.getpid()) is None)
    stop.set()
