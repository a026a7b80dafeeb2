"""A real WebSocket server on loopback that does what a test tells it, and a clock that waits for it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

PATIENCE_S = 10.0


@dataclass(slots=True)
class Peer:
    """One connection of the client under test, seen from the server."""

    socket: web.WebSocketResponse
    request: web.Request
    controls: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def control(self) -> dict[str, Any]:
        """The next control message."""
        return await asyncio.wait_for(self.controls.get(), PATIENCE_S)

    async def send(self, message: dict[str, Any]) -> None:
        """Send one frame."""
        await self.socket.send_str(json.dumps(message, separators=(",", ":")))

    async def data(self, number: int) -> None:
        """Send a data frame that can be told from others."""
        await self.send({"stream": "btcusdt@depth@100ms", "data": {"number": number}})

    def abort(self) -> None:
        """Break the line without a goodbye."""
        if self.request.transport is not None:
            self.request.transport.abort()


class ExchangeSocket:
    """The server. `deaf` connections answer no ping; so many handshakes are refused as `refusals` says.

    A handshake waits for `answers`, and then `asked` is set.
    """

    def __init__(self, *, port: int | None = None) -> None:
        self.deaf = False
        self.refusals = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked = asyncio.Event()
        self._open: list[Peer] = []
        self._peers: asyncio.Queue[Peer] = asyncio.Queue()
        app = web.Application()
        app.router.add_get("/{path:.*}", self._serve)
        self._server = TestServer(app, host="127.0.0.1", port=port)

    async def __aenter__(self) -> ExchangeSocket:
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        for peer in self._open:
            peer.abort()
        await self._server.close()

    @property
    def base_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        assert self._server.port is not None
        return self._server.port

    async def peer(self) -> Peer:
        """The next connection."""
        return await asyncio.wait_for(self._peers.get(), PATIENCE_S)

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        if self.refusals:
            self.refusals -= 1
            raise web.HTTPForbidden
        if not self.answers.is_set():
            self.asked.set()
            await self.answers.wait()
        socket = web.WebSocketResponse(autoping=not self.deaf, timeout=0.1)
        await socket.prepare(request)
        peer = Peer(socket, request)
        self._open.append(peer)
        self._peers.put_nowait(peer)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                peer.controls.put_nowait(json.loads(message.data))
        peer.closed.set()
        return socket


class Frames:
    """What the stream under test handed over."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()

    def __call__(self, raw: bytes) -> None:
        self._queue.put_nowait(raw)

    async def next(self) -> dict[str, Any]:
        raw = await asyncio.wait_for(self._queue.get(), PATIENCE_S)
        assert type(raw) is bytes
        decoded: dict[str, Any] = json.loads(raw)
        return decoded

    async def number(self) -> int:
        """The number of the next data frame; answers to control messages are passed over."""
        while "data" not in (frame := await self.next()):
            pass
        number: int = frame["data"]["number"]
        return number

    @property
    def empty(self) -> bool:
        return self._queue.empty()


class ManualClock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, delay: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + delay, future))
        self._changed.set()
        await future

    async def sleeping_until(self, due: float) -> None:
        """Wait until somebody sleeps to exactly this time."""
        async with asyncio.timeout(PATIENCE_S):
            while not any(abs(each - due) < 1e-6 and not done.done() for each, done in self._sleepers):
                self._changed.clear()
                await self._changed.wait()

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for due, future in self._sleepers:
            if due <= self.now + 1e-6 and not future.done():
                future.set_result(None)
        self._sleepers = [each for each in self._sleepers if not each[1].done()]
