"""Hedge mode as a client sees it: a long and a short position in one symbol, side by side."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from venue_client import VenueClient, user_stream

from pms.venue.app import AccountSpec, VenueConfig, serve

DUAL = "/fapi/v1/positionSide/dual"
ORDER = {"symbol": "BTCUSDT", "type": "MARKET", "quantity": "0.01"}


@pytest.fixture
async def hedged(client: VenueClient) -> VenueClient:
    """The demo account in hedge mode, long 0.3 and short 0.1."""
    assert await client.ok("POST", DUAL, dualSidePosition="true") == {"code": 200, "msg": "success"}
    await client.market("BUY", "0.3", positionSide="LONG")
    await client.market("SELL", "0.1", positionSide="SHORT")
    return client


async def positions(client: VenueClient, version: int = 3) -> dict[str, D]:
    rows = await client.ok("GET", f"/fapi/v{version}/positionRisk", symbol="BTCUSDT")
    return {row["positionSide"]: D(row["positionAmt"]) for row in rows}


async def test_the_mode_is_told_and_changes_only_without_orders_and_positions(client: VenueClient) -> None:
    assert await client.ok("GET", DUAL) == {"dualSidePosition": False}
    assert await client.code("POST", DUAL, dualSidePosition="false") == -4059
    resting = await client.limit("BUY", "59000", "0.1")
    assert await client.code("POST", DUAL, dualSidePosition="true") == -4067
    await client.ok("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=resting["orderId"])
    waiting = {**ORDER, "algoType": "CONDITIONAL", "type": "STOP_MARKET", "triggerPrice": "50000"}
    algo = await client.ok("POST", "/fapi/v1/algoOrder", side="SELL", **waiting)
    assert await client.code("POST", DUAL, dualSidePosition="true") == -4067
    await client.ok("DELETE", "/fapi/v1/algoOrder", algoId=algo["algoId"])
    await client.market("BUY", "0.1")
    assert await client.code("POST", DUAL, dualSidePosition="true") == -4068
    await client.market("SELL", "0.1")
    assert (await client.ok("POST", DUAL, dualSidePosition="true"))["code"] == 200
    assert await client.code("POST", DUAL, dualSidePosition="true") == -4059
    assert await client.ok("GET", DUAL) == {"dualSidePosition": True}
    assert (await client.ok("GET", "/fapi/v1/accountConfig"))["dualSidePosition"] is True


async def test_both_sides_are_held_and_closed_apart(hedged: VenueClient) -> None:
    assert await positions(hedged) == {"LONG": D("0.3"), "SHORT": D("-0.1")}
    assert await positions(hedged, 2) == {"LONG": D("0.3"), "SHORT": D("-0.1")}
    account = await hedged.ok("GET", "/fapi/v2/account")
    sides = [row["positionSide"] for row in account["positions"] if row["symbol"] == "BTCUSDT"]
    assert sides == ["LONG", "SHORT"]
    margins = [D(row["initialMargin"]) for row in account["positions"]]
    assert D(account["totalInitialMargin"]) == sum(margins) == D("0.4") * 60_000 / 20
    # Neither close can do more than close.
    too_much = {"quantity": "0.301", "positionSide": "LONG", "side": "SELL"}
    assert await hedged.code("POST", "/fapi/v1/order", **(ORDER | too_much)) == -2022
    await hedged.limit("SELL", "61000", "0.2", positionSide="LONG")
    too_much["quantity"] = "0.2"
    assert await hedged.code("POST", "/fapi/v1/order", **(ORDER | too_much)) == -4118
    stream = await user_stream(hedged)
    await hedged.market("BUY", "0.1", positionSide="SHORT")
    lite, accepted, moved, filled = await stream.take(4)
    assert lite["e"] == "TRADE_LITE"
    assert [accepted["o"]["ps"], filled["o"]["ps"]] == ["SHORT", "SHORT"]
    assert (filled["o"]["R"], D(filled["o"]["rp"])) == (True, D("0.1") * (D("59999.9") - D("60000.1")))
    (told,) = moved["a"]["P"]
    assert (told["ps"], told["pa"], D(told["cr"])) == ("SHORT", "0", D(filled["o"]["rp"]))
    assert await positions(hedged) == {"LONG": D("0.3")}
    rows = await hedged.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    assert [row["positionSide"] for row in rows] == ["LONG", "SHORT", "SHORT"]
    (resting,) = await hedged.ok("GET", "/fapi/v1/openOrders")
    assert (resting["positionSide"], resting["reduceOnly"]) == ("LONG", True)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"side": "BUY"}, -4061),
        ({"side": "BUY", "positionSide": "BOTH"}, -4061),
        ({"side": "BUY", "positionSide": "UP"}, -4060),
        ({"side": "BUY", "positionSide": "LONG", "reduceOnly": "false"}, -1106),
        ({"side": "SELL", "positionSide": "LONG", "reduceOnly": "true"}, -1106),
        ({"side": "BUY", "positionSide": "SHORT", "quantity": "0.11"}, -2022),
    ],
)
async def test_what_does_not_fit_the_mode_is_refused(
    hedged: VenueClient, params: dict[str, str], code: int
) -> None:
    before = await positions(hedged)
    assert await hedged.code("POST", "/fapi/v1/order", **(ORDER | params)) == code
    assert await hedged.code("POST", "/fapi/v1/order/test", **(ORDER | params)) == code
    assert await positions(hedged) == before


async def test_an_amendment_stays_on_its_side(hedged: VenueClient) -> None:
    order = await hedged.limit("BUY", "59000", "0.1", positionSide="LONG")
    terms = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.2", "price": "59001"}
    asked = {**terms, "orderId": order["orderId"]}
    for side, code in (("BOTH", -4061), ("SHORT", -4061), ("UP", -4060)):
        assert await hedged.code("PUT", "/fapi/v1/order", **asked, positionSide=side) == code
    amended = await hedged.ok("PUT", "/fapi/v1/order", **asked)
    assert (amended["positionSide"], amended["origQty"]) == ("LONG", "0.200")


async def test_in_a_batch_each_order_names_its_side(hedged: VenueClient) -> None:
    limit = '{"symbol":"BTCUSDT","type":"LIMIT","timeInForce":"GTC","quantity":"0.1",'
    orders = f'[{limit}"side":"BUY","price":"59000","positionSide":"LONG"}},'
    orders += f'{limit}"side":"SELL","price":"61000","positionSide":"SHORT"}},'
    orders += f'{limit}"side":"SELL","price":"61000"}}]'
    first, second, third = await hedged.ok("POST", "/fapi/v1/batchOrders", batchOrders=orders)
    assert (first["positionSide"], second["positionSide"], third["code"]) == ("LONG", "SHORT", -4061)


async def test_a_stop_closes_its_own_side_and_no_more(hedged: VenueClient) -> None:
    stop: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "algoType": "CONDITIONAL",
        "type": "STOP_MARKET",
        "closePosition": "true",
        "triggerPrice": "58000",
    }
    assert await hedged.code("POST", "/fapi/v1/algoOrder", side="SELL", **stop) == -4061
    opening = {**stop, "side": "BUY", "positionSide": "LONG", "triggerPrice": "61000"}
    assert await hedged.code("POST", "/fapi/v1/algoOrder", **opening) == -2022
    long = await hedged.ok("POST", "/fapi/v1/algoOrder", side="SELL", positionSide="LONG", **stop)
    assert long["positionSide"] == "LONG"
    await hedged.levels(
        bids=[[f"{59999.9 - step:.1f}", "0"] for step in range(10)] + [["57999.9", "5"]], asks=[]
    )
    await hedged.admin("POST", "trade", {"symbol": "BTCUSDT", "side": "SELL", "quantity": "1"})
    assert await positions(hedged) == {"SHORT": D("-0.1")}
    assert (await hedged.ok("GET", "/fapi/v1/algoOrder", algoId=long["algoId"]))["algoStatus"] == "FINISHED"


async def test_leverage_is_the_symbols_and_funding_each_sides(hedged: VenueClient) -> None:
    await hedged.ok("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=7)
    rows = await hedged.ok("GET", "/fapi/v2/positionRisk", symbol="BTCUSDT")
    assert [row["leverage"] for row in rows] == ["7", "7"]
    assert rows[0]["liquidationPrice"] == rows[1]["liquidationPrice"]
    await hedged.admin("POST", "funding", {"symbol": "BTCUSDT", "rate": "0.0001"})
    paid = [D(row["income"]) for row in await hedged.ok("GET", "/fapi/v1/income", incomeType="FUNDING_FEE")]
    assert paid == [D("-0.3") * 6, D("0.1") * 6]
    quantiles = await hedged.ok("GET", "/fapi/v1/adlQuantile")
    assert quantiles == [{"symbol": "BTCUSDT", "adlQuantile": {"LONG": 1, "SHORT": 1, "HEDGE": 1}}]


async def test_the_exchange_closes_the_side_that_it_names(hedged: VenueClient) -> None:
    body = {"account": "demo", "symbol": "BTCUSDT", "why": "liquidation", "positionSide": "SHORT"}
    assert (await hedged.admin("POST", "close", body))["positionSide"] == "SHORT"
    assert await positions(hedged) == {"LONG": D("0.3")}


async def test_an_account_does_not_trade_with_its_own_other_side(hedged: VenueClient) -> None:
    resting = await hedged.limit("BUY", "60000.0", "0.1", positionSide="LONG")
    await hedged.market("SELL", "0.1", positionSide="SHORT")
    kept = await hedged.ok("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=resting["orderId"])
    assert (kept["status"], kept["executedQty"]) == ("EXPIRED_IN_MATCH", "0.000")
    assert await positions(hedged) == {"LONG": D("0.3"), "SHORT": D("-0.2")}


async def test_mode_and_sides_survive_the_process(start, session, tmp_path) -> None:
    accounts = (AccountSpec.parse("demo:KEY:SECRET:100000"),)
    first = await serve(VenueConfig(port=0, accounts=accounts, market="none", limits="off", state=tmp_path))
    client = VenueClient(session, first.url)
    await client.levels(bids=[["59999.9", "5"]], asks=[["60000.1", "5"]])
    await client.ok("POST", DUAL, dualSidePosition="true")
    await client.market("BUY", "0.3", positionSide="LONG")
    await client.market("SELL", "0.1", positionSide="SHORT")
    resting = await client.limit("BUY", "61000", "0.1", positionSide="SHORT")
    assert resting["reduceOnly"] is True
    held = await positions(client)
    await first.close()
    again = VenueClient(session, (await start(state=tmp_path)).url)
    assert await again.ok("GET", DUAL) == {"dualSidePosition": True}
    assert await positions(again) == held
