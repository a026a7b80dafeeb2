"""A venue with a past, a migrated database, an empty Redis, and a client on a shared budget."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from shifted_clock import Clock
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.binance.client import ExchangeClient, open_session
from pms.binance.limits import RateBudget
from pms.bus.connection import connect
from pms.db import engine as engines
from pms.db.migrate import upgrade
from pms.venue.app import AccountSpec, RunningVenue, VenueConfig, serve

sys.path.insert(0, str(Path(__file__).parents[1] / "db"))


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    redis = connect(redis_url, name="test")
    yield redis
    await redis.aclose()


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    upgrade(database_url)
    engine = engines.create(database_url, name="test")
    yield engine
    await engine.dispose()


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    spec = AccountSpec("demo", "key", SecretStr("secret"), Decimal(100_000))
    running = await serve(VenueConfig(accounts=(spec,), port=0, seed=5))
    yield running
    await running.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(redis: Redis, venue: RunningVenue, clock: Clock) -> AsyncIterator[ExchangeClient]:
    budget = RateBudget(redis, share=Decimal(1), monotonic=monotonic)
    async with open_session() as session:
        yield ExchangeClient(
            base_url=venue.url,
            api_key=SecretStr("key"),
            api_secret=SecretStr("secret"),
            session=session,
            clock_ms=clock,
            budget=budget,
        )
    await budget.close()


@pytest.fixture
def asked(venue: RunningVenue) -> Any:
    """How often the venue was asked for klines."""
    return lambda: venue.venue.requests.counts["GET /fapi/v1/klines"]
