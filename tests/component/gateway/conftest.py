"""JS clients on the test's own Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from js_client import JsClient


@pytest.fixture
async def start(redis_url: str) -> AsyncIterator[Callable[[], Awaitable[JsClient]]]:
    """Start clients; all are stopped at the end."""
    clients: list[JsClient] = []

    async def start_one() -> JsClient:
        clients.append(await JsClient.start(redis_url))
        return clients[-1]

    yield start_one
    for client in clients:
        await client.stop()
