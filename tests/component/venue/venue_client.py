"""A Binance client written from the protocol alone, for looking at the venue from outside."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
Answer = tuple[int, Any]


class VenueClient:
    """Signed and unsigned requests; `call` gives (status, body)."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str = "KEY", secret: str = "SECRET"):
        self.session = session
        self.url = url
        self.key = key
        self.secret = secret
        self.headers: Any = {}

    async def call(self, method: str, path: str, **params: Any) -> Answer:
        params.setdefault("timestamp", int(time.time() * 1000))
        query = urlencode(params)
        signature = hmac.new(self.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        return await self.raw(method, path, f"{query}&signature={signature}")

    async def raw(
        self, method: str, path: str, query: str = "", body: str | bytes | None = None, key: str | None = None
    ) -> Answer:
        headers = {"X-MBX-APIKEY": self.key if key is None else key}
        url = f"{self.url}{path}?{query}" if query else self.url + path
        async with self.session.request(
            method, URL(url, encoded=True), data=body, headers={k: v for k, v in headers.items() if v}
        ) as answer:
            self.headers = answer.headers
            return answer.status, await answer.json()

    async def ok(self, method: str, path: str, **params: Any) -> Any:
        status, body = await self.call(method, path, **params)
        assert status == 200, body
        return body

    async def code(self, method: str, path: str, **params: Any) -> int:
        status, body = await self.call(method, path, **params)
        assert status >= 400, body
        return body["code"]

    async def limit(self, side: str, price: str, quantity: str, **more: Any) -> Any:
        more = {"timeInForce": "GTC", "symbol": "BTCUSDT"} | more
        return await self.ok(
            "POST", "/fapi/v1/order", side=side, type="LIMIT", price=price, quantity=quantity, **more
        )

    async def market(self, side: str, quantity: str, **more: Any) -> Any:
        more = {"symbol": "BTCUSDT", "newOrderRespType": "RESULT"} | more
        return await self.ok("POST", "/fapi/v1/order", side=side, type="MARKET", quantity=quantity, **more)

    async def admin(self, method: str, path: str, body: Any = None) -> Any:
        async with self.session.request(method, f"{self.url}/venue/admin/{path}", json=body) as answer:
            answered = await answer.json()
            assert answer.status == 200, answered
            return answered

    async def levels(self, *, bids: list[list[str]], asks: list[list[str]], symbol: str = "BTCUSDT") -> None:
        await self.admin("POST", "levels", {"symbol": symbol, "bids": bids, "asks": asks})


class Stream:
    """A WebSocket whose messages are taken one by one."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def next(self, timeout: float = 10.0) -> Any:
        message = await self.socket.receive(timeout=timeout)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)

    async def take(self, count: int) -> list[Any]:
        return [await self.next() for _ in range(count)]

    async def ask(self, method: str, params: Any = None, id: Any = 1) -> Any:
        await self.socket.send_json({"method": method, "params": params, "id": id})
        return await self.next()

    async def silent(self) -> bool:
        """Whether nothing was on its way: a control answer overtakes no frame."""
        marker = f"marker-{time.monotonic_ns()}"
        await self.socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": marker})
        return bool((await self.next()).get("id") == marker)


async def user_stream(client: VenueClient) -> Stream:
    _, body = await client.raw("POST", "/fapi/v1/listenKey")
    return Stream(await client.session.ws_connect(f"{client.url}/private/ws/{body['listenKey']}"))


async def public_stream(client: VenueClient, *streams: str) -> Stream:
    url = f"{client.url}/public/ws/{'/'.join(streams)}"
    return Stream(await client.session.ws_connect(url, max_msg_size=0))


async def met(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that comes by itself."""
    async with asyncio.timeout(20):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.05)


class LocalBook:
    """A book built as the protocol says: §5.3."""

    def __init__(self, snapshot: Any) -> None:
        self.last = snapshot["lastUpdateId"]
        self.sides = {
            key: {Decimal(price): Decimal(quantity) for price, quantity in snapshot[name]}
            for key, name in (("b", "bids"), ("a", "asks"))
        }
        self.synced = False

    def apply(self, diff: Any) -> bool:
        """Whether the diff was applied; an assertion fails where the chain breaks."""
        if diff["u"] < self.last:
            return False
        if self.synced:
            assert diff["pu"] == self.last, "chain broken"
        else:
            assert diff["U"] <= self.last <= diff["u"], "snapshot outside the diff"
        self.synced = True
        self.last = diff["u"]
        self.set(diff)
        return True

    def set(self, diff: Any) -> None:
        for key, side in self.sides.items():
            for price, quantity in diff[key]:
                if Decimal(quantity):
                    side[Decimal(price)] = Decimal(quantity)
                else:
                    side.pop(Decimal(price), None)

    def best(self) -> tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]:
        bid = max(self.sides["b"], default=None)
        ask = min(self.sides["a"], default=None)
        return (
            bid,
            None if bid is None else self.sides["b"][bid],
            ask,
            None if ask is None else self.sides["a"][ask],
        )


def offline_best(recording: Path, symbol: str, snapshot: Path | None) -> list[Any]:
    """The best prices after each recorded diff, straight from the file."""
    with gzip.open(recording) as file:
        frames = [json.loads(line)["frame"] for line in file]
    if snapshot is not None:
        with gzip.open(snapshot) as file:
            start = json.loads(file.read())
    else:
        start = next(frame for frame in frames if "lastUpdateId" in frame)
    book = LocalBook(start)
    best = []
    for frame in frames:
        data = frame.get("data", {})
        if data.get("e") == "depthUpdate" and data["s"] == symbol and data["u"] >= start["lastUpdateId"]:
            book.set(data)
            best.append(book.best())
    return best


async def follow_book(client: VenueClient, symbol: str, diffs: int, stream: str = "depth@0ms") -> list[Any]:
    """The best prices after each diff, as a client of the venue sees them."""
    feed = await public_stream(client, f"{symbol.lower()}@{stream}")
    _, snapshot = await client.raw("GET", "/fapi/v1/depth", f"symbol={symbol}&limit=1000", key="")
    book = LocalBook(snapshot)
    best: list[Any] = []
    async with asyncio.timeout(60):
        while len(best) < diffs:
            if book.apply(await feed.next()):
                best.append(book.best())
    await feed.socket.close()
    return best
