"""What a Redis without memory refuses, held against a real one that has none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
import redis as library
from redis.exceptions import OutOfMemoryError, ResponseError

from pms.bus.connection import connect
from pms.sim.machines.loop import Loop
from pms.sim.machines.network import Network
from pms.sim.machines.redis import commands
from pms.sim.machines.redis.client import Client
from pms.sim.machines.redis.scripts import Scripts
from pms.sim.machines.redis.server import Server

FIRST = "redis.call('SET', KEYS[1], 'x') return 1"
BEHIND_A_DELETE = "redis.call('DEL', KEYS[2]) redis.call('SET', KEYS[1], 'x') return 1"
BEHIND_A_LOOK = "redis.call('GET', KEYS[2]) redis.call('SET', KEYS[1], 'x') return 1"


@pytest.fixture
def full(redis_url: str) -> Iterator[str]:
    """A real Redis without memory, which holds two keys."""
    client = library.Redis.from_url(redis_url)
    before = client.config_get("maxmemory")["maxmemory"]
    client.set("kept", "y")
    client.lpush("list", "z")
    client.config_set("maxmemory", "1")
    try:
        yield redis_url
    finally:
        client.config_set("maxmemory", before)
        client.close()


def test_each_command_of_ours_has_the_flags_that_redis_gives_it(redis_url: str) -> None:
    client = library.Redis.from_url(redis_url)
    known = [name.decode() for name in (*commands.TABLE, b"BLMOVE")]
    told = client.execute_command("COMMAND", "INFO", *known)
    flags = {name: {str(flag) for flag in about["flags"]} for name, about in told.items()}
    client.close()
    assert len(flags) == len(known)
    grow = {name.upper().encode() for name, each in flags.items() if "denyoom" in each}
    write = {name.upper().encode() for name, each in flags.items() if "write" in each}
    assert (grow, write) == (set(commands.GROWS), set(commands.WRITES))


async def script(redis: Any, text: str) -> str:
    """What becomes of a script; a Redis before 7 tells its error as the script's own."""
    try:
        await redis.register_script(text)(keys=["new", "kept"], args=[])
    except ResponseError as error:
        return "refused" if "OOM" in str(error) else str(error)
    return "done"


async def transaction(redis: Any, *, whole: bool) -> str:
    """What becomes of commands that travel together, of which the second needs memory."""
    async with redis.pipeline(transaction=whole) as pipe:
        pipe.delete("list")
        pipe.set("new", "x")
        try:
            await pipe.execute()
        except OutOfMemoryError:
            return f"refused, list is there: {bool(await redis.exists('list'))}"
    return "done"


async def course(redis: Any) -> list[str]:
    """All of it, in order."""
    told = [await transaction(redis, whole=True), await transaction(redis, whole=False)]
    return told + [await script(redis, text) for text in (FIRST, BEHIND_A_LOOK, BEHIND_A_DELETE)]


async def on_real(url: str) -> list[str]:
    redis = connect(url, name="full", connections=2)
    try:
        return await course(redis)
    finally:
        await redis.aclose()


def on_double() -> list[str]:
    loop = Loop()  # type: ignore[abstract]
    server = Server(loop, Scripts(), began_ms=1_700_000_000_000, rng=Random(1))
    server.execute([b"SET", b"kept", b"y"])
    server.execute([b"LPUSH", b"list", b"z"])
    server.full = True
    client = Client(server, Network(Random(2), lambda kind, text: None), loop, loop.world)
    return loop.run(course(client), until=60)


def test_the_double_refuses_what_redis_refuses(full: str) -> None:
    real = asyncio.run(on_real(full))
    assert real == [
        "refused, list is there: True",
        "refused, list is there: False",
        "refused",
        "refused",
        "done",
    ]
    assert on_double() == real
