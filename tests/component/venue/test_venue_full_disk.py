"""Once the disk has refused a write memory is ahead of it: nobody is answered out of it any more."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from venue_client import VenueClient

from pms.venue.app import VenueStartError


async def test_what_the_disk_refused_is_answered_to_nobody(
    start: Any, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    running = await start(state=tmp_path / "state")
    client = VenueClient(session, running.url)
    await client.levels(bids=[["59999.9", "10"]], asks=[["60000.1", "10"]])
    kept = await client.limit("BUY", "59000", "0.01")
    trading = await session.ws_connect(f"{running.url.replace('http', 'ws', 1)}/ws-fapi/v1")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, running._journal._file)
    os.close(full)
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    status, body = await client.call("POST", "/fapi/v1/order", **order, quantity="0.02", price="58000")
    assert (status, body["code"]) == (500, -1000)
    assert running.failed.done()
    # Such an order is in memory alone
    account = running.venue.exchange.accounts["demo"]
    assert len(account.open_orders(None)) == 2
    for path in ("openOrders", "order", "ping"):
        with pytest.raises(aiohttp.ClientError):
            await client.call("GET", f"/fapi/v1/{path}", symbol="BTCUSDT")
    with pytest.raises(aiohttp.ClientError):
        await client.admin("GET", "orders?symbol=BTCUSDT")
    await trading.send_json({"id": 1, "method": "ticker.price", "params": {"symbol": "BTCUSDT"}})
    assert (await trading.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    again = await start(state=shutil.copytree(tmp_path / "state", tmp_path / "again"))
    found = await VenueClient(session, again.url).ok("GET", "/fapi/v1/openOrders", symbol="BTCUSDT")
    assert [each["orderId"] for each in found] == [kept["orderId"]]


async def test_a_start_that_can_write_nothing_says_so_in_one_line(start: Any, tmp_path: Path) -> None:
    await start(state=tmp_path / "state")
    full = shutil.copytree(tmp_path / "state", tmp_path / "full")
    with (full / "venue.journal").open("ab") as journal:
        # Longer than any other file of the directory gets
        journal.write(b"[]\n" * 100_000)
        size = journal.tell()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        with pytest.raises(VenueStartError, match=r"full cannot be written: File too large$"):
            await start(state=full)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    await start(state=full)
