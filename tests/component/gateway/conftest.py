"""JS clients on the test's own Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from js_client import JsClient
from lossy import LossySocket

from pms.stack.servers.redis import EmbeddedRedis


@pytest.fixture
async def lossy(redis_server: EmbeddedRedis, servers_dir: Path) -> AsyncIterator[LossySocket]:
    """A way to Redis on which replies can be lost."""
    async with LossySocket(servers_dir / "gateway.sock", redis_server._socket) as socket:
        yield socket


@pytest.fixture
async def start(redis_url: str) -> AsyncIterator[Callable[..., Awaitable[JsClient]]]:
    """Start clients; all are stopped at the end."""
    clients: list[JsClient] = []

    async def start_one(url: str = redis_url) -> JsClient:
        clients.append(await JsClient.start(url))
        return clients[-1]

    yield start_one
    for client in clients:
        await client.stop()
