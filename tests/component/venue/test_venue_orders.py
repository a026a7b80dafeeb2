"""Orders over REST, their user events in order, and what the account looks like afterwards."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from venue_client import VenueClient, user_stream

from pms.venue.app import AccountSpec, VenueConfig, serve


def kinds(events: list[dict]) -> list[str]:
    return [f"{e['o']['x']} {e['o']['X']}" if "o" in e else e["e"] for e in events]


async def test_a_market_order_fills_and_tells_in_binance_order(client: VenueClient) -> None:
    events = await user_stream(client)
    order = await client.market("BUY", "12", newClientOrderId="big")
    assert (order["status"], order["executedQty"], order["price"]) == ("FILLED", "12.000", "0.00")
    assert "avgPrice" not in order
    assert "cumQuote" not in order
    told = await events.take(7)
    assert kinds(told) == [
        "TRADE_LITE",
        "NEW NEW",
        "ACCOUNT_UPDATE",
        "TRADE PARTIALLY_FILLED",
        "TRADE_LITE",
        "ACCOUNT_UPDATE",
        "TRADE FILLED",
    ]
    assert len({each["T"] for each in told}) == 1
    assert told[1]["o"]["z"] == "0"
    last = told[-1]["o"]
    assert (last["z"], last["l"], last["L"], last["ap"]) == ("12", "2", "60001.1", "60000.26666667")
    fee = Decimal("600001.0") * Decimal("0.0005") + Decimal("120002.2") * Decimal("0.0005")
    assert Decimal(told[-2]["a"]["B"][0]["wb"]) == 100_000 - fee
    assert told[-2]["a"]["P"][0]["pa"] == "12"
    queried = await client.ok("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="big")
    assert (queried["avgPrice"], queried["cumQuote"]) == ("60000.26667", "720003.20000")


async def test_ack_shows_the_order_as_accepted(client: VenueClient) -> None:
    order = await client.market("BUY", "1", newOrderRespType="ACK")
    assert (order["status"], order["executedQty"]) == ("NEW", "0.000")


async def test_a_price_may_be_named_by_the_book(client: VenueClient) -> None:
    events = await user_stream(client)
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.5"}
    rested = await client.ok("POST", "/fapi/v1/order", **order, priceMatch="QUEUE_5")
    assert (rested["price"], rested["priceMatch"], rested["status"]) == ("59995.90", "QUEUE_5", "NEW")
    assert (await events.take(1))[0]["o"]["pm"] == "QUEUE_5"
    moved = {"symbol": "BTCUSDT", "side": "BUY", "orderId": rested["orderId"], "quantity": "0.5"}
    amended = await client.ok("PUT", "/fapi/v1/order", **moved, priceMatch="QUEUE")
    assert (amended["price"], amended["priceMatch"]) == ("59999.90", "QUEUE")
    priced = await client.ok("PUT", "/fapi/v1/order", **moved, price="59000")
    assert (priced["price"], priced["priceMatch"]) == ("59000.00", "NONE")
    taken = await client.ok(
        "POST", "/fapi/v1/order", **order | {"side": "SELL"}, priceMatch="OPPONENT", newOrderRespType="RESULT"
    )
    assert (taken["price"], taken["status"]) == ("59999.90", "FILLED")


async def test_a_good_till_date_is_kept_in_whole_seconds(client: VenueClient) -> None:
    events = await user_stream(client)
    date = int(time.time() * 1000) // 1000 * 1000 + 7_200_123
    order = await client.limit("BUY", "59000", "0.5", timeInForce="GTD", goodTillDate=date)
    assert (order["timeInForce"], order["goodTillDate"]) == ("GTD", date - 123)
    assert (await events.take(1))[0]["o"]["gtd"] == date - 123
    queried = await client.ok("GET", "/fapi/v1/openOrders", symbol="BTCUSDT")
    assert [each["goodTillDate"] for each in queried] == [date - 123]


async def test_a_resting_order_is_made_amended_and_cancelled(client: VenueClient) -> None:
    events = await user_stream(client)
    order = await client.limit("BUY", "59000", "0.5", newClientOrderId="rest")
    assert order["status"] == "NEW"
    amended = await client.ok(
        "PUT",
        "/fapi/v1/order",
        symbol="BTCUSDT",
        side="BUY",
        orderId=order["orderId"],
        price="59100",
        quantity="0.4",
    )
    assert (amended["price"], amended["origQty"], amended["pair"]) == ("59100.00", "0.400", "BTCUSDT")
    assert [each["orderId"] for each in await client.ok("GET", "/fapi/v1/openOrders")] == [order["orderId"]]
    cancelled = await client.ok("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="rest")
    assert cancelled["status"] == "CANCELED"
    told = await events.take(3)
    assert kinds(told) == ["NEW NEW", "AMENDMENT NEW", "CANCELED CANCELED"]
    assert [each["o"]["b"] for each in told] == ["29500", "23640", "0"]
    assert await client.code("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"]) == -2011
    assert await client.code("GET", "/fapi/v1/openOrder", symbol="BTCUSDT", orderId=order["orderId"]) == -2013


async def test_an_amendment_is_told_before_what_it_trades_and_with_what_is_open_by_it(
    client: VenueClient,
) -> None:
    """It crosses into the ten that are offered, and the rest of it is open at its new price."""
    events = await user_stream(client)
    order = await client.limit("BUY", "59000", "0.5")
    other = await client.limit("BUY", "58000", "0.1")
    await client.ok(
        "PUT", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", orderId=order["orderId"], price="60000.1",
        quantity="11",
    )  # fmt: skip
    told = [each for each in await events.take(6) if each["e"] == "ORDER_TRADE_UPDATE"]
    assert kinds(told) == ["NEW NEW", "NEW NEW", "AMENDMENT NEW", "TRADE PARTIALLY_FILLED"]
    assert told[2]["o"]["b"] == "665801.1"
    await client.ok("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=other["orderId"])
    assert (await events.take(1))[0]["o"]["b"] == "60000.1"


async def test_a_maker_is_filled_by_another_account(client: VenueClient, other: VenueClient) -> None:
    events = await user_stream(client)
    await client.limit("BUY", "60000", "0.5", newClientOrderId="bid")
    await other.market("SELL", "0.2")
    assert kinds(await events.take(4)) == [
        "NEW NEW",
        "TRADE_LITE",
        "ACCOUNT_UPDATE",
        "TRADE PARTIALLY_FILLED",
    ]
    mine = (await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT"))[0]
    theirs = (await other.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT"))[0]
    assert mine["id"] == theirs["id"]
    assert (mine["maker"], mine["commission"], mine["price"]) == (True, "2.40000000", "60000.00")
    assert (theirs["maker"], theirs["commission"], theirs["side"]) == (False, "6.00000000", "SELL")
    position = (await client.ok("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT"))[0]
    assert (position["positionAmt"], position["entryPrice"]) == ("0.2", "60000")
    assert Decimal(position["breakEvenPrice"]) == Decimal("60012")


@pytest.mark.parametrize(
    ("in_force", "price", "quantity", "code"),
    [("GTX", "60000.1", "1", -5022), ("FOK", "60000.1", "10.001", -5021)],
)
async def test_what_cannot_be_is_refused_without_a_trace(
    client: VenueClient, in_force: str, price: str, quantity: str, code: int
) -> None:
    events = await user_stream(client)
    refused = await client.code(
        "POST",
        "/fapi/v1/order",
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce=in_force,
        price=price,
        quantity=quantity,
    )
    assert refused == code
    assert await client.ok("GET", "/fapi/v1/allOrders", symbol="BTCUSDT") == []
    await client.limit("BUY", "59000", "1")
    assert kinds([await events.next()]) == ["NEW NEW"]


async def test_ioc_takes_what_is_there_and_expires(client: VenueClient) -> None:
    events = await user_stream(client)
    order = await client.limit("BUY", "60000.1", "11", timeInForce="IOC", newOrderRespType="RESULT")
    assert (order["status"], order["executedQty"]) == ("EXPIRED", "10.000")
    told = await events.take(5)
    assert kinds(told)[-1] == "EXPIRED EXPIRED"
    assert told[-1]["o"]["er"] == "2"


async def test_fok_fills_whole(client: VenueClient) -> None:
    order = await client.limit("BUY", "60001.1", "20", timeInForce="FOK", newOrderRespType="RESULT")
    assert (order["status"], order["executedQty"]) == ("FILLED", "20.000")


async def test_orders_of_one_account_do_not_meet(client: VenueClient) -> None:
    events = await user_stream(client)
    resting = await client.limit("SELL", "60000", "1")
    await client.market("BUY", "1")
    told = await events.take(6)
    assert kinds(told) == [
        "NEW NEW",
        "TRADE_LITE",
        "NEW NEW",
        "ACCOUNT_UPDATE",
        "TRADE FILLED",
        "EXPIRED EXPIRED_IN_MATCH",
    ]
    assert told[-1]["o"]["er"] == "1"
    assert (await client.ok("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=resting["orderId"]))[
        "status"
    ] == "EXPIRED_IN_MATCH"


async def test_an_amend_below_the_filled_quantity_cancels(client: VenueClient, other: VenueClient) -> None:
    order = await client.limit("BUY", "60000", "1")
    await other.market("SELL", "0.6")
    amend = {"symbol": "BTCUSDT", "side": "BUY", "orderId": order["orderId"], "price": "60000"}
    assert await client.code("PUT", "/fapi/v1/order", quantity="1", **amend) == -5027
    answered = await client.ok("PUT", "/fapi/v1/order", quantity="0.4", **amend)
    assert (answered["status"], answered["executedQty"]) == ("CANCELED", "0.600")
    assert await client.ok("GET", "/fapi/v1/openOrders") == []


async def test_a_post_only_order_amended_into_the_book_is_cancelled(client: VenueClient) -> None:
    order = await client.limit("BUY", "59000", "1", timeInForce="GTX")
    answered = await client.ok(
        "PUT",
        "/fapi/v1/order",
        symbol="BTCUSDT",
        side="BUY",
        orderId=order["orderId"],
        price="60000.1",
        quantity="1",
    )
    assert answered["status"] == "CANCELED"


async def test_an_amend_that_crosses_takes(client: VenueClient) -> None:
    order = await client.limit("BUY", "59000", "1")
    answered = await client.ok(
        "PUT",
        "/fapi/v1/order",
        symbol="BTCUSDT",
        side="BUY",
        orderId=order["orderId"],
        price="60000.1",
        quantity="3",
    )
    assert (answered["status"], answered["executedQty"]) == ("FILLED", "3.000")


async def test_client_ids_are_unique_among_open_orders_only(client: VenueClient) -> None:
    first = await client.limit("BUY", "59000", "1", newClientOrderId="x")
    place = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    assert await client.code("POST", "/fapi/v1/order", newClientOrderId="x", **place) == -4116
    await client.ok("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=first["orderId"])
    second = await client.limit("BUY", "59000", "1", newClientOrderId="x")
    found = await client.ok("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="x")
    assert found["orderId"] == second["orderId"] > first["orderId"]


async def test_reduce_only_never_opens(client: VenueClient, other: VenueClient) -> None:
    place = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "reduceOnly": "true"}
    assert await client.code("POST", "/fapi/v1/order", quantity="1", **place) == -2022
    await client.market("BUY", "1")
    assert await client.code("POST", "/fapi/v1/order", quantity="1.001", **place) == -2022
    await client.limit("SELL", "61000", "0.6", reduceOnly="true", newClientOrderId="closer")
    assert await client.code("POST", "/fapi/v1/order", quantity="0.5", **place) == -4118
    events = await user_stream(client)
    await client.market("SELL", "0.5")
    told = await events.take(5)
    assert kinds(told)[-1] == "EXPIRED EXPIRED"
    assert (told[-1]["o"]["c"], told[-1]["o"]["er"]) == ("closer", "4")


async def test_too_little_margin_is_refused_and_open_orders_count(client: VenueClient) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "59000"}
    await client.ok("POST", "/fapi/v1/order", quantity="33", **order)
    balance = (await client.ok("GET", "/fapi/v2/balance"))[0]
    assert Decimal(balance["availableBalance"]) == 100_000 - Decimal(33 * 59_000) / 20
    assert await client.code("POST", "/fapi/v1/order", quantity="1", **order) == -2019
    await client.ok("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert (await client.ok("GET", "/fapi/v2/balance"))[0]["availableBalance"] == "100000.00000000"
    await client.ok("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=1)
    assert await client.code("POST", "/fapi/v1/order", quantity="2", **order) == -2019


async def test_leverage_is_lowered_only_as_far_as_there_is_margin_for_it(client: VenueClient) -> None:
    """8 BTC are held and 8 more bid for: with leverage 10 they bear some 95,000 of the 100,000."""

    async def told(leverage: int) -> int | None:
        params = {"symbol": "BTCUSDT", "leverage": leverage}
        status, body = await client.call("POST", "/fapi/v1/leverage", **params)
        return None if status == 200 else body["code"]

    await client.market("BUY", "8")
    await client.limit("BUY", "59000", "8")
    before = await client.ok("GET", "/fapi/v3/account")
    assert await told(9) == -2028
    assert await client.ok("GET", "/fapi/v3/account") == before
    assert await told(10) is None
    free = (await client.ok("GET", "/fapi/v2/balance"))[0]["availableBalance"]
    assert Decimal(0) < Decimal(free) < Decimal(10_000)
    assert await told(9) == -2028
    await client.ok("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert await told(5) is None
    assert await told(4) == -2028
    # Who has too little already may still raise it
    await client.admin("POST", "deposit", {"account": "demo", "amount": "-10000"})
    assert await told(4) == -2028
    # Nothing is needed for a symbol in which there is nothing
    await client.ok("POST", "/fapi/v1/leverage", symbol="ETHUSDT", leverage=1)
    assert await told(6) is None


async def test_wallets_equal_deposits_profits_and_fees(client: VenueClient, other: VenueClient) -> None:
    for side, quantity in (("BUY", "3"), ("SELL", "5.5"), ("BUY", "2"), ("SELL", "0.123"), ("BUY", "0.623")):
        await client.limit("SELL" if side == "BUY" else "BUY", "60000", "0.223")
        await other.market(side, quantity)
        await client.ok("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    for account in (client, other):
        trades = await account.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", limit=1000)
        assert len(trades) >= 5
        profit = sum(Decimal(each["realizedPnl"]) - Decimal(each["commission"]) for each in trades)
        signed = sum((1 if each["buyer"] else -1) * Decimal(each["qty"]) for each in trades)
        summary = await account.ok("GET", "/fapi/v3/account")
        assert Decimal(summary["totalWalletBalance"]) == 100_000 + profit
        held = {each["symbol"]: Decimal(each["positionAmt"]) for each in summary["positions"]}
        assert held.get("BTCUSDT", Decimal(0)) == signed
        incomes = await account.ok("GET", "/fapi/v1/income", limit=1000)
        assert sum(Decimal(each["income"]) for each in incomes) == 100_000 + profit


async def test_pages_of_trades_and_orders(client: VenueClient) -> None:
    for number in range(5):
        await client.market("BUY", "0.01", newClientOrderId=f"n{number}")
    trades = await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    ids = [each["id"] for each in trades]
    assert ids == sorted(ids)
    page = await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", fromId=ids[2], limit=2)
    assert [each["id"] for each in page] == ids[2:4]
    latest = await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", limit=2)
    assert [each["id"] for each in latest] == ids[-2:]
    of_one = await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", orderId=trades[1]["orderId"])
    assert [each["id"] for each in of_one] == [ids[1]]
    clash = await client.code("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", fromId=1, startTime=1)
    assert clash == -1128
    orders = await client.ok("GET", "/fapi/v1/allOrders", symbol="BTCUSDT", orderId=2, limit=2)
    assert [each["clientOrderId"] for each in orders] == ["n1", "n2"]


async def test_the_countdown_cancels_one_symbol(client: VenueClient) -> None:
    events = await user_stream(client)
    await client.limit("BUY", "59000", "1")
    answer = await client.ok("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=60)
    assert answer == {"symbol": "BTCUSDT", "countdownTime": "60"}
    assert kinds(await events.take(2)) == ["NEW NEW", "CANCELED CANCELED"]
    await client.ok("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=60)
    await client.ok("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=0)
    await client.limit("BUY", "59000", "1")
    await asyncio.wait_for(_past(client, 80), 5)
    assert len(await client.ok("GET", "/fapi/v1/openOrders")) == 1


async def test_a_countdown_that_ran_out_while_the_venue_was_down_cancels_before_anybody_trades(
    start, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    account = AccountSpec.parse("demo:KEY:SECRET:100000")
    first = await serve(VenueConfig(port=0, accounts=(account,), limits="off", state=tmp_path))
    client = VenueClient(session, first.url)
    market = first.venue.exchange.markets["BTCUSDT"]
    price = market.last_price * 999 // 1000
    await client.limit("BUY", market.symbol.price_text(price), "0.01", newClientOrderId="left")
    await client.ok("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=100)
    market.last_price = price * 999 // 1000
    await first.close()
    await asyncio.sleep(0.3)
    client = VenueClient(session, (await start(market="synthetic", state=tmp_path)).url)
    order = await client.ok("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="left")
    assert (order["status"], order["executedQty"]) == ("CANCELED", "0.000")


async def _past(client: VenueClient, milliseconds: int) -> None:
    """Return once the venue's own clock has moved on."""
    _, now = await client.raw("GET", "/fapi/v1/time", key="")
    later = now
    while later["serverTime"] < now["serverTime"] + milliseconds:
        _, later = await client.raw("GET", "/fapi/v1/time", key="")
