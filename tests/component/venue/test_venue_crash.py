"""A crash at a venue that serves: over the admin face and the command line, prices told on every stream."""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal as D
from typing import Any

import aiohttp
import pytest
from venue_client import Stream, VenueClient, follow_book

from pms.venue.app import RunningVenue


async def crash_until_over(client: VenueClient) -> list[dict[str, Any]]:
    async with asyncio.timeout(30):
        while True:
            crashes = (await client.admin("GET", "crash"))["crashes"]
            if all(each["state"] != "falling" for each in crashes):
                return list(crashes)
            await asyncio.sleep(0.05)


@pytest.fixture
async def made_up(start, session: aiohttp.ClientSession) -> tuple[RunningVenue, VenueClient]:
    venue = await start(market="synthetic")
    return venue, VenueClient(session, venue.url)


async def test_books_marks_and_index_follow_and_every_account_holds_what_it_held(
    made_up: tuple[RunningVenue, VenueClient],
) -> None:
    venue, client = made_up
    await client.market("BUY", "0.5")
    marks = Stream(await client.session.ws_connect(f"{client.url}/market/ws/btcusdt@markPrice@1s"))
    other = venue.venue.exchange.markets["ETHUSDT"].mark
    body = {"symbols": ["BTCUSDT"], "percent": "-35", "seconds": 2, "gaps": 2, "thin": "4", "seed": 7}
    (begun,) = (await client.admin("POST", "crash", body))["crashes"]
    assert (begun["symbol"], begun["state"], begun["steps"]) == ("BTCUSDT", "falling", 8)
    first = await marks.next()
    book = await follow_book(client, "BTCUSDT", 12)
    (over,) = await crash_until_over(client)
    assert (over["state"], over["step"]) == ("over", 8)
    bottom = D(over["from"]) * D("0.65")
    for told in (over["to"], over["mark"], book[-1][0]):
        assert abs(D(told) / bottom - 1) < D("0.02")
    # The stream and the polled price tell the same fall
    last = await marks.next()
    while abs(D(last["p"]) / bottom - 1) > D("0.02"):
        last = await marks.next()
    assert (last["e"], last["i"], last["E"] > first["E"]) == ("markPriceUpdate", last["p"], True)
    told = (await client.raw("GET", "/fapi/v1/premiumIndex", "symbol=BTCUSDT"))[1]
    assert abs(D(told["markPrice"]) / bottom - 1) < D("0.02")
    # Nothing else moved: the position, the wallet but for its fee, the other symbols
    (position,) = await client.ok("GET", "/fapi/v3/positionRisk")
    assert D(position["positionAmt"]) == D("0.5")
    (trade,) = await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    (balance,) = await client.ok("GET", "/fapi/v3/balance")
    assert D(balance["balance"]) == 100_000 - D(trade["commission"])
    assert D(balance["crossUnPnl"]) < -9_000
    assert abs(venue.venue.exchange.markets["ETHUSDT"].mark / other - 1) < D("0.005")


async def test_a_resting_order_is_filled_at_its_own_price_where_the_market_falls_through_it(
    made_up: tuple[RunningVenue, VenueClient],
) -> None:
    _, client = made_up
    ticker = (await client.raw("GET", "/fapi/v1/ticker/bookTicker", "symbol=BTCUSDT"))[1]
    price = str((D(ticker["bidPrice"]) * D("0.97")).quantize(D("0.1")))
    await client.limit("BUY", price, "0.2")
    await client.admin("POST", "crash", {"percent": -20, "seconds": 1, "gaps": 4, "symbols": ["BTCUSDT"]})
    await crash_until_over(client)
    trades = await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    assert {D(row["price"]) for row in trades} == {D(price)}
    assert sum(D(row["qty"]) for row in trades) == D("0.2")


async def test_it_can_be_stopped_and_the_next_one_begins_from_there(
    made_up: tuple[RunningVenue, VenueClient],
) -> None:
    _, client = made_up
    begun = (await client.admin("POST", "crash", {"symbols": {"BTCUSDT": -50, "ETHUSDT": "25.5"}}))["crashes"]
    assert {each["symbol"]: each["percent"] for each in begun} == {"BTCUSDT": "-50", "ETHUSDT": "25.5"}
    async with client.session.post(f"{client.url}/venue/admin/crash", json={"percent": -5}) as refused:
        assert refused.status == 400
        assert "is falling already" in (await refused.json())["error"]
    stopped = (await client.admin("DELETE", "crash"))["crashes"]
    assert {each["state"] for each in stopped} == {"stopped"}
    again = (await client.admin("POST", "crash", {"percent": 5, "seconds": 1}))["crashes"]
    assert len(again) == 8
    assert {each["state"] for each in await crash_until_over(client)} == {"over"}


async def test_a_venue_without_made_up_markets_refuses(client: VenueClient) -> None:
    for body in ({"percent": -5}, {"percent": -5, "symbols": ["BTCUSDT"]}):
        async with client.session.post(f"{client.url}/venue/admin/crash", json=body) as refused:
            assert refused.status == 400
            assert "made-up market" in (await refused.json())["error"]
    assert (await client.admin("GET", "crash")) == {"crashes": []}


async def test_the_command_line_begins_shows_and_stops_it(
    made_up: tuple[RunningVenue, VenueClient], tmp_path
) -> None:
    _, client = made_up

    async def pms(*arguments: str, url: str = client.url) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "pms.cli.main", "crash", *arguments),
            env={"PMS_HOME": str(tmp_path), "PMS_BINANCE_REST_URL": url, "PATH": "/usr/bin:/bin"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    code, out = await pms("ETHUSDT=-30", "solusdt=12.5", "--seconds", "40", "--gaps", "3", "--json")
    assert code == 0, out
    shown = {row["symbol"]: (row["percent"], row["gaps"], row["state"]) for row in json.loads(out)}
    assert shown == {"ETHUSDT": ("-30", 3, "falling"), "SOLUSDT": ("12.5", 3, "falling")}
    code, out = await pms("-35", "--thin", "4")
    assert (code, "ETHUSDT is falling already" in out) == (1, True)
    assert (await pms("--stop"))[0] == 0
    code, out = await pms()
    assert (code, out.count("stopped")) == (0, 2)
    assert (await pms("-35", "--thin", "4"))[0] == 0
    code, out = await pms("-35", url="https://fapi.binance.com")
    assert (code, "is not our own venue" in out) == (1, True)
