"""Bad requests: each gets its own code and changes nothing."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from venue_client import VenueClient

LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "59000",
}
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
DROP = object()


def but(base: dict, **changes: object) -> dict:
    return {name: value for name, value in (base | changes).items() if value is not DROP}


REFUSED = [
    (but(LIMIT, symbol=DROP), -1102, "Mandatory parameter 'symbol'"),
    (but(LIMIT, symbol="NOPEUSDT"), -1121, "Invalid symbol."),
    (but(LIMIT, side=DROP), -1102, "'side'"),
    (but(LIMIT, side="LONG"), -1117, "Invalid side."),
    (but(LIMIT, type=DROP), -1102, "'type'"),
    (but(LIMIT, type="ICEBERG"), -1116, "Invalid orderType."),
    (but(LIMIT, type="STOP_MARKET", stopPrice="1"), -4120, "Algo Order API"),
    (but(LIMIT, timeInForce=DROP), -1102, "'timeinforce'"),
    (but(LIMIT, timeInForce="RPI"), -1115, "Invalid timeInForce."),
    (but(LIMIT, timeInForce="GTD"), -1102, "'goodtilldate'"),
    (but(LIMIT, timeInForce="GTD", goodTillDate=1_000), -5040, "current time plus 600 seconds"),
    (but(LIMIT, timeInForce="GTD", goodTillDate=253402300799000), -5040, "smaller than 253402300799000"),
    (but(LIMIT, quantity=DROP), -1102, "'quantity'"),
    (but(LIMIT, price=DROP), -1102, "'price'"),
    (but(LIMIT, quantity="NaN"), -1100, "Illegal characters found in parameter 'quantity'"),
    (but(LIMIT, quantity="0"), -4003, "Quantity less than or equal to zero."),
    (but(LIMIT, quantity="-1"), -4003, "Quantity less than or equal to zero."),
    (but(LIMIT, quantity="0.0001"), -1111, "Precision is over the maximum"),
    (but(LIMIT, quantity="1001"), -4005, "Quantity greater than max quantity."),
    (but(MARKET, quantity="120.001"), -4005, "Quantity greater than max quantity."),
    (but(LIMIT, price="-5"), -4001, "Price less than 0."),
    (but(LIMIT, price="59000.001"), -1111, "Precision is over the maximum"),
    (but(LIMIT, price="59000.05"), -4014, "Price not increased by tick size."),
    (but(LIMIT, price="100"), -4013, "Price less than min price."),
    (but(LIMIT, price="9000000"), -4002, "Price greater than max price."),
    (but(LIMIT, price="63000.1"), -4016, "Limit price can't be higher than 63000."),
    (but(LIMIT, side="SELL", price="56999.9"), -4024, "Limit price can't be lower than 57000."),
    (but(LIMIT, quantity="0.001"), -4164, "Order's notional must be no smaller than 100"),
    (but(MARKET, quantity="0.001"), -4164, "Order's notional must be no smaller than 100"),
    (but(MARKET, timeInForce="IOC"), -1106, "Parameter 'timeinforce' sent when not required."),
    (but(MARKET, price="60000"), -1106, "Parameter 'price' sent when not required."),
    (but(MARKET, positionSide="LONG"), -4061, "position side does not match"),
    (but(MARKET, positionSide="UP"), -4060, "Invalid position side."),
    (but(MARKET, reduceOnly="yes"), -1102, "'reduceonly'"),
    (but(MARKET, reduceOnly="true"), -2022, "ReduceOnly Order is rejected."),
    (but(MARKET, newClientOrderId="a b"), -1100, r"'^[\.A-Z\:/a-z0-9_-]{1,36}$'"),
    (but(MARKET, newClientOrderId="a" * 37), -4015, "36 chars"),
    (but(MARKET, newClientOrderId=""), -1105, "Parameter 'newclientorderid' was empty."),
    (but(MARKET, newOrderRespType="FULL"), -1136, "Invalid newOrderRespType."),
    (but(MARKET, selfTradePreventionMode="MAYBE"), -5039, "Invalid self trade prevention mode"),
    (but(LIMIT, priceMatch="BEST", price=DROP), -5037, "Invalid price match"),
    (but(MARKET, priceMatch="QUEUE"), -5038, "Price match only supports order type: LIMIT"),
    (but(LIMIT, priceMatch="QUEUE"), -1106, "Parameter 'price' sent when not required."),
    (but(LIMIT, priceMatch="QUEUE_20", price=DROP), -5041, "No depth matches this BBO order"),
    (but(LIMIT, quantity="100"), -2019, "Margin is insufficient."),
    (but(LIMIT, timestamp=1), -1021, "outside of the recvWindow."),
    (but(LIMIT, timestamp=int(time.time() * 1000) + 600_000), -1021, "1000ms ahead of the server's time."),
    (but(LIMIT, timestamp="soon"), -1102, "'timestamp'"),
]


async def test_every_bad_order_has_its_code_and_changes_nothing(client: VenueClient) -> None:
    for params, code, text in REFUSED:
        status, body = await client.call("POST", "/fapi/v1/order", **params)
        assert (status, body["code"]) == (400, code), params
        assert text in body["msg"], params
    assert await client.ok("GET", "/fapi/v1/allOrders", symbol="BTCUSDT") == []
    assert (await client.ok("GET", "/fapi/v2/balance"))[0]["balance"] == "100000.00000000"
    assert (await client.ok("GET", "/fapi/v3/account"))["positions"] == []


async def test_requests_that_prove_nothing(client: VenueClient) -> None:
    path, query = "/fapi/v1/openOrders", f"timestamp={int(time.time() * 1000)}"
    for key, sent, status, code in (
        ("", query, 401, -2014),
        ("WRONG", query, 401, -2015),
        ("KEY", query, 400, -1102),
        ("KEY", query + "&signature=00", 400, -1022),
        ("KEY", "", 400, -1102),
    ):
        answered, body = await client.raw("GET", path, sent, key=key)
        assert (answered, body["code"]) == (status, code)
    stranger = VenueClient(client.session, client.url, "KEY", "NOT-THE-SECRET")
    assert await stranger.code("GET", path) == -1022


async def test_a_form_body_is_as_good_as_a_query(client: VenueClient) -> None:
    query = "symbol=BTCUSDT&side=BUY&type=MARKET"
    body = f"quantity=0.01&TIMESTAMP={int(time.time() * 1000)}"
    signature = hmac.new(b"SECRET", (query + body).encode(), hashlib.sha256).hexdigest()
    status, answer = await client.raw("POST", "/fapi/v1/order", query, f"{body}&signature={signature}")
    assert (status, answer["origQty"]) == (200, "0.010")


@pytest.mark.parametrize(
    ("method", "path", "params", "code"),
    [
        ("GET", "/fapi/v1/order", {"symbol": "BTCUSDT"}, -1102),
        ("GET", "/fapi/v1/order", {"symbol": "BTCUSDT", "orderId": 99}, -2013),
        ("GET", "/fapi/v1/order", {"symbol": "BTCUSDT", "orderId": "x"}, -1102),
        ("DELETE", "/fapi/v1/order", {"symbol": "BTCUSDT", "orderId": 99}, -2011),
        ("DELETE", "/fapi/v1/order", {"symbol": "BTCUSDT"}, -1102),
        (
            "PUT",
            "/fapi/v1/order",
            {"symbol": "BTCUSDT", "side": "BUY", "orderId": 9, "price": "1", "quantity": "1"},
            -2013,
        ),
        ("POST", "/fapi/v1/leverage", {"symbol": "BTCUSDT", "leverage": 151}, -4028),
        ("POST", "/fapi/v1/leverage", {"symbol": "BTCUSDT", "leverage": 0}, -4028),
        ("POST", "/fapi/v1/marginType", {"symbol": "BTCUSDT", "marginType": "CROSSED"}, -4046),
        ("POST", "/fapi/v1/positionSide/dual", {"dualSidePosition": "false"}, -4059),
        ("POST", "/fapi/v1/positionSide/dual", {"dualSidePosition": "yes"}, -1102),
        ("POST", "/fapi/v1/multiAssetsMargin", {"multiAssetsMargin": "false"}, -4171),
        ("GET", "/fapi/v1/userTrades", {"symbol": "BTCUSDT", "startTime": 2, "endTime": 1}, -1023),
        ("GET", "/fapi/v1/userTrades", {"symbol": "BTCUSDT", "startTime": 1, "endTime": 10**9}, -1127),
        ("GET", "/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": 7}, -4021),
        ("GET", "/fapi/v1/algoOrder", {"clientAlgoId": "x"}, -2013),
        ("GET", "/fapi/v1/nothing", {}, -5000),
        ("PATCH", "/fapi/v1/order", {}, -5000),
    ],
)
async def test_other_endpoints_refuse_in_their_words(
    client: VenueClient, method: str, path: str, params: dict, code: int
) -> None:
    assert await client.code(method, path, **params) == code


async def test_an_amendment_makes_no_order_reduce_only_nor_frees_one(client: VenueClient) -> None:
    plain = await client.limit("BUY", "59000", "0.01")
    await client.market("BUY", "0.01")
    closing = await client.limit("SELL", "61000", "0.01", reduceOnly="true")
    for order, price, only, code in ((plain, "58999", "true", -5047), (closing, "61001", "false", -4062)):
        change = {name: order[name] for name in ("symbol", "side", "orderId")}
        change |= {"quantity": "0.01", "price": price}
        assert await client.code("PUT", "/fapi/v1/order", **change, reduceOnly=only) == code
        assert await client.code("PUT", "/fapi/v1/order", **change, reduceOnly="maybe") == -1102
        batch = json.dumps([{**change, "reduceOnly": only}])
        (refused,) = await client.ok("PUT", "/fapi/v1/batchOrders", batchOrders=batch)
        assert refused["code"] == code
        assert (await client.ok("GET", "/fapi/v1/order", **change))["price"] == order["price"]
        same = {"true": "false", "false": "true"}[only]
        amended = await client.ok("PUT", "/fapi/v1/order", **change, reduceOnly=same)
        assert amended["reduceOnly"] is order["reduceOnly"]


async def test_what_anybody_makes_up_takes_no_place_for_good(client: VenueClient) -> None:
    """No key and no signature is needed for it."""
    for number in range(3):
        assert (await client.raw("GET", f"/fapi/v1/{number}", key=""))[1]["code"] == -5000
        assert (await client.raw("PATCH", "/fapi/v1/order", key=""))[1]["code"] == -5000
    name = "x" * 5000
    for path, body in (
        ("order", f"newClientOrderId={name}"),
        ("batchOrders", f'batchOrders=[{{"newClientOrderId":"{name}"}}]'),
    ):
        assert (await client.raw("POST", f"/fapi/v1/{path}", body=body))[0] == 400
    counts = (await client.admin("GET", "requests"))["counts"]
    assert counts == {"POST /fapi/v1/order": 1, "POST /fapi/v1/batchOrders": 1}
    arrivals = (await client.admin("GET", "arrivals"))["arrivals"]
    assert [each["clientOrderId"] for each in arrivals] == ["x" * 36] * 2


async def test_a_parameter_sent_twice_is_refused(client: VenueClient) -> None:
    query = f"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&quantity=0.01&timestamp={_now()}"
    signature = hmac.new(b"SECRET", query.encode(), hashlib.sha256).hexdigest()
    status, answer = await client.raw("POST", "/fapi/v1/order", f"{query}&signature={signature}")
    assert (status, answer["code"]) == (400, -1101)
    assert answer["msg"] == "Duplicate values for a parameter detected."
    assert await client.ok("GET", "/fapi/v3/positionRisk") == []


NO_HISTORY: list[tuple[str, dict[str, object], int]] = [
    ("order", {"symbol": "BTCUSDT", "orderId": 2**63}, -1102),
    ("userTrades", {"symbol": "BTCUSDT", "fromId": 2**63}, -1102),
    ("allOrders", {"symbol": "BTCUSDT", "orderId": -(2**63)}, -1102),
    ("order", {"symbol": "BTCUSDT", "origClientOrderId": "a\udcff"}, -1100),
    ("algoOrder", {"clientAlgoId": "a\udcff"}, -1100),
    ("income", {"page": 0}, -1130),
]


async def test_what_no_history_can_be_asked_for_is_malformed(
    start, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Never a 500, which tells a client that the outcome is unknown."""
    running = await start(state=tmp_path)
    client = VenueClient(session, running.url)
    await client.levels(bids=[["59999.9", "10"]], asks=[["60000.1", "10"]])
    await client.market("BUY", "0.01")
    # Rows of the very moment of the cut stay
    await asyncio.sleep(0.01)
    assert await running.keeper.cut()
    for path, params, code in NO_HISTORY:
        text = "&".join(f"{name}={value}" for name, value in {**params, "timestamp": _now()}.items())
        body = text.encode("utf-8", "surrogateescape")
        signature = hmac.new(b"SECRET", body, hashlib.sha256).hexdigest().encode()
        for signed, told in ((signature, code), (b"\xff", -1022)):
            status, answer = await client.raw("GET", f"/fapi/v1/{path}", body=body + b"&signature=" + signed)
            assert (status, answer["code"]) == (400, told), params
    assert len(await client.ok("GET", "/fapi/v1/income", page=1)) == 2
    assert await client.ok("GET", "/fapi/v1/income", page=2**63 - 1, limit=1000) == []
    assert await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", fromId=2**63 - 1) == []


