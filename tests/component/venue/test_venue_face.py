"""What a trading client asks for besides: bars of prices, orders of all symbols, best prices of all."""

from __future__ import annotations

import time
from typing import Any

import pytest
from venue_client import Stream, VenueClient, met

from pms.venue.feeds import publisher

MINUTE = 60_000


async def bars(client: VenueClient, path: str, query: str) -> list[list[Any]]:
    status, body = await client.raw("GET", f"/fapi/v1/{path}", query, key="")
    assert status == 200, body
    return list(body)


@pytest.mark.parametrize(
    ("path", "named", "price"),
    [
        ("markPriceKlines", "symbol", "60000.00000000"),
        ("indexPriceKlines", "pair", "60000.00000000"),
        ("premiumIndexKlines", "symbol", "0.00000000"),
    ],
)
async def test_bars_of_prices_that_nobody_trades_at(
    client: VenueClient, path: str, named: str, price: str
) -> None:
    query = f"{named}=BTCUSDT&interval=1m"

    async def shown() -> bool:
        found = await bars(client, path, query)
        return bool(found) and found[-1][4] == price

    await met(shown)
    opened, *rest = (await bars(client, path, query))[-1]
    assert opened % MINUTE == 0
    assert opened <= time.time() * 1000
    assert rest[3:5] == [price, "0"]
    assert rest[5] == opened + MINUTE - 1
    assert rest[6:] == ["0", rest[7], "0", "0", "0"]
    assert rest[7] >= 1
    for wrong, code in ((f"{named}=NOPE&interval=1m", -1121), ("interval=1m", -1102), (query + "x", -1120)):
        status, body = await client.raw("GET", f"/fapi/v1/{path}", wrong, key="")
        assert (status, body["code"]) == (400, code)


async def test_orders_of_all_symbols_by_when_they_were_placed(client: VenueClient) -> None:
    await client.levels(bids=[["3000", "10"]], asks=[["3001", "10"]], symbol="ETHUSDT")
    for number in range(3):
        await client.limit("BUY", "59000", "1", newClientOrderId=f"b{number}")
        await client.limit("BUY", "2990", "1", newClientOrderId=f"e{number}", symbol="ETHUSDT")
    listed = await client.ok("GET", "/fapi/v1/allOrders")
    assert [each["time"] for each in listed] == sorted(each["time"] for each in listed)
    assert {each["clientOrderId"] for each in listed} == {f"{s}{n}" for s in "be" for n in range(3)}
    newest = await client.ok("GET", "/fapi/v1/allOrders", limit=2)
    oldest = await client.ok("GET", "/fapi/v1/allOrders", limit=2, startTime=listed[0]["time"])
    assert [newest, oldest] == [listed[-2:], listed[:2]]
    one = await client.ok("GET", "/fapi/v1/allOrders", symbol="ETHUSDT")
    assert [each["clientOrderId"] for each in one] == ["e0", "e1", "e2"]
    # An id is a symbol's own
    assert await client.code("GET", "/fapi/v1/allOrders", orderId=1) == -1102


async def test_best_prices_of_all_symbols_on_one_stream(
    client: VenueClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "ALL_BOOK_TICKERS_MS", 1_000)
    feed = Stream(await client.session.ws_connect(f"{client.url}/public/ws/!bookTicker"))
    first = await feed.next()
    assert (first["e"], first["s"], first["b"]) == ("bookTicker", "BTCUSDT", "59999.90")
    await client.levels(bids=[["3000", "10"]], asks=[["3001", "10"]], symbol="ETHUSDT")
    # Only what changed
    assert (await feed.next())["s"] == "ETHUSDT"


async def test_trades_of_one_price_within_a_tenth_of_a_second_are_one(
    client: VenueClient, other: VenueClient
) -> None:
    feed = Stream(await client.session.ws_connect(f"{client.url}/market/ws/btcusdt@aggTrade"))
    await other.limit("SELL", "60000.1", "1")
    await client.market("BUY", "11")
    told = await feed.next()
    assert (told["q"], told["f"], told["l"], told["m"]) == ("11.000", 1, 2, False)
    assert told["E"] - told["T"] >= 100
    _, rows = await client.raw("GET", "/fapi/v1/aggTrades", "symbol=BTCUSDT", key="")
    assert [(each["a"], each["q"]) for each in rows] == [(told["a"], "11.000")]


async def test_an_amendment_is_read_whole_before_it_is_made(client: VenueClient) -> None:
    placed = await client.limit("BUY", "59000", "1")
    terms = {
        "symbol": "BTCUSDT",
        "orderId": placed["orderId"],
        "side": "BUY",
        "price": "59001",
        "quantity": "1",
    }
    assert await client.code("PUT", "/fapi/v1/order", modifyId="x", **terms) == -1102
    (order,) = await client.ok("GET", "/fapi/v1/openOrders")
    assert order["price"] == "59000.00"
    assert (await client.ok("PUT", "/fapi/v1/order", modifyId=7, **terms))["modifyId"] == 7


async def test_order_ids_beyond_what_a_double_holds(client: VenueClient) -> None:
    first = (1 << 53) + 1
    await client.admin("POST", "ids", {"symbol": "BTCUSDT", "orderId": first})
    placed = await client.limit("BUY", "59000", "1")
    assert placed["orderId"] == first
    found = await client.ok("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=first)
    assert found["clientOrderId"] == placed["clientOrderId"]
    async with client.session.post(
        f"{client.url}/venue/admin/ids", json={"symbol": "BTCUSDT", "orderId": first}
    ) as answer:
        assert answer.status == 400
