"""A request is written at most once, and what is not proven is never called failed."""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable
from decimal import Decimal

import aiohttp
import pytest
from raw_server import Reply, Serve, answer

from pms.binance.client import AmendOrder, ExchangeClient, PlaceOrder
from pms.binance.errors import ExchangeError, NotFound, Refused, Throttled, Unknown, Unsent

Call = Callable[[ExchangeClient], Awaitable[object]]
MakeClient = Callable[[str], ExchangeClient]
ACK = json.dumps({"orderId": 7, "symbol": "BTCUSDT", "status": "NEW", "clientOrderId": "a", "price": "1.50"})


def placement(client: ExchangeClient) -> Awaitable[object]:
    order = PlaceOrder("BTCUSDT", "BUY", "LIMIT", Decimal("0.001"), "PMS_a", Decimal("50000"), "GTC")
    signed = client.sign_place(order, timestamp_ms=client.exchange_now_ms(), recv_window_ms=2000)
    return client.send(signed)


def amendment(client: ExchangeClient) -> Awaitable[object]:
    terms = AmendOrder("BTCUSDT", "BUY", Decimal(1), Decimal(2), "PMS_a")
    return client.send(client.sign_amend(terms, timestamp_ms=client.exchange_now_ms(), recv_window_ms=2000))


CALLS: dict[str, Call] = {
    "POST": placement,
    "DELETE": lambda client: client.cancel(symbol="BTCUSDT", client_order_id="PMS_a"),
    "GET": lambda client: client.query_order(symbol="BTCUSDT", order_id=7),
    "PUT": amendment,
}
every_method = pytest.mark.parametrize("method", CALLS)


@every_method
async def test_cut_after_the_request_was_read(method: str, serve: Serve, client_of: MakeClient) -> None:
    server = await serve(Reply(cut=True))
    with pytest.raises(Unknown):
        await CALLS[method](client_of(server.url))
    assert len(server.requests) == 1
    assert server.requests[0].startswith(f"{method} /fapi/v1/order".encode())


@every_method
async def test_a_kept_alive_connection_that_dies_is_not_tried_again(
    method: str, serve: Serve, client_of: MakeClient
) -> None:
    server = await serve(Reply(answer(200, '{"serverTime":1}')), Reply(cut=True))
    client = client_of(server.url)
    await client.server_time()
    with pytest.raises(Unknown):
        await CALLS[method](client)
    assert (server.connections, len(server.requests)) == (1, 2)


async def test_a_plain_session_would_have_sent_it_twice(serve: Serve) -> None:
    """The trap that `open_session` closes is a real one."""
    server = await serve(Reply(answer(200, "{}")), Reply(cut=True))
    async with aiohttp.ClientSession() as plain:
        await (await plain.get(server.url)).read()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await plain.delete(server.url)
    assert [request[:6] for request in server.requests] == [b"GET / ", b"DELETE", b"DELETE"]


@every_method
async def test_a_connection_that_was_closed_while_idle_is_replaced(
    method: str, serve: Serve, client_of: MakeClient
) -> None:
    body = '{"serverTime":1}'
    server = await serve(Reply(answer(200, body), cut=True), Reply(answer(400, '{"code":-2022,"msg":"no"}')))
    client = client_of(server.url)
    await client.server_time()
    await server.closed.wait()
    # Whether the end of the old connection was noticed in time or not: never two requests.
    with pytest.raises((Refused, Unknown)):
        await CALLS[method](client)
    assert len(server.requests) <= 2


@every_method
async def test_no_connection_is_proof_of_not_sent(method: str, client_of: MakeClient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unsent) as raised:
            await CALLS[method](client_of(f"http://127.0.0.1:{taken.getsockname()[1]}"))
    assert "signature" not in str(raised.value)


async def test_a_name_that_does_not_resolve_is_proof_of_not_sent(client_of: MakeClient) -> None:
    with pytest.raises(Unsent):
        await placement(client_of("http://exchange.invalid"))


async def test_a_closed_session_is_proof_of_not_sent(
    client_of: MakeClient, session: aiohttp.ClientSession
) -> None:
    client = client_of("http://127.0.0.1:9")
    await session.close()
    with pytest.raises(Unsent):
        await placement(client)


