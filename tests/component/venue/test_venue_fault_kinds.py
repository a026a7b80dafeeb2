"""Every bad day of the exchange on demand, seen through a real connection; the books are right after it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from venue_client import LocalBook, Stream, VenueClient, met, public_stream, user_stream

from pms.venue.app import RunningVenue
from pms.venue.transaction import Print

ORDER = "/fapi/v1/order"
RESTS = {"side": "BUY", "price": "59000", "quantity": "4"}


async def fault(client: VenueClient, **rule: object) -> int:
    return (await client.admin("POST", "faults", rule))["id"]


async def fired(client: VenueClient, rule: int, times: int = 1) -> bool:
    """Whether a rule has fired so often; waits for it."""
    seen = await client.admin("GET", f"faults/{rule}?hits={times}&timeout=20")
    return len(seen["hits"]) >= times


async def books_are_right(client: VenueClient) -> None:
    """Nothing is in force any more, and what a client is told is what the venue has and what adds up."""
    await client.admin("DELETE", "faults")
    # A change that anybody who follows is told of
    await client.market("BUY", "1", newClientOrderId=f"last-{time.monotonic_ns()}")
    held = {each["orderId"]: each for each in (await client.admin("GET", "orders"))["orders"]}
    listed = await client.ok("GET", "/fapi/v1/openOrders")
    open_ids = {order for order, each in held.items() if each["status"] in ("NEW", "PARTIALLY_FILLED")}
    assert {each["orderId"] for each in listed} == open_ids
    trades = await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    traded: dict[int, Decimal] = {}
    for each in trades:
        traded[each["orderId"]] = traded.get(each["orderId"], Decimal(0)) + Decimal(each["qty"])
    assert traded == {order: q for order, each in held.items() if (q := Decimal(each["executedQty"]))}
    position = sum(Decimal(each["qty"]) * (1 if each["buyer"] else -1) for each in trades)
    (row,) = await client.ok("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT")
    assert Decimal(row["positionAmt"]) == position


async def trading_api(client: VenueClient) -> Any:
    return await client.session.ws_connect(f"{client.url}/ws-fapi/v1")


def signed(client: VenueClient, method: str, id: int, **params: Any) -> dict[str, Any]:
    params |= {"apiKey": client.key, "timestamp": int(time.time() * 1000)}
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    params["signature"] = hmac.new(client.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {"id": id, "method": method, "params": params}


def limit_order(name: str) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "newClientOrderId": name,
        **RESTS,
    }


# Requests


async def test_a_clock_that_is_wrong_refuses_both_ways_and_is_shown(client: VenueClient) -> None:
    for ms, words in ((7_000, "outside of the recvWindow"), (-7_000, "1000ms ahead of the server's time")):
        await fault(client, kind="skew_clock", ms=ms, count=2)
        status, body = await client.call("POST", ORDER, **limit_order("skewed"))
        assert (status, body["code"]) == (400, -1021)
        assert words in body["msg"]
        _, told = await client.raw("GET", "/fapi/v1/time", key="")
        assert abs(told["serverTime"] - ms - time.time() * 1000) < 5_000
    await books_are_right(client)


async def test_too_late_at_the_engine_is_another_refusal(client: VenueClient) -> None:
    await fault(client, kind="late_at_engine", ms=300)
    assert await client.code("POST", ORDER, recvWindow=200, **limit_order("late")) == -5028
    await fault(client, kind="late_at_engine", ms=1)
    assert (await client.ok("POST", ORDER, **limit_order("late")))["status"] == "NEW"
    await books_are_right(client)


async def test_weight_that_is_used_up_is_429_and_going_on_is_418(client: VenueClient) -> None:
    await fault(client, kind="use_up_weight", method="POST")
    status, body = await client.call("POST", ORDER, **limit_order("one"))
    assert (status, body["code"]) == (429, -1003)
    assert 1 <= int(client.headers["Retry-After"]) <= 60
    statuses = set()
    for _ in range(70):
        statuses.add((await client.call("GET", "/fapi/v1/openOrders"))[0])
    # A minute may have begun meanwhile; otherwise patience ends
    assert statuses <= {429, 418, 200}
    assert 418 in statuses or 200 in statuses


async def test_a_banned_address_is_turned_away_at_every_door_until_it_is_over(client: VenueClient) -> None:
    await fault(client, kind="ban", ms=400, path=ORDER)
    status, body = await client.call("POST", ORDER, **limit_order("one"))
    assert (status, body["code"]) == (418, -1003)
    assert "banned until" in body["msg"]
    until = int(body["msg"].split("banned until ")[1].split(".")[0])
    await asyncio.sleep(max(0.0, until / 1000 - time.time()))

    async def over() -> bool:
        return bool((await client.call("GET", "/fapi/v1/openOrders"))[0] == 200)

    await met(over)
    await books_are_right(client)


async def test_a_cancel_races_a_fill_and_loses(client: VenueClient) -> None:
    await client.limit("BUY", "60000", "4", newClientOrderId="raced")
    await fault(client, kind="fill_first", method="DELETE")
    assert await client.code("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="raced") == -2011
    order = await client.ok("GET", ORDER, symbol="BTCUSDT", origClientOrderId="raced")
    assert (order["status"], order["executedQty"]) == ("FILLED", "4.000")
    await books_are_right(client)


async def test_a_cancel_of_what_was_partly_filled_shows_both(client: VenueClient) -> None:
    events = await user_stream(client)
    # Behind anonymous quantity and an order of one's own: exactly this order's part is taken
    await client.limit("BUY", "59999.9", "2", newClientOrderId="in-front")
    await client.limit("BUY", "59999.9", "4", newClientOrderId="raced")
    await fault(client, kind="fill_first", method="DELETE", subject="^raced$", percent=25)
    gone = await client.ok("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="raced")
    assert (gone["status"], gone["executedQty"]) == ("CANCELED", "1.000")
    told = [(await events.next()) for _ in range(9)]
    updates = [each["o"] for each in told if each["e"] == "ORDER_TRADE_UPDATE"]
    assert [(each["c"], each["x"], each["z"]) for each in updates[2:]] == [
        ("in-front", "TRADE", "2"),
        ("raced", "TRADE", "1"),
        ("raced", "CANCELED", "1"),
    ]
    await books_are_right(client)


async def test_an_amendment_below_what_was_filled_meanwhile_cancels(client: VenueClient) -> None:
    await client.limit("BUY", "60000", "4", newClientOrderId="amended")
    await fault(client, kind="fill_first", method="PUT", percent=50)
    amended = await client.ok(
        "PUT",
        ORDER,
        symbol="BTCUSDT",
        origClientOrderId="amended",
        side="BUY",
        price="60000",
        quantity="2",
    )
    assert (amended["status"], amended["executedQty"]) == ("CANCELED", "2.000")
    await books_are_right(client)


# The WebSocket trading API suffers alike


@pytest.mark.parametrize("kind", ["status_before", "status_after"])
async def test_the_trading_api_answers_from_the_gateway(client: VenueClient, kind: str) -> None:
    api = await trading_api(client)
    await fault(client, kind=kind, method="POST", path=ORDER, subject="^u$", status=503)
    await api.send_json(signed(client, "order.place", 1, **limit_order("u")))
    answer = await api.receive_json(timeout=10)
    assert (answer["id"], answer["status"], answer["error"]["code"]) == (1, 503, -1000)
    executed = kind == "status_after"
    assert len(await client.ok("GET", "/fapi/v1/openOrders")) == executed
    await books_are_right(client)


@pytest.mark.parametrize(("kind", "executed"), [("cut_before", 0), ("cut_after", 1)])
async def test_the_trading_api_is_cut(client: VenueClient, kind: str, executed: int) -> None:
    api = await trading_api(client)
    await fault(client, kind=kind, path=ORDER)
    await api.send_json(signed(client, "order.place", 1, **limit_order("u")))
    ended = await api.receive(timeout=10)
    assert ended.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    assert len(await client.ok("GET", "/fapi/v1/openOrders")) == executed
    await books_are_right(client)


async def test_what_hangs_in_the_trading_api_is_overtaken(client: VenueClient) -> None:
    api = await trading_api(client)
    rule = await fault(client, kind="hang_after", subject="^slow$")
    await api.send_json(signed(client, "order.place", 1, **limit_order("slow")))
    assert await fired(client, rule)
    await api.send_json(signed(client, "order.place", 2, **limit_order("quick")))
    assert (await api.receive_json(timeout=10))["id"] == 2
    await client.admin("DELETE", "faults")
    answer = await api.receive_json(timeout=10)
    assert (answer["id"], answer["result"]["clientOrderId"]) == (1, "slow")
    await books_are_right(client)


@pytest.mark.parametrize("kind", ["skew_clock", "late_at_engine", "use_up_weight", "ban"])
async def test_refusals_reach_the_trading_api(client: VenueClient, kind: str) -> None:
    code, ms = {"skew_clock": (-1021, 7_000), "late_at_engine": (-5028, 300)}.get(kind, (-1003, 300))
    api = await trading_api(client)
    await fault(client, kind=kind, path=ORDER, ms=ms)
    await api.send_json(signed(client, "order.place", 1, **limit_order("u"), recvWindow=200))
    answer = await api.receive_json(timeout=10)
    assert answer["error"]["code"] == code
    assert not (await client.admin("GET", "orders"))["orders"]


# What a request reads


async def test_queries_lag_what_the_stream_has_told(client: VenueClient) -> None:
    before = await client.limit("BUY", "59000", "1", newClientOrderId="old")
    events = await user_stream(client)
    await fault(client, kind="stale_reads", ms=3_600_000, count=-1)
    await client.limit("BUY", "59001", "1", newClientOrderId="new")
    await client.ok("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="old")
    await client.market("BUY", "1", newClientOrderId="bought")
    told = [await events.next() for _ in range(6)]
    assert told[0]["o"]["c"] == "new"
    assert await client.code("GET", ORDER, symbol="BTCUSDT", origClientOrderId="new") == -2013
    assert [each["orderId"] for each in await client.ok("GET", "/fapi/v1/openOrders")] == [before["orderId"]]
    assert (await client.ok("GET", ORDER, symbol="BTCUSDT", origClientOrderId="old"))["status"] == "NEW"
    assert len(await client.ok("GET", "/fapi/v1/allOrders", symbol="BTCUSDT")) == 1
    assert await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT") == []
    api = await trading_api(client)
    await api.send_json(signed(client, "order.status", 1, symbol="BTCUSDT", origClientOrderId="new"))
    assert (await api.receive_json(timeout=10))["error"]["code"] == -2013
    # Another client's command sees the exchange itself
    assert (await client.ok("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="new"))["status"] == (
        "CANCELED"
    )
    await books_are_right(client)


async def test_what_lags_comes_in_its_time(client: VenueClient) -> None:
    await fault(client, kind="stale_reads", ms=500, count=-1)
    await client.limit("BUY", "59001", "1", newClientOrderId="new")

    async def listed() -> bool:
        return bool(await client.ok("GET", "/fapi/v1/openOrders"))

    async def gone() -> bool:
        return not await listed()

    await met(listed)
    await client.ok("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="new")
    await met(gone)
    await books_are_right(client)


async def test_a_snapshot_from_the_past_fits_no_diff_and_the_next_one_does(client: VenueClient) -> None:
    await fault(client, kind="stale_snapshot", symbol="BTCUSDT")
    feed = await public_stream(client, "btcusdt@depth@0ms")
    await client.limit("BUY", "59001", "1")
    first = await feed.next()
    query = "symbol=BTCUSDT&limit=5"
    _, late = await client.raw("GET", "/fapi/v1/depth", query, key="")
    assert late["lastUpdateId"] < first["U"]
    assert len(late["bids"]) == 5
    _, snapshot = await client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=1000", key="")
    book = LocalBook(snapshot)
    await client.limit("BUY", "59002", "1")
    assert book.apply(await feed.next())
    await books_are_right(client)


# User events


async def test_the_answer_comes_before_a_late_event_and_order_is_kept(client: VenueClient) -> None:
    events = await user_stream(client)
    await fault(client, kind="delay_event", ms=400, subject="^ORDER_TRADE_UPDATE one$")
    await client.limit("BUY", "59000", "1", newClientOrderId="one")
    await client.limit("BUY", "59000", "1", newClientOrderId="two")
    assert await events.silent()
    assert [each["o"]["c"] for each in await events.take(2)] == ["one", "two"]
    await books_are_right(client)


async def test_two_sockets_on_one_key_get_the_same_bytes(client: VenueClient) -> None:
    one, two = await user_stream(client), await user_stream(client)
    await client.market("BUY", "1")
    for _ in range(4):
        a, b = await one.socket.receive(timeout=10), await two.socket.receive(timeout=10)
        assert a.data == b.data
    await books_are_right(client)


@pytest.mark.parametrize(("kind", "told"), [("expire_key", ["listenKeyExpired"]), ("delete_key", [])])
async def test_a_key_ends_under_an_open_socket(client: VenueClient, kind: str, told: list[str]) -> None:
    events = await user_stream(client)
    await fault(client, kind=kind)
    await client.limit("BUY", "59000", "1", newClientOrderId="unseen")
    assert [(await events.next())["e"] for _ in told] == told
    await client.limit("BUY", "59000", "1", newClientOrderId="unseen-too")
    assert await events.silent()
    assert (await client.raw("PUT", "/fapi/v1/listenKey"))[1]["code"] == -1125
    again = await user_stream(client)
    await client.limit("BUY", "59000", "1", newClientOrderId="seen")
    assert (await again.next())["o"]["c"] == "seen"
    await books_are_right(client)


# Connections


@pytest.mark.parametrize("kind", ["cut_socket", "mute_socket", "shut_socket"])
async def test_a_connection_ends_instead_of_telling(client: VenueClient, kind: str) -> None:
    key = (await client.raw("POST", "/fapi/v1/listenKey"))[1]["listenKey"]
    # Pongs are to be seen
    events = Stream(await client.session.ws_connect(f"{client.url}/private/ws/{key}", autoping=False))
    other = await public_stream(client, "btcusdt@trade")
    rule = await fault(client, kind=kind, route="private", subject="^ORDER_TRADE_UPDATE")
    await client.market("BUY", "1", newClientOrderId="lost")
    assert await fired(client, rule)
    assert (await events.next())["e"] == "TRADE_LITE"
    if kind == "mute_socket":
        await events.socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
        await events.socket.ping(b"there?")
        with pytest.raises(TimeoutError):
            await events.socket.receive(timeout=0.5)
        assert (await client.admin("GET", "sockets"))["private"] == 1
    else:
        if kind == "shut_socket":
            while (told := await events.next())["e"] != "serverShutdown":
                assert told["e"] in ("ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE")
        ended = await events.socket.receive(timeout=10)
        assert ended.type is not aiohttp.WSMsgType.TEXT
        assert (ended.data == aiohttp.WSCloseCode.GOING_AWAY) == (kind == "shut_socket")
    assert (await other.next())["e"] == "trade"
    # No replay: who comes back knows nothing of what it missed
    again = await user_stream(client)
    assert await again.silent()
    await books_are_right(client)


# What parsers have not met


async def test_events_and_fields_that_nobody_has_documented(client: VenueClient) -> None:
    events = await user_stream(client)
    feed = await public_stream(client, "btcusdt@trade")
    await fault(client, kind="unknown_event", subject="^TRADE_LITE")
    await fault(client, kind="unknown_field", subject="^ORDER_TRADE_UPDATE")
    await fault(client, kind="unknown_event", subject="^btcusdt@trade$")
    await client.market("BUY", "1")
    told = await events.take(5)
    assert [each["e"] for each in told[1:]] == [
        "TRADE_LITE",
        "ORDER_TRADE_UPDATE",
        "ACCOUNT_UPDATE",
        "ORDER_TRADE_UPDATE",
    ]
    assert told[0]["e"] == (await feed.next())["e"] == "NOT_DOCUMENTED_YET"
    assert "zz" in told[2]
    assert "zz" in told[2]["o"]
    assert "zz" not in told[4]
    assert (await feed.next())["e"] == "trade"
    await fault(client, kind="unknown_field", path=ORDER)
    assert "zz" in await client.limit("BUY", "59000", "1")
    assert "zz" not in await client.limit("BUY", "59000", "1")
    await books_are_right(client)


# Klines


async def test_a_bar_closes_behind_the_first_trade_of_the_next(client: VenueClient, start: Any) -> None:
    running: RunningVenue = await start()
    own = VenueClient(client.session, running.url)
    feed = Stream(await client.session.ws_connect(f"{own.url}/market/ws/btcusdt@kline_1m"))
    rolling, candles = running.venue.feeds._rolling, running.venue.feeds.candles["BTCUSDT"]
    now = 1_800_000_030_000
    rolling._clock = lambda: now
    candles.take(Print("BTCUSDT", 1, 600_000, 1, False, now))
    first = await feed.next()
    await fault(own, kind="late_close", ms=1_000)
    now += 60_000
    candles.take(Print("BTCUSDT", 2, 600_001, 1, False, now))
    second = await feed.next()
    now += 2_000
    closing = await feed.next()
    assert [each["k"]["x"] for each in (first, second, closing)] == [False, False, True]
    assert closing["k"]["t"] == first["k"]["t"] < second["k"]["t"]
