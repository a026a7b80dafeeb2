"""Faults act exactly where they say: before execution, or after it and before the answer."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from venue_client import LocalBook, VenueClient, public_stream, user_stream

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}


async def fault(client: VenueClient, **rule: object) -> int:
    return (await client.admin("POST", "faults", rule))["id"]


@pytest.mark.parametrize(("kind", "executed"), [("cut_before", 0), ("cut_after", 1)])
async def test_a_cut_connection_leaves_the_outcome_unknown(
    client: VenueClient, kind: str, executed: int
) -> None:
    await fault(client, kind=kind, subject="^cut$", method="POST")
    with pytest.raises(aiohttp.ClientError):
        await client.call("POST", "/fapi/v1/order", newClientOrderId="cut", **ORDER)
    assert len(await client.ok("GET", "/fapi/v1/allOrders", symbol="BTCUSDT")) == executed
    await client.market("BUY", "1")


async def test_an_answer_from_the_gateway_has_no_code(client: VenueClient) -> None:
    await fault(client, kind="status_after", path="/fapi/v1/order")
    status, body = await client.call("POST", "/fapi/v1/order", newClientOrderId="u", **ORDER)
    assert status == 503
    assert "code" not in body
    assert (await client.ok("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="u"))[
        "status"
    ] == "FILLED"
    await fault(client, kind="status_before", path="/fapi/v1/order", status=408, code=-1007)
    status, body = await client.call("POST", "/fapi/v1/order", newClientOrderId="v", **ORDER)
    assert (status, body["code"]) == (408, -1007)
    assert await client.code("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="v") == -2013


async def test_a_hanging_answer_is_seen_from_outside_and_released(client: VenueClient) -> None:
    rule = await fault(client, kind="hang_after", subject="slow")
    asked = asyncio.create_task(client.call("POST", "/fapi/v1/order", newClientOrderId="slow-1", **ORDER))
    seen = await client.admin("GET", f"faults/{rule}?hits=1&timeout=5")
    assert [hit["subject"] for hit in seen["hits"]] == ["slow-1"]
    trades = (await client.admin("GET", "trades"))["trades"]
    assert [each["clientOrderId"] for each in trades] == ["slow-1"]
    assert not asked.done()
    await client.admin("DELETE", "faults")
    assert (await asked)[0] == 200


async def test_a_delayed_answer_is_overtaken_by_its_own_event(client: VenueClient) -> None:
    events = await user_stream(client)
    await fault(client, kind="delay_after", ms=300)
    asked = asyncio.create_task(client.call("POST", "/fapi/v1/order", **ORDER))
    assert (await events.next())["e"] == "TRADE_LITE"
    assert not asked.done()
    assert (await asked)[0] == 200


async def test_events_are_withheld_and_doubled(client: VenueClient) -> None:
    events = await user_stream(client)
    await fault(client, kind="withhold_event", subject="^TRADE_LITE")
    await fault(client, kind="duplicate_event", subject="^ORDER_TRADE_UPDATE once$")
    await client.market("BUY", "1", newClientOrderId="once")
    told = await events.take(4)
    assert [each["e"] for each in told] == [
        "ORDER_TRADE_UPDATE",
        "ORDER_TRADE_UPDATE",
        "ACCOUNT_UPDATE",
        "ORDER_TRADE_UPDATE",
    ]
    assert told[0] == told[1]


async def test_a_lost_diff_breaks_the_chain_and_a_new_snapshot_mends_it(client: VenueClient) -> None:
    feed = await public_stream(client, "btcusdt@depth@0ms")
    await client.limit("BUY", "59000", "1")
    before = await feed.next()
    await fault(client, kind="drop_diff", symbol="BTCUSDT")
    await client.limit("BUY", "59001", "1")
    await client.limit("BUY", "59002", "1")
    after = await feed.next()
    assert after["pu"] > before["u"]
    assert after["b"] == [["59002.00", "1.000"]]
    _, snapshot = await client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=1000", key="")
    book = LocalBook(snapshot)
    await client.limit("BUY", "59003", "1")
    assert book.apply(await feed.next())


async def test_requests_and_arrivals_are_counted_whatever_comes_of_them(client: VenueClient) -> None:
    await client.call("POST", "/fapi/v1/order", newClientOrderId="a", **ORDER)
    await client.call("POST", "/fapi/v1/order", newClientOrderId="b", **(ORDER | {"side": "NO"}))
    assert (await client.admin("GET", "requests"))["counts"]["POST /fapi/v1/order"] == 2
    arrivals = (await client.admin("GET", "arrivals"))["arrivals"]
    assert [each["clientOrderId"] for each in arrivals] == ["a", "b"]
    later = (await client.admin("GET", f"arrivals?since={arrivals[0]['at']}"))["arrivals"]
    assert [each["clientOrderId"] for each in later] == ["b"]


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"kind": "explode"},
        {"kind": "drop_diff", "count": 0},
        {"kind": "drop_diff", "wings": 2},
        {"kind": "cut_after", "subject": "("},
        {"kind": "delay_after", "ms": "5"},
    ],
)
async def test_a_rule_without_sense_is_refused(client: VenueClient, rule: dict) -> None:
    async with client.session.post(f"{client.url}/venue/admin/faults", json=rule) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]


@pytest.mark.parametrize(
    "what", ["faults/{}", "faults/{id}?hits={}", "faults/{id}?timeout={}", "arrivals?since={}"]
)
async def test_a_number_beyond_all_sense_is_malformed(client: VenueClient, what: str) -> None:
    rule = await fault(client, kind="hang_after", subject="slow")
    path = what.format("9" * 4301, id=rule)
    async with client.session.get(f"{client.url}/venue/admin/{path}") as answer:
        assert (answer.status, "whole number" in (await answer.json())["error"]) == (400, True)
