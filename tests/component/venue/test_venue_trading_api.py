"""The WebSocket trading API: its envelope, who may speak, and that it is REST behind it."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from venue_client import VenueClient, user_stream

from pms.venue.app import RunningVenue

ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.010",
    "price": "59000",
}


class Api:
    """One connection to the trading API."""

    def __init__(self, socket: Any, key: str = "KEY", secret: str = "SECRET") -> None:
        self.socket = socket
        self.key = key
        self.secret = secret

    async def ask(self, method: str, params: dict[str, Any] | None = None, id: Any = 1) -> Any:
        await self.socket.send_json({"id": id, "method": method, "params": params or {}})
        return await self.socket.receive_json(timeout=10)

    async def signed(self, method: str, *, encoded: bool = False, **params: Any) -> Any:
        params |= {"apiKey": self.key, "timestamp": int(time.time() * 1000)}
        pairs = sorted(params.items())
        text = urlencode(pairs) if encoded else "&".join(f"{name}={value}" for name, value in pairs)
        params["signature"] = hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return await self.ask(method, params)


async def opened(client: VenueClient, query: str = "") -> Api:
    return Api(await client.session.ws_connect(f"{client.url}/ws-fapi/v1{query}"))


async def test_an_order_is_placed_amended_queried_and_cancelled(client: VenueClient) -> None:
    api, stream = await opened(client), await user_stream(client)
    placed = await api.signed("order.place", **ORDER, newClientOrderId="one")
    assert (placed["id"], placed["status"], placed["result"]["status"]) == (1, 200, "NEW")
    assert (await stream.next())["o"]["c"] == "one"
    moved = await api.signed("order.modify", **ORDER | {"quantity": "0.020"}, origClientOrderId="one")
    assert moved["result"]["origQty"] == "0.020"
    asked = await api.signed("order.status", symbol="BTCUSDT", origClientOrderId="one")
    assert asked["result"] == await client.ok(
        "GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="one"
    )
    gone = await api.signed("order.cancel", symbol="BTCUSDT", origClientOrderId="one")
    assert gone["result"]["status"] == "CANCELED"


@pytest.mark.parametrize("encoded", [False, True])
async def test_a_signature_covers_sorted_parameters_plain_or_encoded(
    client: VenueClient, encoded: bool
) -> None:
    api = await opened(client)
    placed = await api.signed("order.place", **ORDER, newClientOrderId="a:b/c", encoded=encoded)
    assert placed["result"]["clientOrderId"] == "a:b/c"


async def test_who_may_not_speak_is_told_so_as_over_rest(client: VenueClient) -> None:
    api = await opened(client)
    for key, secret, status, code in (("KEY", "WRONG", 400, -1022), ("NOBODY", "S", 401, -2015)):
        api.key, api.secret = key, secret
        refused = await api.signed("order.place", **ORDER)
        assert (refused["status"], refused["error"]["code"]) == (status, code)
    assert (await api.ask("v2/account.balance"))["error"]["code"] == -2014
    assert await client.ok("GET", "/fapi/v1/openOrders") == []


async def test_a_session_that_logged_on_signs_no_more_until_it_logs_out(client: VenueClient) -> None:
    api = await opened(client)
    on = await api.signed("session.logon")
    assert on["result"]["apiKey"] == "KEY"
    assert on["result"]["authorizedSince"] >= on["result"]["connectedSince"]
    unsigned = {"timestamp": int(time.time() * 1000)}
    assert (await api.ask("order.place", ORDER | unsigned))["status"] == 200
    stale = {"timestamp": int(time.time() * 1000) - 60_000}
    assert (await api.ask("order.place", ORDER | stale))["error"]["code"] == -1021
    assert (await api.ask("session.status"))["result"]["apiKey"] == "KEY"
    assert (await api.ask("session.logout"))["result"]["apiKey"] is None
    assert (await api.ask("order.place", ORDER | unsigned))["error"]["code"] == -2014
    assert len(await client.ok("GET", "/fapi/v1/openOrders")) == 1


async def test_limits_are_rest_s_own_and_told_unless_unwanted(client: VenueClient) -> None:
    api = await opened(client)
    told = (await api.signed("order.place", **ORDER))["rateLimits"]
    assert [(each["rateLimitType"], each["interval"], each["count"]) for each in told] == [
        ("ORDERS", "SECOND", 1),
        ("ORDERS", "MINUTE", 1),
        ("REQUEST_WEIGHT", "MINUTE", 5),
    ]
    await client.limit("BUY", "59000", "0.01")
    assert client.headers["X-MBX-ORDER-COUNT-10S"] == "2"
    assert "rateLimits" not in await api.signed("v2/account.balance", returnRateLimits="false")
    quiet = await opened(client, "?returnRateLimits=false")
    assert "rateLimits" not in await quiet.signed("v2/account.balance")


async def test_too_much_is_refused_in_the_envelope(
    start: Callable[..., Awaitable[RunningVenue]], client: VenueClient
) -> None:
    limited = await start(limits="binance")
    api = await opened(VenueClient(client.session, limited.url))
    # 120 fit into a minute; wherever it ends among these, one half has more
    for _ in range(260):
        answer = await api.ask("depth", {"symbol": "BTCUSDT", "limit": 1000})
        if answer["status"] != 200:
            break
    assert (answer["status"], answer["error"]["code"]) == (429, -1003)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", -1000),
        ("[]", -1000),
        ("{}", -1000),
        ('{"id":7,"method":"order.fly"}', -1000),
        ('{"id":7,"method":["order.place"]}', -1000),
        ('{"id":7,"method":"depth","params":[1]}', -1000),
        ('{"id":7,"method":"depth"}', -1102),
        ('{"id":7,"method":"depth","params":{"symbol":"NOPE"}}', -1121),
    ],
)
async def test_what_makes_no_sense_is_answered_and_the_connection_stays(
    client: VenueClient, text: str, code: int
) -> None:
    api = await opened(client)
    await api.socket.send_str(text)
    refused = await api.socket.receive_json(timeout=10)
    assert (refused["status"], refused["error"]["code"]) == (400, code)
    assert refused["id"] == (7 if '"id":7' in text else None)
    assert (await api.ask("ticker.price", {"symbol": "BTCUSDT"}, "x"))["id"] == "x"
