"""GET /fapi/v1/klines in Binance's shape, with its weights and refusals; and a past that is handed in."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import pytest
from venue_client import VenueClient

from pms.venue.app import RunningVenue

DAY = 86_400_000


async def test_a_trade_is_in_the_current_bar(client: VenueClient) -> None:
    await client.market("BUY", "2")
    await client.market("SELL", "0.5")
    now = int(time.time() * 1000)
    _, found = await client.raw("GET", "/fapi/v1/klines", "symbol=BTCUSDT&interval=1d", key="")
    (bar,) = found
    assert bar[0] <= now <= bar[6] == bar[0] + DAY - 1
    assert bar[1:6] == ["60000.10", "60000.10", "59999.90", "59999.90", "2.500"]
    assert bar[7:] == ["150000.15000", 2, "2.000", "120000.20000", "0"]
    assert client.headers["X-MBX-USED-WEIGHT-1M"]


async def test_a_past_can_be_handed_in(client: VenueClient) -> None:
    today = int(time.time() * 1000) // DAY * DAY
    past = [[today - n * DAY, "50000", "51000", "49000", f"{50000 + n}", "1.5"] for n in (3, 2)]
    body = {"symbol": "BTCUSDT", "interval": "1d", "candles": past}
    assert await client.admin("POST", "candles", body) == {"taken": 2}
    path = "/fapi/v1/klines"
    found = await client.ok("GET", path, symbol="BTCUSDT", interval="1d")
    assert [(each[0] - today) // DAY for each in found] == [-3, -2, -1, 0]
    assert [each[4] for each in found] == ["50003.00", "50002.00", "50002.00", "50002.00"]
    assert found[2][5] == "0.000"
    assert await client.ok(
        "GET", path, symbol="BTCUSDT", interval="1d", startTime=today - 2 * DAY, limit=1
    ) == [found[1]]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"interval": "1d"}, -1102),
        ({"symbol": "NOPEUSDT", "interval": "1d"}, -1121),
        ({"symbol": "BTCUSDT"}, -1102),
        ({"symbol": "BTCUSDT", "interval": "1s"}, -1120),
        ({"symbol": "BTCUSDT", "interval": "1d", "limit": 0}, -1130),
        ({"symbol": "BTCUSDT", "interval": "1d", "limit": "many"}, -1102),
        ({"symbol": "BTCUSDT", "interval": "1d", "startTime": 2, "endTime": 1}, -1023),
        ({"symbol": "BTCUSDT", "interval": "1M", "startTime": -1}, -1100),
    ],
)
async def test_refusals(client: VenueClient, params: dict, code: int) -> None:
    assert await client.code("GET", "/fapi/v1/klines", **params) == code


async def test_a_month_beyond_the_calendar_holds_nothing(client: VenueClient) -> None:
    await client.market("BUY", "0.01")
    params = {"symbol": "BTCUSDT", "interval": "1M", "startTime": 2**63 - 1}
    assert await client.ok("GET", "/fapi/v1/klines", **params) == []


@pytest.mark.parametrize(("limit", "weight"), [(99, 1), (100, 2), (499, 2), (500, 5), (1000, 5), (1001, 10)])
async def test_the_weight_goes_by_the_limit(client: VenueClient, limit: int, weight: int) -> None:
    used = []
    for _ in range(2):
        await client.ok("GET", "/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=limit)
        used.append(int(client.headers["X-MBX-USED-WEIGHT-1M"]))
    assert used[1] - used[0] == weight


@pytest.mark.parametrize(
    "wrong",
    [
        {"interval": "5m"},
        {"candles": None},
        {"candles": [[1, "1", "1", "1", "1", "1"]]},
        {"candles": [[0, "50000", "49000", "48000", "50000", "1"]]},
        {"candles": [[DAY, "500", "500", "500", "500", "1"], [0, "500", "500", "500", "500", "1"]]},
    ],
)
async def test_a_past_that_makes_no_sense_is_refused(client: VenueClient, wrong: dict) -> None:
    body = {"symbol": "BTCUSDT", "interval": "1d", "candles": []} | wrong
    async with client.session.request("POST", f"{client.url}/venue/admin/candles", json=body) as answer:
        assert answer.status == 400


async def test_a_made_up_market_has_a_made_up_past(
    start: Callable[..., Awaitable[RunningVenue]], client: VenueClient
) -> None:
    venue = await start(market="synthetic")
    url = f"{venue.url}/fapi/v1/klines?symbol=ETHUSDT&interval=1d&limit=600"
    async with client.session.get(url) as answer:
        found = await answer.json()
    assert len(found) == 600
    assert found[-2][6] + 1 == found[-1][0]
    assert len({each[4] for each in found}) > 500
