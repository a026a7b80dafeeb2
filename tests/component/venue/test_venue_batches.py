"""Batches over REST: each element answered by itself, and what is wrong with the whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from venue_client import VenueClient, user_stream

BATCH = "/fapi/v1/batchOrders"


def bid(name: str, price: str = "59000", **more: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.5",
        "price": price,
        "newClientOrderId": name,
        **more,
    }


async def place(client: VenueClient, *elements: object) -> Any:
    return await client.ok("POST", BATCH, batchOrders=json.dumps(elements))


async def test_each_order_is_placed_or_refused_in_its_place(client: VenueClient) -> None:
    events = await user_stream(client)
    answers = await place(
        client, bid("one"), bid("fine", "59000.05"), bid("one"), bid("two", quantity=0.25, price=58999.9)
    )
    assert [answer.get("clientOrderId", answer.get("code")) for answer in answers] == [
        "one",
        -4014,
        -4116,
        "two",
    ]
    assert answers[3]["origQty"] == "0.250"
    assert [event["o"]["c"] for event in await events.take(2)] == ["one", "two"]
    open_orders = await client.ok("GET", "/fapi/v1/openOrders", symbol="BTCUSDT")
    assert [order["clientOrderId"] for order in open_orders] == ["one", "two"]
    arrived = (await client.admin("GET", "arrivals"))["arrivals"]
    assert [arrival["clientOrderId"] for arrival in arrived] == ["one", "fine", "one", "two"]


async def test_a_batch_counts_five_in_ten_seconds_and_one_a_minute(client: VenueClient) -> None:
    await place(client, bid("one"))
    assert client.headers["X-MBX-ORDER-COUNT-10S"] == "5"
    assert client.headers["X-MBX-ORDER-COUNT-1M"] == "1"


async def test_orders_are_cancelled_by_either_id(client: VenueClient) -> None:
    placed = await place(client, bid("one"), bid("two"), bid("three"))
    names = json.dumps(["one", "nobody", "two"])
    answers = await client.ok("DELETE", BATCH, symbol="BTCUSDT", origClientOrderIdList=names)
    assert [answer.get("status", answer.get("code")) for answer in answers] == [
        "CANCELED",
        -2011,
        "CANCELED",
    ]
    numbers = json.dumps([placed[2]["orderId"]])
    answers = await client.ok("DELETE", BATCH, symbol="BTCUSDT", orderIdList=numbers)
    assert [answer["clientOrderId"] for answer in answers] == ["three"]
    assert await client.ok("GET", "/fapi/v1/openOrders", symbol="BTCUSDT") == []


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("POST", {}, -1102),
        ("POST", {"batchOrders": "[]"}, -4082),
        ("POST", {"batchOrders": json.dumps([bid(str(n)) for n in range(6)])}, -4082),
        ("POST", {"batchOrders": "[1]"}, -1102),
        ("POST", {"batchOrders": "[{"}, -1102),
        ("DELETE", {"symbol": "BTCUSDT"}, -1102),
        ("DELETE", {"symbol": "BTCUSDT", "origClientOrderIdList": json.dumps(["a"] * 11)}, -4032),
        ("DELETE", {"symbol": "BTCUSDT", "orderIdList": '["a"]'}, -1102),
        ("DELETE", {"symbol": "NOPE", "orderIdList": "[1]"}, -1121),
    ],
)
async def test_what_is_wrong_with_the_whole(
    client: VenueClient, method: str, params: dict[str, str], code: int
) -> None:
    assert await client.code(method, BATCH, **params) == code