async def test_no_answer_in_time(serve: Serve, client_of: MakeClient) -> None:
    server = await serve(Reply(hang=True))
    with pytest.raises(Unknown, match="TimeoutError"):
        await placement(client_of(server.url))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"HTTP/1.1 200 X\r\nContent-Le", cut=True),
        Reply(b"this is no HTTP\r\n\r\n", cut=True),
        Reply(answer(200, ACK[:30])),
        Reply(answer(200, ACK, length=len(ACK) + 10), cut=True),
        Reply(answer(200, "")),
        Reply(answer(200, "[]")),
        Reply(answer(200, '{"code":-2022,"msg":"an error in disguise"}')),
        Reply(answer(200, ACK.replace('"1.50"', '"NaN"'))),
        Reply(answer(400, '{"code":-20')),
        Reply(answer(403, "<html>blocked</html>")),
        Reply(answer(302, "", headers="Location: /elsewhere\r\n")),
        Reply(answer(503, '{"msg":"Unknown error, please check your request or try again later."}')),
        Reply(answer(503, '{"code":0,"msg":"Service Unavailable."}')),
        Reply(answer(503, '{"code":-1001,"msg":"Internal error; unable to process your request."}')),
        Reply(answer(408, '{"code":-1007,"msg":"Timeout waiting for response from backend server."}')),
        Reply(answer(502, "<html>bad gateway</html>")),
    ],
)
async def test_what_proves_nothing_is_unknown(reply: Reply, serve: Serve, client_of: MakeClient) -> None:
    server = await serve(reply)
    with pytest.raises(Unknown) as raised:
        await placement(client_of(server.url))
    assert len(server.requests) == 1
    assert "signature" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "code", "kind"), [(400, -2019, Refused), (400, -2013, NotFound), (401, -2015, Refused)]
)
async def test_what_the_exchange_says_is_typed(
    status: int, code: int, kind: type[ExchangeError], serve: Serve, client_of: MakeClient
) -> None:
    server = await serve(Reply(answer(status, json.dumps({"code": code, "msg": "said"}))))
    with pytest.raises(kind) as raised:
        await placement(client_of(server.url))
    assert (raised.value.code, raised.value.msg) == (code, "said")


async def test_a_throttle_stops_everything_until_it_is_over(serve: Serve, client_of: MakeClient) -> None:
    body = '{"code":-1003,"msg":"Too many requests; current limit is 2400 requests per minute."}'
    server = await serve(Reply(answer(429, body, headers="Retry-After: 17\r\n")))
    client = client_of(server.url)
    with pytest.raises(Throttled) as raised:
        await client.server_time()
    assert (raised.value.retry_after, raised.value.http) == (17, 429)
    for call in (CALLS["DELETE"], CALLS["GET"], lambda c: c.room_for_order(account="a", lane="reduce")):
        with pytest.raises(Throttled) as ours:
            await call(client)
        assert ours.value.http is None
        assert 15 < ours.value.retry_after <= 17
    assert len(server.requests) == 1
    assert client.turned_away == 3, "a supervisor sees that we wait: each request counts, sent or not"


async def test_an_overloaded_engine_stops_nobody(serve: Serve, client_of: MakeClient) -> None:
    body = '{"code":-1008,"msg":"Request throttled by system-level protection."}'
    server = await serve(Reply(answer(503, body)), Reply(answer(200, ACK)))
    client = client_of(server.url)
    with pytest.raises(Throttled):
        await placement(client)
    await CALLS["DELETE"](client)
    assert len(server.requests) == 2


async def test_an_answer_with_fields_nobody_knows(serve: Serve, client_of: MakeClient) -> None:
    server = await serve(Reply(answer(200, ACK.replace("}", ',"tomorrow":[{"x":1.5}]}'))))
    ack = await client_of(server.url).cancel(symbol="BTCUSDT", order_id=7)
    assert (ack.order_id, ack.client_order_id, ack.price) == (7, "a", Decimal("1.50"))


async def test_a_placement_on_the_wire(serve: Serve, client_of: MakeClient) -> None:
    server = await serve(Reply(answer(200, ACK)))
    await placement(client_of(server.url))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /fapi/v1/order HTTP/1.1\r\n")
    assert b"X-MBX-APIKEY: key" in head
    named = [pair.split("=")[0] for pair in body.decode().split("&")]
    assert named == [
        *("symbol", "side", "type", "quantity", "price", "timeInForce", "newClientOrderId"),
        *("recvWindow", "timestamp", "signature"),
    ]


async def test_no_change_needed_is_success(serve: Serve, client_of: MakeClient) -> None:
    server = await serve(Reply(answer(400, '{"code":-4046,"msg":"No need to change margin type."}')))
    await client_of(server.url).set_margin_type("BTCUSDT", "CROSSED")


async def test_the_clock_is_learned_from_the_exchange(serve: Serve, client_of: MakeClient) -> None:
    server = await serve(Reply(answer(200, '{"serverTime":4102444800000}')))
    client = client_of(server.url)
    await client.sync_time()
    assert abs(client.exchange_now_ms() - 4102444800000) < 5000


async def test_small_packets_leave_at_once(serve: Serve, session: aiohttp.ClientSession) -> None:
    server = await serve(Reply(answer(200, "{", length=2), hang=True))
    async with session.get(server.url) as response:
        assert response.connection is not None
        assert response.connection.transport is not None
        connected = response.connection.transport.get_extra_info("socket")
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_secrets_do_not_show(client_of: MakeClient) -> None:
    client = client_of("http://127.0.0.1:9")
    order = PlaceOrder("BTCUSDT", "BUY", "MARKET", Decimal(1), "PMS_a")
    signed = client.sign_place(order, timestamp_ms=1, recv_window_ms=2000)
    for shown in (repr(client), repr(signed), str(signed), repr(client._signer)):
        assert "signature" not in shown
        assert "a-secret" not in shown