def _now() -> int:
    return int(time.time() * 1000)


async def test_a_market_order_beyond_the_bound_and_one_into_nothing(client: VenueClient) -> None:
    await client.levels(
        bids=[], asks=[[f"{60000.1 + step:.1f}", "0"] for step in range(10)] + [["69000.0", "5"]]
    )
    assert await client.code("POST", "/fapi/v1/order", **MARKET) == -4131
    await client.levels(bids=[], asks=[["69000.0", "0"]])
    order = await client.market("BUY", "0.01")
    assert (order["status"], order["executedQty"]) == ("EXPIRED", "0.000")


async def test_limits_are_told_and_enforced(start, session: aiohttp.ClientSession) -> None:
    venue = await start(limits="binance")
    client = VenueClient(session, venue.url)
    await client.levels(bids=[["59999.9", "5"]], asks=[["60000.1", "5"]])
    await client.market("BUY", "0.01")
    assert client.headers["x-mbx-order-count-10s"] == "1"
    used = int(client.headers["X-MBX-USED-WEIGHT-1M"])
    await client.ok("GET", "/fapi/v2/balance")
    assert int(client.headers["X-MBX-USED-WEIGHT-1M"]) in (used + 5, 5)
    status = 200
    for _ in range(200):
        status, body = await client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=1000", key="")
        if status != 200:
            break
    assert (status, body["code"]) == (429, -1003)
    assert 1 <= int(client.headers["Retry-After"]) <= 60


