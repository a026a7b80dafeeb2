"""A connection to Redis ends when it is cancelled, and a command that cannot be written raises in time."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisGone
from redis.exceptions import TimeoutError as RedisTimeout

from pms.bus.connection import connect
from pms.stack.servers.redis import EmbeddedRedis

TURNS = 40
"""As many turns of the loop as a command takes before its answer is awaited, and more."""
MORE_THAN_A_SOCKET_HOLDS = b"x" * 32_000_000


@pytest.fixture
def own_redis(servers_dir: Path) -> Iterator[EmbeddedRedis]:
    place = servers_dir / "connection"
    place.mkdir(mode=0o711, exist_ok=True)
    with EmbeddedRedis(data_dir=place / "redis", runtime_dir=place / "r") as server:
        yield server


async def test_a_command_that_is_cancelled_while_it_is_written_ends_its_task(redis_url: str) -> None:
    redis: Any = connect(redis_url, name="part")
    await redis.ping()
    went_on = []
    for turns in range(TURNS):
        looping = asyncio.create_task(_for_ever(redis))
        for _ in range(turns):
            await asyncio.sleep(0)
        looping.cancel()
        await asyncio.wait([looping], timeout=5)
        if not looping.done():
            went_on.append(turns)
            looping.cancel()
    await redis.aclose()
    assert went_on == []


async def _for_ever(redis: Any) -> None:
    await redis.ping()
    await asyncio.Event().wait()


async def test_a_command_that_nobody_reads_is_given_up_and_its_connection_left(
    own_redis: EmbeddedRedis,
) -> None:
    redis: Any = connect(own_redis.url, name="part", timeout_s=0.5, connections=1)
    await redis.ping()
    os.kill(own_redis.pid, signal.SIGSTOP)
    try:
        with pytest.raises(RedisTimeout, match="written"):
            await redis.set("a", MORE_THAN_A_SOCKET_HOLDS)
    finally:
        os.kill(own_redis.pid, signal.SIGCONT)
    assert await redis.ping()
    assert await redis.get("a") is None
    await redis.aclose()


async def test_a_command_to_a_server_that_died_says_so(own_redis: EmbeddedRedis) -> None:
    redis: Any = connect(own_redis.url, name="part", connections=1)
    async with redis.client() as held:
        await held.ping()
        os.kill(own_redis.pid, signal.SIGKILL)
        with pytest.raises(RedisGone, match="written"):
            await held.connection.send_packed_command(MORE_THAN_A_SOCKET_HOLDS)
        assert not held.connection.is_connected
    await redis.aclose()
