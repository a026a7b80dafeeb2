"""What was answered or sent survives SIGKILL of the venue's process."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from venue_client import VenueClient, user_stream


class Process:
    """A venue run as its users run it."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url

    async def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return await asyncio.wait_for(self.process.wait(), 5)


@pytest.fixture
async def launch(tmp_path: Path) -> AsyncIterator:
    started: list[Process] = []

    async def one(*more: str, port: int = 0) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pms.venue",
            *("--port", str(port), "--market", "none", "--limits", "off"),
            *("--account", "demo:KEY:SECRET:100000", "--state", str(tmp_path / "state")),
            *more,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        ready = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().split()
        if ready[:2] != ["venue", "ready"]:
            assert process.stderr is not None
            error = (await process.stderr.read()).decode()
            raise AssertionError(f"{await process.wait()}: {error}")
        started.append(Process(process, ready[2]))
        return started[-1]

    yield one
    for each in started:
        if each.process.returncode is None:
            each.process.kill()
            await each.process.wait()


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if met():
                return
            await asyncio.sleep(0.001)


async def test_a_killed_venue_comes_back_with_all_it_has_said(launch, session: aiohttp.ClientSession) -> None:
    venue = await launch()
    client = VenueClient(session, venue.url)
    await client.levels(bids=[["59999.9", "5"]], asks=[["60000.1", "5"]])
    events = await user_stream(client)
    await client.ok("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=7)
    await client.market("BUY", "1.25", newClientOrderId="done")
    resting = await client.limit("SELL", "60000", "2", newClientOrderId="rest")
    await client.admin("POST", "trade", {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.5"})
    assert [each["e"] for each in await events.take(9)].count("ORDER_TRADE_UPDATE") == 4
    paths = {
        "/fapi/v1/allOrders": {"symbol": "BTCUSDT"},
        "/fapi/v1/userTrades": {"symbol": "BTCUSDT"},
        "/fapi/v1/income": {},
        "/fapi/v1/openOrders": {},
        "/fapi/v1/symbolConfig": {"symbol": "BTCUSDT"},
    }
    before = {path: await client.ok("GET", path, **params) for path, params in paths.items()}
    balance = (await client.ok("GET", "/fapi/v2/balance"))[0]["balance"]
    _, key = await client.raw("POST", "/fapi/v1/listenKey")
    assert await venue.end(signal.SIGKILL) == -signal.SIGKILL

    venue = await launch()
    client.url = venue.url
    assert {path: await client.ok("GET", path, **params) for path, params in paths.items()} == before
    assert (await client.ok("GET", "/fapi/v2/balance"))[0]["balance"] == balance
    assert (await client.raw("PUT", "/fapi/v1/listenKey"))[1] == key
    events = await user_stream(client)
    await client.admin("POST", "trade", {"symbol": "BTCUSDT", "side": "BUY", "quantity": "9"})
    filled = (await events.take(3))[-1]["o"]
    assert (filled["i"], filled["l"], filled["X"]) == (resting["orderId"], "1.5", "FILLED")
    assert filled["t"] > max(each["id"] for each in before["/fapi/v1/userTrades"])
    assert (await client.limit("BUY", "59000", "1"))["orderId"] > resting["orderId"]
    assert await venue.end(signal.SIGTERM) == 0


async def test_a_torn_last_line_is_forgotten(launch, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    venue = await launch()
    client = VenueClient(session, venue.url)
    await client.limit("BUY", "59000", "1")
    await venue.end(signal.SIGKILL)
    with (tmp_path / "state" / "venue.journal").open("ab") as file:
        file.write(b'[{"k":"order","acc')
    client.url = (await launch()).url
    assert len(await client.ok("GET", "/fapi/v1/openOrders")) == 1


async def test_a_damaged_journal_stops_the_start(launch, tmp_path: Path) -> None:
    await (await launch()).end(signal.SIGTERM)
    journal = tmp_path / "state" / "venue.journal"
    journal.write_bytes(b"[{}]\n" + journal.read_bytes())
    with pytest.raises(AssertionError, match=r"^1: venue: .*line 1 is damaged.*\n$"):
        await launch()


@pytest.mark.parametrize("stem", ["venue.journal.0*", "venue.snapshot.*"])
async def test_a_venue_killed_while_it_cuts_its_journal_forgets_nothing(
    launch, session: aiohttp.ClientSession, tmp_path: Path, stem: str
) -> None:
    """Killed as soon as a segment is closed, and as soon as a snapshot begins to appear; twice each."""
    small = ("--segment-bytes", "4000")
    venue = await launch(*small)
    client = VenueClient(session, venue.url)
    state, names = tmp_path / "state", []
    paths: dict[str, dict[str, object]] = {
        "/fapi/v1/allOrders": {"symbol": "BTCUSDT", "orderId": 1, "limit": 1000},
        "/fapi/v1/userTrades": {"symbol": "BTCUSDT", "fromId": 1, "limit": 1000},
        "/fapi/v1/income": {"limit": 1000},
        "/fapi/v1/openOrders": {},
        "/fapi/v1/allAlgoOrders": {"symbol": "BTCUSDT", "algoId": 1, "limit": 1000},
        "/fapi/v1/orderAmendment": {"symbol": "BTCUSDT"},
    }
    for number in range(2):
        await client.levels(bids=[["59999.9", "50"]], asks=[["60000.1", "50"]])
        before = set(state.glob(stem))
        for each in range(8):
            name = f"n{number}-{each}"
            names.append(name)
            await client.market("BUY", "0.01", newClientOrderId=f"m{name}")
            order = await client.limit("BUY", "59000", "0.01", newClientOrderId=name)
            if each % 3:
                await client.limit("SELL", "61000", "0.02", newClientOrderId=f"s{name}")
                change = {"symbol": "BTCUSDT", "orderId": order["orderId"], "side": "BUY"}
                await client.ok("PUT", "/fapi/v1/order", **change, price="58999", quantity="0.01")
            else:
                await client.ok("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"])
            stop = {"symbol": "BTCUSDT", "side": "SELL", "algoType": "CONDITIONAL", "type": "STOP_MARKET"}
            stop |= {"triggerPrice": "50000", "quantity": "0.01", "clientAlgoId": f"a{name}"}
            algo = await client.ok("POST", "/fapi/v1/algoOrder", **stop)
            await client.ok("DELETE", "/fapi/v1/algoOrder", algoId=algo["algoId"])
        told = {path: await client.ok("GET", path, **params) for path, params in paths.items()}
        assert len(told["/fapi/v1/userTrades"]) == 8 * (number + 1)
        assert len(told["/fapi/v1/allAlgoOrders"]) == 8 * (number + 1)
        await until(lambda known=before: not set(state.glob(stem)) <= known)
        assert await venue.end(signal.SIGKILL) == -signal.SIGKILL
        venue = await launch(*small)
        client.url = venue.url
        for path, params in paths.items():
            assert await client.ok("GET", path, **params) == told[path], path
        for name in names:
            for prefix in ("m", ""):
                found = await client.ok(
                    "GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId=prefix + name
                )
                assert found in told["/fapi/v1/allOrders"]
    await until(lambda: any(state.glob("venue.snapshot.*[0-9]")))
    assert await venue.end(signal.SIGTERM) == 0


async def test_one_port_and_one_directory_belong_to_one_venue(launch) -> None:
    venue = await launch()
    with pytest.raises(AssertionError, match=r"^1: venue: state directory .* is in use by another venue\n$"):
        await launch()
    port = int(venue.url.rpartition(":")[2])
    with pytest.raises(AssertionError, match=r"^1: venue: cannot listen on .* choose another --port\n$"):
        await launch(port=port)


async def test_two_accounts_cannot_share_a_key(launch) -> None:
    with pytest.raises(AssertionError, match="share one API key"):
        await launch("--account", "other:KEY:SECRET2:1")


async def test_the_secret_never_shows(launch) -> None:
    with pytest.raises(AssertionError, match="balance of account x") as refused:
        await launch("--account", "x:K:HIDDEN:many")
    assert "HIDDEN" not in str(refused.value)
