"""The made-up markets at another pace: every step a diff of its own, and what cannot be is refused."""

from __future__ import annotations

import aiohttp
from venue_client import Stream, VenueClient

GATHERED_MS = 100


async def test_every_step_of_a_lively_market_leaves_as_a_diff_of_its_own(
    start, session: aiohttp.ClientSession
) -> None:
    venue = await start(market="synthetic")
    client = VenueClient(session, venue.url)
    assert (await client.admin("GET", "pace"))["pace"] == "1"
    stream = Stream(await session.ws_connect(f"{client.url}/public/ws/btcusdt@depth@100ms"))
    await client.admin("POST", "pace", {"pace": 1000})
    at, close = (await stream.next())["E"], 0
    while close < 5:
        # What is gathered comes a hundred milliseconds apart
        last, at = at, (await stream.next())["E"]
        close = close + 1 if at - last < GATHERED_MS / 4 else 0
    for wrong in ("fast", 0, 1001, None, "NaN"):
        async with session.post(f"{client.url}/venue/admin/pace", json={"pace": wrong}) as refused:
            assert refused.status == 400
            assert "pace must be" in (await refused.json())["error"]
    assert (await client.admin("POST", "pace", {"pace": "1"}))["pace"] == "1"
