"""The system clock was put back while the venue was down: its time goes on from what it remembers."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from venue_client import VenueClient, met

from pms.venue.clock import forward_clock

HOUR_MS = 3_600_000


async def bought(client: VenueClient, now: int) -> None:
    await client.levels(bids=[["59999.9", "10"]], asks=[["60000.1", "10"]])
    await client.market("BUY", "0.01", timestamp=now)


def test_time_that_goes_on_slower_is_caught_up_with(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = [0]
    begun = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: begun + passed[0] * 10**9)
    monkeypatch.setattr(time, "monotonic_ns", lambda: passed[0] * 10**9)
    clock = forward_clock(begun // 10**6 + 10_000)
    seen = []
    for passed[0] in (0, 500, 999, 1_001, 2_000):
        seen.append((clock() - time.time_ns() // 10**6) // 1_000)
    assert seen == [10, 5, 0, 0, 0]


def test_time_goes_on_behind_a_clock_that_is_put_back_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    began, passed, back = time.time_ns(), [0], [0]
    monkeypatch.setattr(time, "time_ns", lambda: began + (passed[0] - back[0]) * 10**6)
    monkeypatch.setattr(time, "monotonic_ns", lambda: passed[0] * 10**6)
    clock = forward_clock()
    first = clock()
    passed[0], back[0] = 1, HOUR_MS
    seen = []
    while passed[0] < 60_000:
        passed[0] += 1
        seen.append(clock())
    assert seen == sorted(seen)
    assert 59_000 <= seen[-1] - first <= 60_000
    back[0] = 0
    assert clock() == first + 60_000


async def test_time_goes_on_from_what_is_remembered_and_pages_stay_in_its_order(
    start: Any, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        right = time.time_ns
        patch.setattr(time, "time_ns", lambda: right() + HOUR_MS * 1_000_000)
        running = await start(state=tmp_path / "state")
        await bought(VenueClient(session, running.url), running.venue.clock())
        ahead = running.venue.clock()
    again = await start(state=shutil.copytree(tmp_path / "state", tmp_path / "again"))
    client, clock = VenueClient(session, again.url), again.venue.clock
    (first,) = await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", timestamp=clock())

    async def later() -> bool:
        return clock() > ahead

    await met(later)
    await bought(client, clock())
    both = await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", timestamp=clock())
    assert [each["time"] for each in both] == sorted(each["time"] for each in both)
    assert both[0] == first
    for path, count in (("userTrades", 1), ("income", 1)):
        params = {"symbol": "BTCUSDT", "startTime": first["time"] + 1, "endTime": clock()}
        found = await client.ok("GET", f"/fapi/v1/{path}", **params, timestamp=clock())
        assert [each["time"] for each in found] == [both[1]["time"]] * count
