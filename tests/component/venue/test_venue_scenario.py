"""A scenario at a venue of its own process, and the commands that look at one: `pms venue book`, `fund`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from decimal import Decimal as D
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner
from venue_client import VenueClient

from pms.cli.main import cli
from pms.venue.app import VenueStartError


async def pms(home: Path, *arguments: str) -> tuple[int, str]:
    """The command line in a thread, for it runs a loop of its own."""
    runner = CliRunner(env={"PMS_HOME": str(home), "PMS_VENUE_PORT": "1"})
    result = await asyncio.to_thread(runner.invoke, cli, arguments)
    return result.exit_code, result.output


@pytest.fixture
async def crashing(tmp_path: Path, session: aiohttp.ClientSession) -> AsyncIterator[VenueClient]:
    """A venue whose BTCUSDT goes through the crash, the rest of it calm."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pms.cli.main"),
        *("venue", "--port", "0", "--account", "demo:KEY:SECRET:1000", "--limits", "off"),
        *("--scenario", "BTCUSDT=crash", "--seed", "5"),
        env={"PMS_HOME": str(tmp_path), "PATH": os.defpath},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    words = (await process.stdout.readline()).decode().split()
    yield VenueClient(session, words[-1])
    process.terminate()
    await process.wait()


async def price(client: VenueClient, symbol: str) -> D:
    return D((await client.raw("GET", "/fapi/v1/ticker/price", f"symbol={symbol}"))[1]["price"])


async def test_one_symbol_crashes_by_itself_and_the_others_stay(crashing: VenueClient) -> None:
    start = {symbol: await price(crashing, symbol) for symbol in ("BTCUSDT", "ETHUSDT")}
    await crashing.admin("POST", "pace", {"pace": 1000})
    async with asyncio.timeout(120):
        while True:
            # However long nobody looks: the recovery ends well below
            if await price(crashing, "BTCUSDT") < start["BTCUSDT"] * D("0.965"):
                break
            await asyncio.sleep(0.05)
    assert abs(await price(crashing, "ETHUSDT") / start["ETHUSDT"] - 1) < D("0.02")


async def test_the_command_line_shows_its_books_and_funds_its_accounts(
    crashing: VenueClient, tmp_path: Path
) -> None:
    code, out = await pms(tmp_path, "venue", "book", "btcusdt", "--depth", "3", "--url", crashing.url)
    lines = out.splitlines()
    assert (code, len(lines)) == (0, 8)
    prices = [D(line.split()[0]) for line in (*lines[1:4], *lines[5:])]
    assert prices == sorted(prices, reverse=True)
    assert lines[4].startswith("── spread 0.1 ")
    assert all(len(line) <= 80 for line in lines)
    code, out = await pms(tmp_path, "venue", "book", "XUSDT", "--url", crashing.url)
    assert (code, out) == (1, "error: the venue refused: Invalid symbol.\n")
    for amount, balance in (("250.5", "1250.5"), ("-50.5", "1200.0")):
        code, out = await pms(tmp_path, "venue", "fund", "demo", amount, "--url", crashing.url)
        assert (code, out) == (0, f"demo  balance {balance} USDT\n")
    (wallet,) = await crashing.ok("GET", "/fapi/v3/balance")
    assert D(wallet["balance"]) == 1200
    code, out = await pms(tmp_path, "venue", "fund", "nobody", "5", "--url", crashing.url)
    assert (code, out) == (1, "error: the venue refused: account names no account\n")


async def test_without_a_venue_the_command_line_says_so(tmp_path: Path) -> None:
    silent = "error: the venue at http://127.0.0.1:1 does not answer: ClientConnectorError\n"
    assert await pms(tmp_path, "venue", "book", "BTCUSDT") == (1, silent)
    assert await pms(tmp_path, "venue", "fund", "demo", "5") == (1, silent)
    code, out = await pms(tmp_path, "venue", "fund", "demo", "5", "--url", "https://fapi.binance.com")
    assert (code, "is not our own venue" in out) == (1, True)


async def test_a_scenario_that_cannot_be_stops_the_start(start) -> None:
    for market, scenarios, message in (
        ("synthetic", ("boom",), "scenario must be one of calm, "),
        ("synthetic", ("XUSDT=crash",), "XUSDT has no made-up market"),
        ("none", ("crash",), "a scenario needs a made-up market"),
    ):
        with pytest.raises(VenueStartError, match=message):
            await start(market=market, scenarios=scenarios)
