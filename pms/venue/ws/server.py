"""WebSocket paths: /public, /market and /private with /ws and /stream, and the unrouted two."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from pms.venue import errors
from pms.venue.errors import VenueError
from pms.venue.feeds.hub import Hub
from pms.venue.rest.dispatch import encode
from pms.venue.venue import Venue
from pms.venue.ws.connection import Connection
from pms.venue.ws.control import handle, subscribe_from_path
from pms.venue.ws.routes import Route
from pms.venue.ws.trading import HANDSHAKE_WEIGHT, TradingSession

log = structlog.get_logger(__name__)

MAX_BUFFERED = 64 * 1024 * 1024
PING_EVERY_S = 180.0
MESSAGES_PER_SECOND = 10


class TransportPipe:
    """Frames straight onto an aiohttp transport, without waiting.

    What a client does not read gathers in the transport's buffer; beyond a limit the connection is cut,
    so that one slow reader costs memory of its own and nobody's time.
    """

    def __init__(self, request: web.Request) -> None:
        transport = request.transport
        assert transport is not None
        self._transport = transport
        self._writer = request.writer
        self._remote = request.remote

    def write(self, frame: bytes) -> None:
        """Send a frame, or drop it if the client has gone."""
        if self._transport.is_closing():
            return
        self._transport.write(frame)
        if self._transport.get_write_buffer_size() > MAX_BUFFERED:
            log.warning("ws.slow_consumer_cut", remote=self._remote)
            self._transport.abort()

    def abort(self) -> None:
        """Cut the connection without a close frame."""
        self._transport.abort()

    async def drained(self) -> None:
        """Return when the client has read nearly all it was sent, or has gone."""
        try:
            await self._writer.drain()
        except ConnectionError:
            return


class WebSocketFace:
    """All live connections. `limited` enforces ten incoming messages a second."""

    def __init__(self, venue: Venue, *, limited: bool) -> None:
        self._venue = venue
        self._hub: Hub = venue.feeds.hub
        self._limited = limited
        self.connections: dict[Connection, web.WebSocketResponse] = {}
        self._traders: set[web.WebSocketResponse] = set()

    def routes(self) -> list[web.RouteDef]:
        """Every path of every route."""
        found: list[web.RouteDef] = []
        for route in Route:
            base = f"/{route.value}" if route.value else ""
            found.append(web.get(f"{base}/ws", self._handler(route, combined=False)))
            found.append(web.get(f"{base}/ws/{{streams:.+}}", self._handler(route, combined=False)))
            found.append(web.get(f"{base}/stream", self._handler(route, combined=True)))
        found.append(web.get("/ws-fapi/v1", self._trade))
        return found

    async def drained(self) -> None:
        """Return when every client has read nearly all it was sent, or has gone."""
        for connection in list(self.connections):
            await connection.pipe.drained()

    def counts(self) -> dict[str, int]:
        """Connections by route; the unrouted ones under "unrouted"."""
        found = dict.fromkeys((route.value or "unrouted" for route in Route), 0)
        for connection in self.connections:
            found[connection.route.value or "unrouted"] += 1
        return found

    def cut(self, route: str | None) -> int:
        """Cut all connections, or those of one route, without a close frame; returns how many."""
        found = [each for each in self.connections if route is None or each.route.value == route]
        for connection in found:
            connection.pipe.abort()
        return len(found)

    async def close(self) -> None:
        """Say goodbye to all; a client that does not answer in time is cut."""
        goodbyes = [
            socket.close(code=WSCloseCode.GOING_AWAY, drain=False)
            for socket in (*self.connections.values(), *self._traders)
        ]
        await asyncio.gather(*goodbyes, return_exceptions=True)
        self.cut(None)

    def _handler(self, route: Route, *, combined: bool):  # type: ignore[no-untyped-def]
        async def serve(request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse(autoping=True, compress=False, timeout=0.5, max_msg_size=65_536)
            await socket.prepare(request)
            connection = Connection(TransportPipe(request), self._hub, route, combined=combined)
            self.connections[connection] = socket
            pinger = asyncio.create_task(_ping_forever(socket))
            try:
                subscribe_from_path(connection, request.match_info.get("streams", ""), request.query_string)
                await self._listen(connection, route, socket)
            finally:
                pinger.cancel()
                connection.drop()
                del self.connections[connection]
            return socket

        return serve

    async def _listen(self, connection: Connection, route: Route, socket: web.WebSocketResponse) -> None:
        loop = asyncio.get_running_loop()
        recent: deque[float] = deque(maxlen=MESSAGES_PER_SECOND)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            now = loop.time()
            if self._limited and len(recent) == MESSAGES_PER_SECOND and now - recent[0] < 1.0:
                await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                return
            recent.append(now)
            if not handle(connection, route, message.data):
                await socket.close()
                return

    async def _trade(self, request: web.Request) -> web.StreamResponse:
        """The WebSocket trading API; its handshake is weighed as a request is."""
        try:
            self._venue.limits.charge(request.remote or "", HANDSHAKE_WEIGHT)
        except VenueError as error:
            return web.Response(
                body=encode(error.body()), status=error.status, content_type="application/json"
            )
        socket = web.WebSocketResponse(autoping=True, compress=False, timeout=0.5, max_msg_size=65_536)
        await socket.prepare(request)
        session = TradingSession(self._venue, request.remote or "", request.query_string)
        self._traders.add(socket)
        pinger = asyncio.create_task(_ping_forever(socket))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await socket.send_str(_answered(session, message.data).decode())
        finally:
            pinger.cancel()
            self._traders.discard(socket)
        return socket


def _answered(session: TradingSession, text: str) -> bytes:
    try:
        return session.answer(text)
    except Exception:
        log.exception("trading_api.failed")
        return encode({"id": None, "status": 500, "error": errors.refusal(-1000).body()})


async def _ping_forever(socket: web.WebSocketResponse) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await asyncio.sleep(PING_EVERY_S)
            await socket.ping()
