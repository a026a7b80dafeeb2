"""A running venue cuts its journal: memory is left short, and every question finds what it found before."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from venue_client import VenueClient

from pms.venue.store.files import StateDirectory
from pms.venue.venue import Venue

PATHS: dict[str, dict[str, Any]] = {
    "/fapi/v1/allOrders": {"symbol": "BTCUSDT", "limit": 1000},
    "/fapi/v1/userTrades": {"symbol": "BTCUSDT", "limit": 1000},
    "/fapi/v1/income": {"limit": 1000},
    "/fapi/v1/openOrders": {},
    "/fapi/v1/forceOrders": {},
    "/fapi/v1/allAlgoOrders": {"symbol": "BTCUSDT"},
    "/fapi/v1/orderAmendment": {"symbol": "BTCUSDT"},
    "/fapi/v1/fundingRate": {"symbol": "BTCUSDT"},
}


async def trade(client: VenueClient, name: str) -> None:
    """An amended order that rests, fills, a stop that let its order out, one that did not, a funding."""
    await client.levels(bids=[["59999.9", "50"]], asks=[["60000.1", "50"]])
    await client.market("BUY", "0.5", newClientOrderId=f"m{name}")
    order = await client.limit("BUY", "59000", "0.01", newClientOrderId=f"r{name}")
    change = {"symbol": "BTCUSDT", "orderId": order["orderId"], "side": "BUY"}
    await client.ok("PUT", "/fapi/v1/order", **change, price="58999", quantity="0.01")
    stop = {"symbol": "BTCUSDT", "side": "SELL", "algoType": "CONDITIONAL", "type": "STOP_MARKET"}
    stop |= {"quantity": "0.01", "workingType": "MARK_PRICE"}
    await client.ok("POST", "/fapi/v1/algoOrder", **stop, triggerPrice="59990", clientAlgoId=f"s{name}")
    kept = await client.ok(
        "POST", "/fapi/v1/algoOrder", **stop, triggerPrice="50000", clientAlgoId=f"k{name}"
    )
    await client.ok("DELETE", "/fapi/v1/algoOrder", algoId=kept["algoId"])
    await client.levels(bids=[["59999.9", "0"], ["59980", "50"]], asks=[["60000.1", "0"], ["59980.2", "50"]])
    adl = {"account": "demo", "symbol": "BTCUSDT", "why": "adl", "quantity": "0.1"}
    await client.admin("POST", "close", adl)
    await client.admin("POST", "funding", {"symbol": "BTCUSDT", "rate": "0.0001"})


async def told(client: VenueClient) -> dict[str, Any]:
    answers = {path: await client.ok("GET", path, **params) for path, params in PATHS.items()}
    algos = [each["clientAlgoId"] for each in answers["/fapi/v1/allAlgoOrders"]]
    # Its order's price and quantity are shown too, long after that order was forgotten
    answers["algos"] = [await client.ok("GET", "/fapi/v1/algoOrder", clientAlgoId=each) for each in algos]
    return answers


def over(venue: Venue) -> int:
    """Rows in memory that are over."""
    count = sum(len(market.fundings) for market in venue.exchange.markets.values())
    for account in venue.exchange.accounts.values():
        count += len(account.incomes) + sum(map(len, account.trades.values()))
        orders = [order for each in account.orders.values() for order in each.values()]
        assert sorted(order.order_id for order in orders) == sorted(
            each for ids in account.order_ids.values() for each in ids
        )
        count += sum(not order.open for order in orders)
        assert len(account.latest_by_client_id) <= len(orders)
        shelf = venue.conditionals.shelves[account.name]
        count += sum(each.over for each in shelf.all.values())
        assert len(shelf.latest_by_client_id) <= len(shelf.all)
        count += sum(len(venue.amendments._of[account.name, name]) for name in venue.exchange.markets)
    return count


async def test_what_is_over_is_found_when_it_is_no_longer_in_memory(
    start: Any, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    running = await start(state=tmp_path)
    client, keeper = VenueClient(session, running.url), running.keeper
    for number in range(3):
        await trade(client, str(number))
        before = await told(client)
        assert all(before.values()), before
        assert over(running.venue) >= 10
        # Rows of the very moment of the cut stay
        await asyncio.sleep(0.01)
        assert await keeper.cut()
        assert over(running.venue) == 0
        assert await told(client) == before
    # Of each round: one filled at market, one that rests, one that a stop let out, one of the exchange
    assert len(before["/fapi/v1/allOrders"]) == 4 * len(before["/fapi/v1/openOrders"]) == 12
    found = await client.admin("GET", "trades?symbol=BTCUSDT")
    assert len(found["trades"]) == len(before["/fapi/v1/userTrades"])


async def test_who_reads_late_reads_what_a_cut_moved_to_disk(
    start: Any, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    running = await start(state=tmp_path)
    client = VenueClient(session, running.url)
    await trade(client, "0")
    await asyncio.sleep(0.01)
    assert await running.keeper.cut()
    await client.admin("POST", "faults", {"kind": "stale_reads", "ms": 3_600_000, "count": -1})
    late = await told(client)
    await client.admin("DELETE", "faults")
    assert late == await told(client)
    assert late["/fapi/v1/userTrades"]


async def test_a_compaction_that_fails_costs_memory_and_nothing_else(
    start: Any, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    running = await start(state=tmp_path)
    client, keeper = VenueClient(session, running.url), running.keeper
    await trade(client, "0")
    before = await told(client)
    in_its_way = tmp_path / "venue.snapshot.00000001.new"
    in_its_way.mkdir()
    await asyncio.sleep(0.01)
    kept = over(running.venue)
    assert not await keeper.cut()
    assert over(running.venue) == kept
    assert await told(client) == before
    in_its_way.rmdir()
    assert await keeper.cut()
    assert over(running.venue) == 0
    assert await told(client) == before


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """This process can open so many files and no more."""
    lowest = os.dup(0)
    os.close(lowest)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(("left", "closed"), [(0, 0), (1, 1)])
async def test_a_cut_that_finds_no_descriptor_is_made_later(
    start: Any, session: aiohttp.ClientSession, tmp_path: Path, left: int, closed: int
) -> None:
    """None for the next segment: nothing is cut. One: it is cut, and not compacted."""
    running = await start(state=tmp_path)
    client, keeper = VenueClient(session, running.url), running.keeper
    await trade(client, "0")
    with descriptors_left(left):
        assert not await keeper.cut()
        await client.limit("BUY", "58000", "0.01")
    assert StateDirectory(tmp_path).segments() == list(range(1, closed + 1))
    await client.ok("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    await trade(client, "1")
    before = await told(client)
    await asyncio.sleep(0.01)
    assert await keeper.cut()
    assert over(running.venue) == 0
    assert await told(client) == before
    assert not running.failed.done()
