"""Exchange clients on a real session and a real shared budget, and raw servers to point them at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from time import monotonic, time_ns

import aiohttp
import pytest_asyncio
from pydantic import SecretStr
from raw_server import RawServer, Reply, Serve
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from pms.binance.client import ExchangeClient, open_session
from pms.binance.limits import RateBudget

SECRET = "a-secret-that-must-not-show"
MakeClient = Callable[[str], ExchangeClient]


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as opened:
        yield opened


@pytest_asyncio.fixture
async def budget(redis_url: str) -> AsyncIterator[RateBudget]:
    redis = Redis.from_url(redis_url, retry=Retry(NoBackoff(), 0), socket_timeout=2)
    shared = RateBudget(redis, share=Decimal(1), monotonic=monotonic)
    yield shared
    await shared.close()
    await redis.aclose()


@pytest_asyncio.fixture
async def client_of(session: aiohttp.ClientSession, budget: RateBudget) -> MakeClient:
    """Make a client of an address."""

    def make(url: str) -> ExchangeClient:
        return ExchangeClient(
            base_url=url,
            api_key=SecretStr("key"),
            api_secret=SecretStr(SECRET),
            session=session,
            clock_ms=lambda: time_ns() // 1_000_000,
            budget=budget,
        )

    return make


@pytest_asyncio.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a raw server with its replies."""
    async with AsyncExitStack() as stack:

        async def start(*replies: Reply) -> RawServer:
            return await stack.enter_async_context(RawServer(list(replies)))

        yield start
