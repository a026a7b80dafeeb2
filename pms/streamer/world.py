"""The world around one life of the streamer: its connections, clocks, chance and names.

Everything that is not decided here comes in through this one object, so that the simulator can put
a world of its own around the very same streamer.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import aiohttp
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.binance.client import open_session
from pms.bus.connection import connect
from pms.config import ConfigError, Settings
from pms.db.engine import create
from pms.db.load import LoadedState, applied_seq, load_state
from pms.db.migrate import check
from pms.streamer.books import Database, read_books


@dataclass(frozen=True, slots=True)
class World:
    """What a life takes from outside; closed when it ends."""

    nonce: str
    #: names this life in the lease and the epoch; never given twice
    redis: Redis
    inbox_redis: Redis
    #: a connection of its own, for it waits in blocking calls
    session: aiohttp.ClientSession
    read_books: Callable[[bool], Awaitable[LoadedState]]
    #: the state at one seq, and the archive's entries behind it; told whether Redis forgot
    monotonic: Callable[[], float]
    now_ms: Callable[[], int]
    #: this machine's clock, ms since 1970; only the offset to the exchange's is built on it
    jitter: Callable[[], float]
    new_id: Callable[[], str]
    #: a UUID

    async def close(self) -> None:
        """Close the connections."""
        await self.session.close()
        await self.redis.aclose()
        await self.inbox_redis.aclose()


def open_world(settings: Settings) -> World:
    """Open the real one; needs a running loop. Raises ConfigError where an address is missing."""
    redis_url, database_url = settings.redis_url, settings.database_url
    if redis_url is None or database_url is None:
        raise ConfigError("PMS_REDIS_URL and PMS_DATABASE_URL are not set: is `pms up` running?")

    @asynccontextmanager
    async def database() -> AsyncIterator[AsyncEngine]:
        await asyncio.to_thread(check, database_url)
        engine = create(database_url, name="pms-streamer", pool=1)
        try:
            yield engine
        finally:
            await engine.dispose()

    async def applied() -> int:
        async with database() as engine:
            return await applied_seq(engine)

    async def load() -> LoadedState:
        async with database() as engine:
            return await load_state(engine)

    async def books(forgot: bool) -> LoadedState:
        database = Database(applied, load)
        return await read_books(settings.archive_dir, database, sleep=asyncio.sleep, forgot=forgot)

    return World(
        nonce=secrets.token_hex(12),
        redis=connect(redis_url, name="streamer", connections=64),
        inbox_redis=connect(redis_url, name="streamer-inbox", timeout_s=5, connections=2),
        session=open_session(),
        read_books=books,
        monotonic=time.monotonic,
        now_ms=lambda: time.time_ns() // 1_000_000,
        jitter=random.random,
        new_id=lambda: str(uuid4()),
    )
