"""What the exchange does of its own accord, in Binance's shapes: fundings, transfers, closings, fees."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from venue_client import Stream, VenueClient, user_stream

from pms.venue.app import AccountSpec, VenueConfig, serve

ACCOUNTS = (AccountSpec.parse("demo:KEY:SECRET:100000"),)


async def words(stream: Stream, count: int) -> list[tuple[str, ...]]:
    """Each event as its type and what tells it apart."""
    found: list[tuple[str, ...]] = []
    for event in await stream.take(count):
        if event["e"] == "ORDER_TRADE_UPDATE":
            order = event["o"]
            found.append((event["e"], order["x"], order["X"], order["o"]))
        elif event["e"] == "ACCOUNT_UPDATE":
            found.append((event["e"], event["a"]["m"]))
        else:
            found.append((event["e"],))
    return found


async def income(client: VenueClient, kind: str) -> list[dict[str, Any]]:
    return list(await client.ok("GET", "/fapi/v1/income", incomeType=kind))


async def balances(client: VenueClient) -> dict[str, D]:
    return {row["asset"]: D(row["balance"]) for row in await client.ok("GET", "/fapi/v3/balance")}


async def test_a_funding_moves_the_wallet_of_each_holder_and_stands_in_both_histories(
    client: VenueClient, other: VenueClient
) -> None:
    await client.market("BUY", "2")
    await other.market("SELL", "0.5")
    stream = await user_stream(client)
    before = await balances(client)
    at = (await client.admin("POST", "funding", {"symbol": "BTCUSDT", "rate": "0.00030000"}))["fundingTime"]
    (event,) = await stream.take(1)
    assert (event["e"], event["a"]["m"], event["a"]["P"]) == ("ACCOUNT_UPDATE", "FUNDING_FEE", [])
    (rate,) = await client.ok("GET", "/fapi/v1/fundingRate", symbol="BTCUSDT")
    assert rate == {
        "symbol": "BTCUSDT",
        "fundingTime": at,
        "fundingRate": "0.00030000",
        "markPrice": rate["markPrice"],
    }
    paid = -2 * D(rate["markPrice"]) * D("0.0003")
    assert D(event["a"]["B"][0]["bc"]) == paid == (await balances(client))["USDT"] - before["USDT"]
    (row,) = await income(client, "FUNDING_FEE")
    assert (row["symbol"], row["asset"], D(row["income"]), row["tradeId"]) == ("BTCUSDT", "USDT", paid, "")
    assert D((await income(other, "FUNDING_FEE"))[0]["income"]) == -paid / 4


async def test_a_funding_can_be_set_for_a_while_ahead_and_premium_index_tells_it(client: VenueClient) -> None:
    usual = (await client.raw("GET", "/fapi/v1/premiumIndex", "symbol=BTCUSDT"))[1]["nextFundingTime"]
    assert usual % (8 * 3_600_000) == 0
    asked = {"symbol": "BTCUSDT", "rate": "-0.0001", "inMs": 60_000}
    due = (await client.admin("POST", "funding", asked))["fundingTime"]
    told = (await client.raw("GET", "/fapi/v1/premiumIndex", "symbol=BTCUSDT"))[1]
    assert (told["nextFundingTime"], told["lastFundingRate"]) == (due, "-0.00010000")
    assert await client.ok("GET", "/fapi/v1/fundingRate", symbol="BTCUSDT") == []


async def test_another_asset_comes_and_goes_as_a_transfer(client: VenueClient) -> None:
    stream = await user_stream(client)
    for amount in ("3", "-1.5"):
        await client.admin("POST", "deposit", {"account": "demo", "asset": "BNB", "amount": amount})
    came, went = await stream.take(2)
    assert (came["a"]["m"], came["a"]["B"]) == (
        "DEPOSIT",
        [{"a": "BNB", "wb": "3", "cw": "3", "bc": "3"}],
    )
    assert (went["a"]["m"], went["a"]["B"][0]["bc"]) == ("WITHDRAW", "-1.5")
    assert await balances(client) == {"USDT": D(100_000), "BNB": D("1.5")}
    rows = [row for row in await income(client, "TRANSFER") if row["asset"] == "BNB"]
    assert [D(row["income"]) for row in rows] == [D(3), D("-1.5")]
    assert len({row["tranId"] for row in rows}) == 2


async def test_with_fee_burn_commissions_are_paid_in_bnb_while_there_is_some(client: VenueClient) -> None:
    await client.levels(symbol="BNBUSDT", bids=[["599.9", "10"]], asks=[["600.1", "10"]])
    await client.admin("POST", "deposit", {"account": "demo", "asset": "BNB", "amount": "0.05"})
    assert await client.ok("GET", "/fapi/v1/feeBurn") == {"feeBurn": False}
    assert (await client.ok("POST", "/fapi/v1/feeBurn", feeBurn="true"))["code"] == 200
    stream = await user_stream(client)
    await client.market("BUY", "1")
    events = await stream.take(4)
    assert [balance["a"] for balance in events[2]["a"]["B"]] == ["USDT", "BNB"]
    fill = events[3]["o"]
    burnt = (D("60000.1") * D("0.0005") * D("0.9") / 600).quantize(D("0.00000001"))
    assert (fill["N"], D(fill["n"])) == ("BNB", burnt)
    (trade,) = await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    assert (trade["commissionAsset"], D(trade["commission"])) == ("BNB", burnt)
    (row,) = await income(client, "COMMISSION")
    assert (row["asset"], D(row["income"])) == ("BNB", -burnt)
    # What is left does not pay the next one: that is paid in USDT.
    await client.market("BUY", "1")
    assert (await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT"))[1]["commissionAsset"] == "USDT"


@pytest.mark.parametrize(
    ("why", "client_id", "traded", "account_words"),
    [
        ("liquidation", "autoclose-", ("TRADE", "LIQUIDATION"), ["ORDER", "INSURANCE_CLEAR"]),
        ("adl", "adl_autoclose", ("CALCULATED", "MARKET"), ["ORDER"]),
        ("settlement", "settlement_autoclose-", ("TRADE", "MARKET"), ["ORDER"]),
    ],
)
async def test_the_exchange_closes_a_position_under_its_own_client_id(
    client: VenueClient, why: str, client_id: str, traded: tuple[str, str], account_words: list[str]
) -> None:
    execution, kind = traded
    await client.market("BUY", "1")
    resting = await client.limit("BUY", "59000", "0.1")
    stream = await user_stream(client)
    order = await client.admin("POST", "close", {"account": "demo", "symbol": "BTCUSDT", "why": why})
    assert order["clientOrderId"].startswith(client_id)
    named = {"symbol": "BTCUSDT", "origClientOrderId": order["clientOrderId"]}
    assert (await client.ok("GET", "/fapi/v1/order", **named))["orderId"] == order["orderId"]
    told = await words(stream, 4 + (why != "adl") + (why == "liquidation"))
    updates = [word for word in told if word[0] == "ORDER_TRADE_UPDATE"]
    assert updates[-2:] == [
        ("ORDER_TRADE_UPDATE", "NEW", "NEW", kind),
        ("ORDER_TRADE_UPDATE", execution, "FILLED", kind),
    ]
    assert [word[1] for word in told if word[0] == "ACCOUNT_UPDATE"] == account_words
    kept = await client.ok("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=resting["orderId"])
    assert kept["status"] == ("NEW" if why == "adl" else "EXPIRED")
    trades = await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    assert [(row["orderId"] == order["orderId"], row["qty"]) for row in trades] == [
        (False, "1.000"),
        (True, "1.000"),
    ]
    found = await client.ok("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"])
    assert found["clientOrderId"] == order["clientOrderId"]
    incomes = await client.ok("GET", "/fapi/v1/income")
    assert sum(D(row["income"]) for row in incomes) == (await balances(client))["USDT"]


async def test_an_order_by_hand_is_the_accounts_own(client: VenueClient) -> None:
    body = {"account": "demo", "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.2", "price": "61000"}
    order = await client.admin("POST", "order", body)
    assert order["clientOrderId"].startswith("web_")
    assert [row["orderId"] for row in await client.ok("GET", "/fapi/v1/openOrders")] == [order["orderId"]]


async def test_a_funding_and_other_assets_survive_the_process(start, session, tmp_path) -> None:
    first = await serve(VenueConfig(port=0, accounts=ACCOUNTS, market="none", limits="off", state=tmp_path))
    client = VenueClient(session, first.url)
    await client.levels(bids=[["59999.9", "5"]], asks=[["60000.1", "5"]])
    await client.admin("POST", "deposit", {"account": "demo", "asset": "BNB", "amount": "3"})
    await client.ok("POST", "/fapi/v1/feeBurn", feeBurn="true")
    await client.market("BUY", "1")
    await client.admin("POST", "funding", {"symbol": "BTCUSDT", "rate": "0.0002"})
    paths = ("/fapi/v1/fundingRate", "/fapi/v1/income", "/fapi/v3/balance", "/fapi/v1/feeBurn")
    before = [await client.ok("GET", path) for path in paths]
    await first.close()
    again = VenueClient(session, (await start(state=tmp_path)).url)
    after = [await again.ok("GET", path) for path in paths]
    # The mark is the last price while nobody quotes: what is available depends on it.
    for rows in (before[2], after[2]):
        for row in rows:
            for name in ("crossUnPnl", "availableBalance", "maxWithdrawAmount"):
                row.pop(name)
    assert after == before
