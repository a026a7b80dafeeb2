"""A streamer that no test of this folder runs: they ask its parts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from pms.config import Settings
from pms.streamer.process import Streamer
from pms.streamer.world import open_world


@pytest_asyncio.fixture
async def streamer(redis_url: str) -> AsyncIterator[Any]:
    """A streamer that is put together and not running."""
    settings = Settings(
        redis_url=redis_url,
        database_url="postgresql://nowhere",
        binance_rest_url="http://127.0.0.1:1",
        binance_ws_url="ws://127.0.0.1:1",
        binance_api_key="k",  # type: ignore[arg-type]
        binance_api_secret="s",  # type: ignore[arg-type]
    )
    world = open_world(settings)
    one: Any = Streamer(settings, world)
    one._feed.held = one._early = None
    yield one
    await world.close()
