"""Connections to an empty Redis, a Redis that can be ended, and the chain of one epoch."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from chain import Chain, epoch_of
from redis.asyncio import Redis

from pms.bus.connection import connect
from pms.bus.requests import Requests
from pms.stack.servers.redis import EmbeddedRedis

_numbers = itertools.count(1)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    redis = connect(redis_url, name="test", connections=64)
    yield redis
    await redis.aclose()


@pytest.fixture
def requests(redis: Redis) -> Requests:
    return Requests(redis, new_id=lambda: str(uuid4()))


@pytest.fixture
async def chain(redis: Redis) -> Chain:
    """A journal that begins, in an epoch that is open."""
    return Chain(redis, await epoch_of(redis, "one"))


@pytest.fixture
def own_server(servers_dir: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of this test's own, which may be ended and started again."""
    place = servers_dir / f"bus{next(_numbers)}"
    place.mkdir(mode=0o711)
    with EmbeddedRedis(data_dir=place / "redis", runtime_dir=place / "r") as server:
        yield server