async def test_account_views_agree(client: VenueClient) -> None:
    await client.market("SELL", "0.5")
    await client.limit("SELL", "61000", "0.1")
    v3 = (await client.ok("GET", "/fapi/v3/account"))["positions"][0]
    v2 = (await client.ok("GET", "/fapi/v2/account"))["positions"][0]
    risk3 = (await client.ok("GET", "/fapi/v3/positionRisk"))[0]
    risk2 = (await client.ok("GET", "/fapi/v2/positionRisk", symbol="BTCUSDT"))[0]
    assert {Decimal(each["positionAmt"]) for each in (v3, v2, risk3, risk2)} == {Decimal("-0.5")}
    assert {each["entryPrice"] for each in (v2, risk3, risk2)} == {"59999.9"}
    assert Decimal(risk3["notional"]) == Decimal(v3["notional"]) == -30000
    assert Decimal(v3["initialMargin"]) == Decimal(v2["initialMargin"]) == Decimal(36100) / 20
    assert Decimal(risk3["liquidationPrice"]) > 200_000
    assert len(await client.ok("GET", "/fapi/v2/positionRisk")) == 8


async def test_amendments_are_refused_with_codes_of_their_own(start, session: aiohttp.ClientSession) -> None:
    running = await start()
    client = VenueClient(session, running.url)
    await client.levels(bids=[["59999.9", "10"]], asks=[["60000.1", "10"]])
    order = await client.limit("BUY", "59000", "0.01")
    terms = {"symbol": "BTCUSDT", "side": "BUY", "orderId": order["orderId"], "price": "59000"}
    market = running.venue.exchange.markets["BTCUSDT"]
    for status, quantity, code in (("TRADING", "0.001", -5029), ("SETTLING", "0.02", -5024)):
        market.symbol = replace(market.symbol, status=status)
        change = terms | {"quantity": quantity}
        assert await client.code("PUT", "/fapi/v1/order", **change) == code
        batch = json.dumps([{name: str(value) for name, value in change.items()}])
        (answer,) = await client.ok("PUT", "/fapi/v1/batchOrders", batchOrders=batch)
        assert answer["code"] == code
    assert (await client.ok("GET", "/fapi/v1/openOrders"))[0]["origQty"] == "0.010"
