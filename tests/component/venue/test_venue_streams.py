"""Market streams, routes and control messages; the book a client can build from them."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import aiohttp
import pytest
from venue_client import LocalBook, Stream, VenueClient, public_stream, user_stream


async def test_diffs_chain_and_build_the_book_the_venue_has(client: VenueClient) -> None:
    feed = await public_stream(client, "btcusdt@depth@0ms")
    await client.limit("BUY", "59999", "3")
    _, snapshot = await client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=1000", key="")
    book = LocalBook(snapshot)
    await client.market("BUY", "11")
    await client.levels(bids=[["59990.0", "4"]], asks=[["60001.1", "0"]])
    await client.limit("SELL", "60000.5", "2.5")
    applied = [book.apply(diff) for diff in await feed.take(4)]
    assert applied == [False, True, True, True]
    _, now = await client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=1000", key="")
    assert book.sides == LocalBook(now).sides
    assert now["lastUpdateId"] > book.last


async def test_a_snapshot_taken_before_any_diff_lies_inside_the_first(client: VenueClient) -> None:
    feed = await public_stream(client, "btcusdt@depth@0ms")
    _, snapshot = await client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=5", key="")
    await client.limit("BUY", "59000", "1")
    diff = await feed.next()
    assert diff["U"] <= snapshot["lastUpdateId"] <= diff["u"]
    assert diff["pu"] + 1 < diff["U"]
    assert diff["b"] == [["59000.00", "1.000"]]
    await client.limit("BUY", "59000", "1")
    assert (await feed.next())["pu"] == diff["u"]


async def test_slower_streams_gather_and_partial_ones_show_the_top(client: VenueClient) -> None:
    feed = await public_stream(client, "btcusdt@depth@100ms")
    top = await public_stream(client, "btcusdt@depth5@100ms")
    await client.limit("BUY", "59000", "1")
    await client.limit("BUY", "59001", "1")
    diff = await feed.next()
    assert diff["b"][-2:] == [["59000.00", "1.000"], ["59001.00", "1.000"]] or await feed.next()
    partial = await top.next()
    assert [len(partial[side]) for side in "ba"] == [5, 5]
    assert partial["e"] == "depthUpdate"


async def test_trades_and_best_prices_on_a_combined_connection(client: VenueClient) -> None:
    url = f"{client.url}/public/stream?streams=btcusdt@trade/btcusdt@bookTicker"
    feed = Stream(await client.session.ws_connect(url))
    market = Stream(await client.session.ws_connect(f"{client.url}/market/ws/btcusdt@aggTrade"))
    await client.market("SELL", "11")
    trades = await feed.take(2)
    assert [(each["stream"], each["data"]["q"], each["data"]["m"]) for each in trades] == [
        ("btcusdt@trade", "10.000", True),
        ("btcusdt@trade", "1.000", True),
    ]
    ticker = await feed.next()
    assert (ticker["data"]["b"], ticker["data"]["B"], ticker["data"]["e"]) == (
        "59998.90",
        "9.000",
        "bookTicker",
    )
    assert [each["p"] for each in await market.take(2)] == ["59999.90", "59998.90"]


async def test_the_wrong_route_is_acknowledged_and_silent(client: VenueClient) -> None:
    for path in ("/ws", "/stream", "/public/ws"):
        feed = Stream(await client.session.ws_connect(client.url + path))
        assert await feed.ask("SUBSCRIBE", ["btcusdt@aggTrade"]) == {"result": None, "id": 1}
        await client.market("SELL", "1")
        assert await feed.silent()
    feed = Stream(await client.session.ws_connect(client.url + "/ws/btcusdt@trade"))
    await client.market("SELL", "1")
    assert (await feed.next())["e"] == "trade"


async def test_control_messages(client: VenueClient) -> None:
    feed = Stream(await client.session.ws_connect(f"{client.url}/public/ws/1"))
    assert await feed.ask("SUBSCRIBE", ["btcusdt@trade"], "uuid-1") == {"result": None, "id": "uuid-1"}
    assert (await feed.ask("LIST_SUBSCRIPTIONS", id=3))["result"] == ["1", "btcusdt@trade"]
    assert await feed.ask("GET_PROPERTY", ["combined"], 4) == {"result": False, "id": 4}
    assert await feed.ask("SET_PROPERTY", ["combined", True], 5) == {"result": None, "id": 5}
    await client.market("SELL", "1")
    assert (await feed.next())["stream"] == "btcusdt@trade"
    await feed.ask("UNSUBSCRIBE", ["btcusdt@trade"])
    await client.market("SELL", "1")
    assert await feed.silent()
    assert (await feed.ask("NOPE"))["error"]["code"] == 2
    await feed.socket.send_str("{")
    assert (await feed.next())["error"]["code"] == 3
    assert (await feed.socket.receive(timeout=5)).type in (
        aiohttp.WSMsgType.CLOSE,
        aiohttp.WSMsgType.CLOSED,
    )


async def test_mark_prices_come_by_the_clock(client: VenueClient) -> None:
    feed = Stream(await client.session.ws_connect(f"{client.url}/market/ws/btcusdt@markPrice@1s"))
    mark = await feed.next()
    assert (mark["e"], Decimal(mark["p"])) == ("markPriceUpdate", Decimal(60000))


@pytest.mark.parametrize("form", ["path", "query", "combined", "subscribe"])
async def test_the_forms_of_the_user_stream(client: VenueClient, form: str) -> None:
    _, body = await client.raw("POST", "/fapi/v1/listenKey")
    key = body["listenKey"]
    path = {
        "path": f"/private/ws/{key}",
        "query": f"/private/ws?listenKey={key}&events=ORDER_TRADE_UPDATE",
        "combined": f"/private/stream?listenKey={key}&events=ORDER_TRADE_UPDATE/ACCOUNT_UPDATE",
        "subscribe": "/private/stream",
    }[form]
    feed = Stream(await client.session.ws_connect(client.url + path))
    if form == "subscribe":
        assert await feed.ask("SUBSCRIBE", [key], "u") == {"result": None, "id": "u"}
    await client.market("BUY", "1")
    first = await feed.next()
    if form in ("combined", "subscribe"):
        assert first["stream"] == key
        first = first["data"]
    assert first["e"] == ("TRADE_LITE" if form in ("path", "subscribe") else "ORDER_TRADE_UPDATE")


async def test_events_of_a_listen_key_come_and_go_one_by_one(client: VenueClient) -> None:
    _, body = await client.raw("POST", "/fapi/v1/listenKey")
    key = body["listenKey"]
    account, trade = f"{key}@ACCOUNT_UPDATE", f"{key}@ORDER_TRADE_UPDATE"
    some = Stream(await client.session.ws_connect(f"{client.url}/private/ws"))
    await some.ask("SUBSCRIBE", [account, trade])
    await some.ask("UNSUBSCRIBE", [account])
    await some.ask("UNSUBSCRIBE", [account])
    assert (await some.ask("LIST_SUBSCRIPTIONS"))["result"] == [trade]
    whole = Stream(await client.session.ws_connect(f"{client.url}/private/ws/{key}"))
    for method in ("SUBSCRIBE", "UNSUBSCRIBE"):
        await whole.ask(method, [account])
        assert (await whole.ask("LIST_SUBSCRIPTIONS"))["result"] == [key]
    await client.market("BUY", "1")
    assert [each["e"] for each in await some.take(2)] == ["ORDER_TRADE_UPDATE"] * 2
    assert (await whole.next())["e"] == "TRADE_LITE"
    await some.ask("UNSUBSCRIBE", [trade])
    assert (await some.ask("LIST_SUBSCRIPTIONS"))["result"] == []
    await client.market("BUY", "1")
    assert await some.silent()


async def test_listen_keys_are_shared_and_die_silently(client: VenueClient) -> None:
    _, first = await client.raw("POST", "/fapi/v1/listenKey")
    _, again = await client.raw("POST", "/fapi/v1/listenKey")
    assert first == again
    assert len(first["listenKey"]) == 64
    events = await user_stream(client)
    await client.admin("POST", "listenKey/expire", {"account": "demo"})
    expired = await events.next()
    assert (expired["e"], expired["listenKey"]) == ("listenKeyExpired", first["listenKey"])
    status, body = await client.raw("PUT", "/fapi/v1/listenKey")
    assert (status, body["code"]) == (400, -1125)
    await client.market("BUY", "1")
    assert await events.silent()
    fresh = await user_stream(client)
    await client.market("BUY", "1")
    assert (await fresh.next())["e"] == "TRADE_LITE"


async def test_a_slow_reader_is_cut_and_stops_nobody(
    client: VenueClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pms.venue.ws.server.MAX_BUFFERED", 100_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(client.url.rpartition(":")[2]))
    writer.write(
        b"GET /public/ws/btcusdt@depth@0ms HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    events = await user_stream(client)
    for number in range(1000):
        quantity = str(number % 900 + 1)
        await client.levels(bids=[[f"{50_000 + step / 10:.1f}", quantity] for step in range(1000)], asks=[])
        if not (await client.admin("GET", "sockets"))["public"]:
            break
    assert (await client.admin("GET", "sockets"))["public"] == 0
    await client.limit("BUY", "58000", "0.1")
    assert (await events.next())["o"]["x"] == "NEW"
    writer.close()


async def test_frames_are_valid_at_every_length(client: VenueClient) -> None:
    feed = await public_stream(client, "btcusdt@depth@0ms")
    for count in (1, 3, 40, 1500):
        bids = [[f"{40_000 + step / 10:.1f}", "1"] for step in range(count)]
        await client.levels(bids=bids, asks=[])
        assert len((await feed.next())["b"]) == count
    assert json.dumps(await feed.ask("LIST_SUBSCRIPTIONS"))
