"""A venue of its own for each test, on a free port, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from venue_client import VenueClient

from pms.venue.app import AccountSpec, RunningVenue, VenueConfig, serve

ACCOUNTS = (AccountSpec.parse("demo:KEY:SECRET:100000"), AccountSpec.parse("other:KEY2:SECRET2:100000"))
Start = Callable[..., Awaitable[RunningVenue]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start venues; all are closed at the end."""
    running: list[RunningVenue] = []

    async def start_one(**config: Any) -> RunningVenue:
        defaults: dict[str, Any] = {"port": 0, "accounts": ACCOUNTS, "market": "none", "limits": "off"}
        venue = await serve(VenueConfig(**(defaults | config)))
        running.append(venue)
        return venue

    yield start_one
    for each in running:
        await each.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def client(start: Start, session: aiohttp.ClientSession) -> VenueClient:
    """The demo account at a venue with one quoted symbol: BTCUSDT 59999.90 / 60000.10, ten deep."""
    venue = await start()
    demo = VenueClient(session, venue.url)
    await demo.levels(
        bids=[[f"{59999.9 - step:.1f}", "10"] for step in range(10)],
        asks=[[f"{60000.1 + step:.1f}", "10"] for step in range(10)],
    )
    return demo


@pytest.fixture
def other(client: VenueClient) -> VenueClient:
    """A second account at the same venue."""
    return VenueClient(client.session, client.url, "KEY2", "SECRET2")
