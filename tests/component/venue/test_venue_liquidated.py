"""An account that cannot carry what it holds, as its client and everybody else see it go."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D
from typing import Any
from urllib.parse import urlencode

import aiohttp
from venue_client import Stream, VenueClient, user_stream

from pms.venue.app import AccountSpec, VenueConfig, serve

ACCOUNTS = (AccountSpec.parse("demo:KEY:SECRET:600"),)
FAR = 60


async def quote(client: VenueClient, middle: int, quantity: str) -> None:
    """Let a market of one level a side stand around a price, and no other."""
    _, book = await client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=1000", key="")
    sides = {side: [[price, "0"] for price, _ in book[side]] for side in ("bids", "asks")}
    sides["bids"] += [[f"{middle - 1}.0", quantity]]
    sides["asks"] += [[f"{middle + 1}.0", quantity]]
    await client.levels(**sides)


async def until_forced(stream: Stream) -> dict:
    return (await stream.next(timeout=FAR))["o"]


async def test_a_falling_market_warns_then_liquidates_and_tells_everybody(
    start, session: aiohttp.ClientSession
) -> None:
    venue = await start(accounts=ACCOUNTS)
    client = VenueClient(session, venue.url)
    await quote(client, 60_000, "10")
    await client.market("BUY", "0.15")
    await client.ok("POST", "/fapi/v1/leverage", symbol="ETHUSDT", leverage=50)
    mine = await user_stream(client)
    market = Stream(
        await session.ws_connect(f"{venue.url}/market/ws/btcusdt@forceOrder"),
    )
    everyone = Stream(await session.ws_connect(f"{venue.url}/market/ws/!forceOrder@arr"))
    await quote(client, 56_270, "10")
    call = await mine.next()
    assert (call["e"], call["p"][0]["pa"]) == ("MARGIN_CALL", "0.15")
    assert await client.ok("GET", "/fapi/v1/forceOrders") == []
    await quote(client, 56_100, "0.1")
    (order,) = await client.ok("GET", "/fapi/v1/forceOrders", autoCloseType="LIQUIDATION")
    assert order["clientOrderId"].startswith("autoclose-")
    assert (order["status"], order["type"], order["timeInForce"]) == ("FILLED", "LIQUIDATION", "IOC")
    events = await mine.take(8)
    kinds = [
        (each["e"], each.get("a", each.get("o", {})).get("x" if "o" in each else "m")) for each in events
    ]
    assert kinds == [
        ("TRADE_LITE", None),
        ("ORDER_TRADE_UPDATE", "NEW"),
        ("ACCOUNT_UPDATE", "ORDER"),
        ("ORDER_TRADE_UPDATE", "TRADE"),
        ("TRADE_LITE", None),
        ("ACCOUNT_UPDATE", "ORDER"),
        ("ORDER_TRADE_UPDATE", "TRADE"),
        ("ACCOUNT_UPDATE", "INSURANCE_CLEAR"),
    ]
    told, again = await until_forced(market), await until_forced(everyone)
    assert told == again
    assert {name: told[name] for name in ("s", "S", "o", "f", "q", "X", "z", "ps", "st")} == {
        "s": "BTCUSDT",
        "S": "SELL",
        "o": "LIMIT",
        "f": "IOC",
        "q": "0.150",
        "X": "FILLED",
        "z": "0.150",
        "ps": "BTCUSDT",
        "st": 1,
    }
    assert (D(told["p"]), D(told["ap"])) == (D(order["price"]), round(D(order["avgPrice"]), 2))
    assert await client.ok("GET", "/fapi/v3/positionRisk") == []
    assert D((await client.ok("GET", "/fapi/v3/balance"))[0]["balance"]) >= 0
    incomes = await client.ok("GET", "/fapi/v1/income", incomeType="INSURANCE_CLEAR")
    assert len(incomes) == 1


async def test_what_comes_from_no_book_is_told_as_a_trade_and_counts_nowhere_as_one(
    start, session: aiohttp.ClientSession
) -> None:
    client = VenueClient(session, (await start(accounts=ACCOUNTS)).url)
    await quote(client, 60_000, "10")
    await client.market("BUY", "0.15")
    trades = Stream(await session.ws_connect(f"{client.url}/public/ws/btcusdt@trade"))
    rolling = Stream(await session.ws_connect(f"{client.url}/market/ws/btcusdt@kline_1M"))
    await quote(client, 56_100, "0.1")
    sold, taken = await trades.take(2)
    assert [(each["X"], each["q"]) for each in (sold, taken)] == [
        ("MARKET", "0.100"),
        ("INSURANCE_FUND", "0.050"),
    ]
    assert taken["t"] == sold["t"] + 1
    assert sold["p"] != taken["p"]

    async def public(path: str, **more: str) -> Any:
        query = urlencode({"symbol": "BTCUSDT", **more})
        return (await client.raw("GET", f"/fapi/v1/{path}", query))[1]

    async def everywhere() -> list[Any]:
        return [
            (await public("trades"))[1:],
            (await public("historicalTrades"))[1:],
            (await public("klines", interval="1M"))[0][2:6],
            {name: (await public("ticker/24hr"))[name] for name in ("lastPrice", "lastId", "count")},
            (await public("ticker/price"))["price"],
        ]

    before = await everywhere()
    assert [[row["id"] for row in rows] for rows in before[:2]] == [[sold["t"]], [sold["t"]]]
    assert D(before[2][-1]) == D("0.250")
    assert before[3] == {"lastPrice": sold["p"], "lastId": sold["t"], "count": 2}
    assert before[4] == sold["p"]
    while (bar := (await rolling.next(timeout=FAR))["k"])["n"] < 2:
        pass
    assert (bar["f"], bar["L"], bar["n"]) == (sold["t"] - 1, sold["t"], 2)
    # Who is deleveraged trades at a price that nobody quotes, and a settlement is no trade at all.
    for why, price in (("settlement", "40000"), ("adl", "50000")):
        await client.admin("POST", "deposit", {"account": "demo", "amount": "9000"})
        await quote(client, 56_100, "10")
        await client.market("BUY", "0.1")
        await trades.next()
        before = await everywhere()
        await client.admin(
            "POST", "close", {"account": "demo", "symbol": "BTCUSDT", "why": why, "price": price}
        )
        assert await everywhere() == before
    adl = await trades.next()
    assert (adl["X"], D(adl["p"]), adl["q"]) == ("ADL", D(50_000), "0.100")
    seen = await public("aggTrades")
    assert {D(row["p"]) for row in seen} <= {D(60_001), D(56_099), D(56_101)}


async def test_where_the_operator_wants_it_nobody_is_liquidated(
    start, session: aiohttp.ClientSession
) -> None:
    client = VenueClient(session, (await start(accounts=ACCOUNTS, liquidate=False)).url)
    await quote(client, 60_000, "10")
    await client.market("BUY", "0.15")
    await quote(client, 30_000, "10")
    (row,) = await client.ok("GET", "/fapi/v3/positionRisk")
    assert row["positionAmt"] == "0.15"


async def test_what_was_liquidated_stays_so_and_who_is_due_at_a_start_is(
    start, session: aiohttp.ClientSession, tmp_path
) -> None:
    config = VenueConfig(port=0, accounts=ACCOUNTS, market="none", limits="off", state=tmp_path)
    first = await serve(replace(config, liquidate=False))
    client = VenueClient(session, first.url)
    await quote(client, 60_000, "10")
    await client.market("BUY", "0.15")
    await quote(client, 50_000, "10")
    await first.close()
    second = await serve(config)
    client = VenueClient(session, second.url)
    await quote(client, 50_000, "10")
    assert await client.ok("GET", "/fapi/v3/positionRisk") == []
    (forced,) = await client.ok("GET", "/fapi/v1/forceOrders")
    fund = [row for row in (await client.admin("GET", "trades"))["trades"] if row["account"] != "demo"]
    assert {row["account"] for row in fund} == {"insurance-fund"}
    await second.close()
    client = VenueClient(session, (await start(accounts=ACCOUNTS, state=tmp_path)).url)
    assert await client.ok("GET", "/fapi/v1/forceOrders") == [forced]
    after = [row for row in (await client.admin("GET", "trades"))["trades"] if row["account"] != "demo"]
    assert after == fund


async def test_a_restart_judges_nobody_by_what_accounts_left_in_the_books(
    start, session: aiohttp.ClientSession, tmp_path
) -> None:
    """The middle between a take-profit and a low bid is where the long one's equity would be gone."""
    config = VenueConfig(port=0, accounts=ACCOUNTS, limits="off", state=tmp_path)
    first = await serve(config)
    client = VenueClient(session, first.url)
    eth = {"symbol": "ETHUSDT"}
    await client.ok("POST", "/fapi/v1/leverage", leverage=50, **eth)
    await client.market("BUY", "10", **eth)
    (held,) = await client.ok("GET", "/fapi/v3/positionRisk")
    entry = D(held["entryPrice"])
    await client.limit("SELL", f"{entry + 8:.2f}", "0.05", reduceOnly="true", **eth)
    await client.limit("BUY", f"{entry * D('0.953'):.2f}", "0.02", **eth)
    await first.close()
    client = VenueClient(session, (await start(accounts=ACCOUNTS, market="synthetic", state=tmp_path)).url)
    assert await client.ok("GET", "/fapi/v1/forceOrders") == []
    (kept,) = await client.ok("GET", "/fapi/v3/positionRisk")
    assert kept["positionAmt"] == held["positionAmt"]
