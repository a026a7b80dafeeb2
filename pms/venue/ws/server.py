"""WebSocket paths: /public, /market and /private with /ws and /stream, and the unrouted two."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

import structlog
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from pms.venue import errors
from pms.venue.errors import VenueError
from pms.venue.faults.requests import Cut, Ordeal
from pms.venue.feeds.hub import Hub, text_frame
from pms.venue.rest.dispatch import encode
from pms.venue.venue import Venue
from pms.venue.ws.connection import Connection
from pms.venue.ws.control import handle, subscribe_from_path
from pms.venue.ws.life import Life, SocketLife, server_shutdown
from pms.venue.ws.routes import Route
from pms.venue.ws.trading import HANDSHAKE_WEIGHT, TradingSession

log = structlog.get_logger(__name__)

MAX_BUFFERED = 64 * 1024 * 1024
MESSAGES_PER_SECOND = 10
INCOMING = (WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG)
BROKEN = encode({"id": None, "status": 500, "error": errors.refusal(-1000).body()})


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

    def write_text(self, payload: bytes) -> None:
        """Send a payload as a text frame."""
        self.write(text_frame(payload))

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

    def __init__(self, venue: Venue, *, limited: bool, life: SocketLife) -> None:
        self._venue = venue
        self._life = life
        self._ordeal = Ordeal(venue)
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
        for connection in self.connections:
            connection.answer(server_shutdown(self._venue.clock()))
        goodbyes = [
            socket.close(code=WSCloseCode.GOING_AWAY, drain=False)
            for socket in (*self.connections.values(), *self._traders)
        ]
        await asyncio.gather(*goodbyes, return_exceptions=True)
        self.cut(None)

    def _handler(self, route: Route, *, combined: bool):  # type: ignore[no-untyped-def]
        async def serve(request: web.Request) -> web.WebSocketResponse:
            socket = await _accepted(request)
            connection = Connection(TransportPipe(request), self._hub, route, combined=combined)
            life = Life(socket, self._life, tell=connection.answer, clock=self._venue.clock)
            connection.shut, life.dead = life.end, lambda: connection.muted
            self.connections[connection] = socket
            living = asyncio.create_task(life.run())
            try:
                subscribe_from_path(connection, request.match_info.get("streams", ""), request.query_string)
                await self._listen(connection, life, socket)
            finally:
                await life.leave(living)
                connection.drop()
                del self.connections[connection]
            return socket

        return serve

    async def _listen(self, connection: Connection, life: Life, socket: web.WebSocketResponse) -> None:
        loop = asyncio.get_running_loop()
        recent: deque[float] = deque(maxlen=MESSAGES_PER_SECOND)
        async for message in socket:
            if message.type not in INCOMING:
                continue
            now = loop.time()
            if self._limited and len(recent) == MESSAGES_PER_SECOND and now - recent[0] < 1.0:
                await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                return
            recent.append(now)
            if connection.muted:
                continue
            if await _heartbeat(message, life, socket):
                continue
            if not handle(connection, connection.route, message.data):
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
        socket = await _accepted(request)
        session = TradingSession(self._venue, request.remote or "", request.query_string)
        life = Life(socket, self._life, tell=TransportPipe(request).write_text, clock=self._venue.clock)
        self._traders.add(socket)
        living = asyncio.create_task(life.run())
        late: set[asyncio.Task[None]] = set()
        try:
            async for message in socket:
                if await _heartbeat(message, life, socket) or message.type is not WSMsgType.TEXT:
                    continue
                if not self._venue.faults.rules:
                    answer = _answered(session, message.data)
                    if answer is None:
                        TransportPipe(request).abort()
                    else:
                        await socket.send_str(answer.decode())
                    continue
                # What suffers is overtaken by what came later, as on the real one
                suffering = asyncio.create_task(self._suffer(session, message.data, request, socket))
                late.add(suffering)
                suffering.add_done_callback(late.discard)
        finally:
            await life.leave(living)
            for each in late:
                each.cancel()
            self._traders.discard(socket)
        return socket

    async def _suffer(
        self, session: TradingSession, text: str, request: web.Request, socket: web.WebSocketResponse
    ) -> None:
        try:
            answer = await session.suffer(text, self._ordeal)
            await socket.send_str(answer.decode())
        except Cut:
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            return
        except Exception:
            log.exception("trading_api.failed")
            await socket.send_str(BROKEN.decode())


async def _accepted(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(autoping=False, compress=False, timeout=0.5, max_msg_size=65_536)
    await socket.prepare(request)
    return socket


async def _heartbeat(message: WSMessage, life: Life, socket: web.WebSocketResponse) -> bool:
    """Answer a ping, note a pong; whether it was either."""
    if message.type is WSMsgType.PING:
        with contextlib.suppress(ConnectionError):
            await socket.pong(message.data)
    elif message.type is WSMsgType.PONG:
        life.heard_pong()
    else:
        return False
    return True


def _answered(session: TradingSession, text: str) -> bytes | None:
    """The answer; None where the connection is to be cut."""
    try:
        return session.answer(text)
    except Cut:
        return None
    except Exception:
        log.exception("trading_api.failed")
        return BROKEN
