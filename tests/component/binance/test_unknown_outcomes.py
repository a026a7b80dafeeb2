"""An order whose answer is lost in any of these ways is unknown, and only asking settles it."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from raw_server import Reply, Serve, answer

from pms.binance.client import ExchangeClient, PlaceOrder
from pms.binance.errors import DuplicateClientId, ExchangeError, Overloaded, Throttled, Unknown
from pms.flows.resolve import Absent, Found, look_up

MakeClient = Callable[[str], ExchangeClient]
ACK = json.dumps(
    {"orderId": 7, "symbol": "BTCUSDT", "status": "NEW", "clientOrderId": "PMS_a", "price": "1.50"}
)
ORDER = {
    **json.loads(ACK),
    "status": "FILLED",
    "side": "BUY",
    "type": "LIMIT",
    "origQty": "2",
    "executedQty": "2",
}
TRADE = {"symbol": "BTCUSDT", "id": 5, "orderId": 7, "side": "BUY", "price": "1.5", "qty": "2", "time": 1}
TRADE |= {"commission": "0", "commissionAsset": "USDT", "realizedPnl": "0", "maker": False}
NO_SUCH_ORDER = Reply(answer(400, '{"code":-2013,"msg":"Order does not exist."}'))
LOST = {
    "reset after the request was read": Reply(reset=True),
    "reset in the middle of the answer": Reply(answer(200, ACK[:40], length=len(ACK)), reset=True),
    "closed after the request was read": Reply(cut=True),
    "half of the JSON": Reply(answer(200, ACK[:40])),
    "an empty body": Reply(answer(200, "")),
    "HTML instead of JSON": Reply(answer(200, "<html>welcome</html>")),
    "HTML of a proxy": Reply(answer(502, "<html>bad gateway</html>")),
    "504": Reply(answer(504, "")),
    "408": Reply(answer(408, "")),
    "-1006": Reply(answer(400, '{"code":-1006,"msg":"Execution status unknown."}')),
    "-1007": Reply(answer(408, '{"code":-1007,"msg":"Timeout waiting for response."}')),
    "503, unknown error": Reply(answer(503, '{"msg":"Unknown error, please check your request."}')),
    "503, unavailable": Reply(answer(503, '{"msg":"Service Unavailable."}')),
    "503, internal error": Reply(answer(503, '{"code":-1001,"msg":"Internal error."}')),
}


async def place(client: ExchangeClient) -> None:
    order = PlaceOrder("BTCUSDT", "BUY", "LIMIT", Decimal(2), "PMS_a", Decimal("1.5"), "GTC")
    signed = client.sign_place(order, timestamp_ms=client.exchange_now_ms(), recv_window_ms=2000)
    await client.send(signed)


@pytest.mark.parametrize("how", LOST)
async def test_f5_what_was_lost_is_found_by_asking(how: str, serve: Serve, client_of: MakeClient) -> None:
    server = await serve(
        LOST[how], Reply(answer(200, json.dumps(ORDER))), Reply(answer(200, json.dumps([TRADE])))
    )
    client = client_of(server.url)
    with pytest.raises(Unknown):
        await place(client)
    found = await look_up(client, symbol="BTCUSDT", client_order_id="PMS_a", booked=Decimal(0))
    assert isinstance(found, Found)
    assert (found.order.status, [trade.id for trade in found.trades]) == ("FILLED", [5])
    assert [request.split()[0] for request in server.requests] == [b"POST", b"GET", b"GET"]


@pytest.mark.parametrize("how", LOST)
async def test_asking_that_fails_the_same_way_proves_nothing(
    how: str, serve: Serve, client_of: MakeClient
) -> None:
    """A transport error is never "not found", neither among orders nor among algo orders."""
    client = client_of((await serve(LOST[how])).url)
    with pytest.raises(Unknown):
        await look_up(client, symbol="BTCUSDT", client_order_id="PMS_a", booked=Decimal(0))
    client = client_of((await serve(NO_SUCH_ORDER, LOST[how])).url)
    with pytest.raises(Unknown):
        await look_up(client, symbol="BTCUSDT", client_order_id="PMS_a", booked=Decimal(0))


async def test_absent_is_what_neither_kind_of_order_knows(serve: Serve, client_of: MakeClient) -> None:
    server = await serve(NO_SUCH_ORDER, NO_SUCH_ORDER)
    client = client_of(server.url)
    assert isinstance(
        await look_up(client, symbol="BTCUSDT", client_order_id="PMS_a", booked=Decimal(0)), Absent
    )
    assert [request.split(b"?")[0] for request in server.requests] == [
        b"GET /fapi/v1/order",
        b"GET /fapi/v1/algoOrder",
    ]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, -4116, DuplicateClientId),
        (503, -1008, Overloaded),
        (429, -1003, Throttled),
        (429, -1015, Throttled),
        (418, -1003, Throttled),
    ],
)
async def test_f5_what_an_order_is_answered_with_is_told_apart(
    status: int, code: int, kind: type[ExchangeError], serve: Serve, client_of: MakeClient
) -> None:
    body = json.dumps({"code": code, "msg": "said"})
    server = await serve(Reply(answer(status, body, headers="Retry-After: 1\r\n")))
    with pytest.raises(ExchangeError) as raised:
        await place(client_of(server.url))
    assert type(raised.value) is kind
