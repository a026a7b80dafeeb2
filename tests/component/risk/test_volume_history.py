"""The volumes of the last days: read in pages from the venue, finished bars only, and once an hour."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from uuid import uuid4

import aiohttp
import pytest
from shifted_clock import Clock

from pms.binance.client import ExchangeClient
from pms.contract.algo_commands import Twap
from pms.contract.reading import command_from
from pms.domain.desk import Desk
from pms.flows.volume_history import DAY_MS, MINUTE_MS, volume_history
from pms.streamer.volumes import FRESH_MS, Volumes
from pms.venue.app import RunningVenue


@pytest.fixture
async def past(venue: RunningVenue, clock: Clock) -> list[tuple[int, Decimal]]:
    """Two days by the minute, which the venue was handed; the volume tells the minute of the day."""
    begins = clock() // MINUTE_MS * MINUTE_MS - 2 * DAY_MS
    bars = [
        (at, Decimal(at // MINUTE_MS % 1_440 + 1) / 1000)
        for at in range(begins, begins + 2 * DAY_MS, MINUTE_MS)
    ]
    rows = [[at, "60000", "60000", "60000", "60000", str(volume)] for at, volume in bars]
    body = {"symbol": "BTCUSDT", "interval": "1m", "candles": rows}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{venue.url}/venue/admin/candles", json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
    return bars


async def test_all_finished_minutes_in_pages(
    client: ExchangeClient, past: list[tuple[int, Decimal]], asked: Callable[[], int]
) -> None:
    found = await volume_history(client, "BTCUSDT", days=2)
    # A minute may have gone by since the past was handed in: it begins one later, and nothing traded in it
    known = dict(past)
    assert len(found) == 2 * 1_440
    assert [at for at, _ in found] == sorted({at for at, _ in found})
    assert all(known.get(at, 0) == volume for at, volume in found)
    assert asked() == 2


async def test_they_are_read_for_who_needs_them_once_an_hour(
    client: ExchangeClient, past: list[tuple[int, Decimal]], asked: Callable[[], int], clock: Clock
) -> None:
    desk, asked_algos = Desk(epoch="e"), list[str]()
    desk.instruments["BTCUSDT"] = None  # type: ignore[assignment]  # only that it is known counts here
    volumes = Volumes(desk, client, asyncio.sleep, asked_algos.append)
    terms = {
        "subAccountId": "alice",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "totalSize": 1,
        "lots": 2,
        "duration": 60,
        "profileDays": 2,
    }

    async def prepare(**more: object) -> int:
        command = command_from("pms.twap", {"requestId": str(uuid4()), **terms, **more})
        assert isinstance(command, Twap)
        before = asked()
        await volumes.prepare(command)
        return asked() - before

    assert await prepare() == 0
    assert await prepare(profile="volume", symbol="NOPEUSDT") == 0
    assert await prepare(profile="volume") == 2
    assert await prepare(profile="volume") == 0
    means = desk.volumes["BTCUSDT", 2].means
    at, volume = past[700]
    assert means[at // MINUTE_MS % 1_440] == volume
    clock.ahead_ms = FRESH_MS
    assert await prepare(profile="volume") == 2


async def test_while_the_exchange_is_away_nothing_is_known(
    client: ExchangeClient, venue: RunningVenue, past: list[tuple[int, Decimal]]
) -> None:
    desk = Desk(epoch="e")
    desk.instruments["BTCUSDT"] = None  # type: ignore[assignment]
    terms = {"subAccountId": "alice", "symbol": "BTCUSDT", "side": "BUY", "totalSize": 1, "lots": 2}
    fields = {"requestId": str(uuid4()), **terms, "duration": 60, "profile": "volume"}
    await venue.close()
    await Volumes(desk, client, asyncio.sleep, [].append).prepare(command_from("pms.twap", fields))
    assert desk.volumes == {}
