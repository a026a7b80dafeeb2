"""WebSocket paths: /public, /market and /private with /ws and /stream, and the unrouted two."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from urllib.parse import parse_qsl

from aiohttp import WSCloseCode, WSMsgType, web

from pms.venue.feeds.hub import Hub
from pms.venue.ws.connection import Connection
from pms.venue.ws.control import handle
from pms.venue.ws.routes import Route

PING_EVERY_S = 180.0
MESSAGES_PER_SECOND = 10


class WebSocketFace:
    """All live connections. `limited` enforces ten incoming messages a second."""

    def __init__(self, hub: Hub, *, limited: bool) -> None:
        self._hub = hub
        self._limited = limited
        self.connections: dict[Connection, web.WebSocketResponse] = {}

    def routes(self) -> list[web.RouteDef]:
        """Every path of every route."""
        found: list[web.RouteDef] = []
        for route in Route:
            base = f"/{route.value}" if route.value else ""
            found.append(web.get(f"{base}/ws", self._handler(route, combined=False)))
            found.append(web.get(f"{base}/ws/{{streams:.+}}", self._handler(route, combined=False)))
            found.append(web.get(f"{base}/stream", self._handler(route, combined=True)))
        return found

    async def drained(self) -> None:
        """Return when every client has read nearly all it was sent, or has gone."""
        for connection in list(self.connections):
            await connection.drained()

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
            connection.abort()
        return len(found)

    async def close(self) -> None:
        """Say goodbye to all; a client that does not answer in time is cut."""
        goodbyes = [
            socket.close(code=WSCloseCode.GOING_AWAY, drain=False) for socket in self.connections.values()
        ]
        await asyncio.gather(*goodbyes, return_exceptions=True)
        self.cut(None)

    def _handler(self, route: Route, *, combined: bool):  # type: ignore[no-untyped-def]
        async def serve(request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse(autoping=True, compress=False, timeout=0.5, max_msg_size=65_536)
            await socket.prepare(request)
            connection = Connection(request, self._hub, route, combined=combined)
            self.connections[connection] = socket
            pinger = asyncio.create_task(_ping_forever(socket))
            try:
                _subscribe_from_path(connection, route, request)
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


def _subscribe_from_path(connection: Connection, route: Route, request: web.Request) -> None:
    names = [name for name in request.match_info.get("streams", "").split("/") if name]
    pairs = parse_qsl(request.query_string)
    if route is not Route.PRIVATE:
        listed = [value for name, value in pairs if name == "streams"] if connection.combined else []
        for name in [*names, *(each for value in listed for each in value.split("/") if each)]:
            connection.subscribe(name)
        return
    for key in names:
        connection.follow(key)
    events: frozenset[str] = frozenset()
    # `events` belongs to the listenKey beside it, whichever of the two comes first
    pending: str | None = None
    for name, value in [*pairs, ("listenKey", "")]:
        if name == "listenKey":
            if pending:
                connection.follow(pending, events)
                events = frozenset()
            pending = value
        elif name == "events":
            events = frozenset(value.split("/"))
        elif name == "streams":
            for key in value.split("/"):
                connection.follow(key)


async def _ping_forever(socket: web.WebSocketResponse) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await asyncio.sleep(PING_EVERY_S)
            await socket.ping()
