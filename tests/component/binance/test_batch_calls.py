"""A batch's answer speaks for each order by itself; what it does not say is unknown."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from raw_server import Reply, Serve, answer

from pms.binance.client import ExchangeClient, OrderAck, PlaceOrder
from pms.binance.errors import DuplicateClientId, ExchangeError, NotFound, Overloaded, Refused, Unknown

MakeClient = Callable[[str], ExchangeClient]
ACK = {"orderId": 7, "symbol": "BTCUSDT", "status": "NEW", "clientOrderId": "a"}


async def send(client: ExchangeClient, *names: str) -> list[OrderAck | ExchangeError]:
    orders = [
        PlaceOrder("BTCUSDT", "BUY", "LIMIT", Decimal("0.5"), name, Decimal(5), "GTC") for name in names
    ]
    at = client.exchange_now_ms()
    return await client.send_batch(client.sign_batch(orders, timestamp_ms=at, recv_window_ms=2000), names)


async def test_results_and_refusals_are_told_apart(serve: Serve, client_of: MakeClient) -> None:
    body = json.dumps(
        [
            ACK,
            {"code": -2019, "msg": "Margin is insufficient."},
            {"code": -4116, "msg": "ClientOrderId is duplicated."},
            {"code": -1007, "msg": "Timeout"},
            {"code": -1008, "msg": "overloaded"},
        ]
    )
    server = await serve(Reply(answer(200, body)))
    kinds = [type(each) for each in await send(client_of(server.url), *"abcde")]
    assert kinds == [OrderAck, Refused, DuplicateClientId, Unknown, Overloaded]
    assert server.requests[0].startswith(b"POST /fapi/v1/batchOrders")
    assert b"batchOrders=%5B%7B" in server.requests[0]


@pytest.mark.parametrize(
    "body",
    [
        [ACK],
        [ACK, {"what": "is this"}],
        [ACK, {**ACK, "orderId": 8, "clientOrderId": "x"}],
        [ACK, None],
    ],
)
async def test_what_cannot_be_told_is_unknown(
    body: list[object], serve: Serve, client_of: MakeClient
) -> None:
    server = await serve(Reply(answer(200, json.dumps(body))))
    answers = await send(client_of(server.url), "a", "b")
    assert isinstance(answers[1], Unknown)


async def test_a_lost_answer_is_one_unknown(serve: Serve, client_of: MakeClient) -> None:
    server = await serve(Reply(cut=True))
    with pytest.raises(Unknown):
        await send(client_of(server.url), "a", "b")
    assert len(server.requests) == 1


async def test_cancels_are_answered_one_by_one(serve: Serve, client_of: MakeClient) -> None:
    body = json.dumps([ACK, {"code": -2011, "msg": "Unknown order sent."}])
    server = await serve(Reply(answer(200, body)))
    answers = await client_of(server.url).cancel_batch(symbol="BTCUSDT", client_order_ids=["a", "b"])
    assert [type(each) for each in answers] == [OrderAck, NotFound]
    assert b"origClientOrderIdList=%5B%22a%22%2C%22b%22%5D" in server.requests[0]
