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
from pms.domain.algos.algo import Algo
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
    # A minute may have gone by since the past was handed in: then it begins one later
    known = dict(past)
    assert len(found) == 2 * 1_440
    assert [at for at, _ in found] == sorted({at for at, _ in found})
    assert all(known[at] == volume for at, volume in found[:-1])
    assert asked() == 2


async def test_they_are_read_for_who_needs_them_once_an_hour(
    client: ExchangeClient, past: list[tuple[int, Decimal]], asked: Callable[[], int], clock: Clock
) -> None:
    desk, asked_algos = Desk(epoch="e"), list[str]()
    desk.instruments["BTCUSDT"] = None  # type: ignore[assignment]  # only that it is known counts here
    volumes = Volumes(desk, client, clock, asyncio.sleep, asked_algos.append)
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
    client: ExchangeClient, venue: RunningVenue, past: list[tuple[int, Decimal]], clock: Clock
) -> None:
    desk = Desk(epoch="e")
    desk.instruments["BTCUSDT"] = None  # type: ignore[assignment]
    terms = {"subAccountId": "alice", "symbol": "BTCUSDT", "side": "BUY", "totalSize": 1, "lots": 2}
    fields = {"requestId": str(uuid4()), **terms, "duration": 60, "profile": "volume"}
    await venue.close()
    await Volumes(desk, client, clock, asyncio.sleep, [].append).prepare(command_from("pms.twap", fields))
    assert desk.volumes == {}


async def test_those_who_take_part_are_told_what_traded_since_their_start(
    client: ExchangeClient, past: list[tuple[int, Decimal]], asked: Callable[[], int], clock: Clock
) -> None:
    desk, told = Desk(epoch="e"), list[str]()
    terms = {"subAccountId": "alice", "symbol": "BTCUSDT", "side": "BUY", "totalSize": 1, "lots": 2}
    fields = {"requestId": str(uuid4()), **terms, "duration": 60, "profile": "participation"}
    command = command_from("pms.twap", {**fields, "participation": 5})
    assert isinstance(command, Twap)
    # Started in the middle of the last but 2000th minute: more than one page ago
    started = past[-2_000][0] + 30_000
    algo = Algo("one", "twap", command, "BTCUSDT", "BUY", Decimal(1), Decimal(60_000), started)
    desk.algos.put(algo)
    volumes = Volumes(desk, client, clock, asyncio.sleep, told.append)
    # Another one's start had read this minute alone
    await volumes.prepare(command)
    assert asked() == 0
    desk.instruments["BTCUSDT"] = None  # type: ignore[assignment]
    await volumes.prepare(command)
    assert asked() == 1
    await volumes.poll()
    assert (asked(), told) == (3, ["one"])
    traded = desk.traded["BTCUSDT"]

    def before_now(since: int) -> Decimal:
        # The venue's own market trades, too
        return traded.since(since) - traded.since(past[-1][0] + MINUTE_MS)

    assert before_now(started) == sum(volume for _, volume in past[-2_000:])
    await volumes.poll()
    assert (asked(), told) == (4, ["one", "one"])
    assert before_now(past[-1][0]) == past[-1][1]


async def test_while_the_exchange_is_away_nobody_who_takes_part_is_told(
    client: ExchangeClient, venue: RunningVenue, past: list[tuple[int, Decimal]], clock: Clock
) -> None:
    desk, told = Desk(epoch="e"), list[str]()
    terms = {"subAccountId": "alice", "symbol": "BTCUSDT", "side": "BUY", "totalSize": 1, "lots": 2}
    fields = {"requestId": str(uuid4()), **terms, "duration": 60, "profile": "participation"}
    command = command_from("pms.twap", {**fields, "participation": 5})
    assert isinstance(command, Twap)
    desk.algos.put(Algo("one", "twap", command, "BTCUSDT", "BUY", Decimal(1), Decimal(60_000), past[-1][0]))
    await venue.close()
    await Volumes(desk, client, clock, asyncio.sleep, told.append).poll()
    assert (told, desk.traded) == ([], {})
