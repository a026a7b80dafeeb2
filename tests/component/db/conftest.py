"""A migrated database, an engine on it and a Redis with an empty journal."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.bus.connection import connect
from pms.contract import names
from pms.db import engine as engines
from pms.db.migrate import upgrade


@pytest.fixture
def address(database_url: str) -> str:
    upgrade(database_url)
    return database_url


@pytest.fixture
async def engine(address: str) -> AsyncIterator[AsyncEngine]:
    engine = engines.create(address, name="test")
    yield engine
    await engine.dispose()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    redis = connect(redis_url, name="test")
    await redis.delete(names.JOURNAL, names.APPLIED)
    yield redis
    await redis.aclose()
