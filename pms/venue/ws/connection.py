"""One WebSocket connection: its subscriptions, and frames straight onto the transport.

A frame is written without waiting. What a client does not read gathers in the transport's buffer; beyond
a limit the connection is cut, so that one slow reader costs memory of its own and nobody's time.
"""

from __future__ import annotations

import structlog
from aiohttp import web

from pms.venue.feeds.hub import Hub, Message, text_frame
from pms.venue.ws.routes import Route

log = structlog.get_logger(__name__)

MAX_BUFFERED = 64 * 1024 * 1024
MAX_STREAMS = 1024


class Connection:
    """A subscriber of the hub."""

    def __init__(self, request: web.Request, hub: Hub, route: Route, *, combined: bool) -> None:
        transport = request.transport
        assert transport is not None
        self._transport = transport
        self._writer = request.writer
        self._hub = hub
        self.route = route
        self.combined = combined
        self.streams: dict[str, None] = {}
        self.keys: dict[str, frozenset[str]] = {}
        self._remote = request.remote

    def deliver(self, message: Message) -> None:
        """Write a market message."""
        self._write(message.combined() if self.combined else message.plain())

    def deliver_user(self, key: str, type_: str, payload: bytes) -> None:
        """Write a user event, if this connection asked for its type."""
        wanted = self.keys.get(key)
        if wanted is None or (wanted and type_ not in wanted):
            return
        message = Message(key, payload)
        self._write(message.combined() if self.combined else message.plain())

    def answer(self, payload: bytes) -> None:
        """Write the answer to a control message."""
        self._write(text_frame(payload))

    def subscribe(self, stream: str) -> None:
        """Begin a stream; one the route does not carry is remembered and silent."""
        if stream in self.streams or len(self.streams) >= MAX_STREAMS:
            return
        self.streams[stream] = None
        if self.route.carries(stream):
            self._hub.subscribe(stream, self)

    def unsubscribe(self, stream: str) -> None:
        """End a stream; fine if it was not subscribed."""
        if stream in self.streams:
            del self.streams[stream]
            self._hub.unsubscribe(stream, self)

    def follow(self, key: str, events: frozenset[str] = frozenset()) -> None:
        """Begin the user events of a listen key, all or only some types."""
        self.keys[key] = events
        self._hub.follow(key, self)

    def unfollow(self, key: str) -> None:
        """End the user events of a listen key."""
        if self.keys.pop(key, None) is not None:
            self._hub.unfollow(key, self)

    def listed(self) -> list[str]:
        """LIST_SUBSCRIPTIONS."""
        keys = [
            name
            for key, events in self.keys.items()
            for name in ([f"{key}@{event}" for event in sorted(events)] if events else [key])
        ]
        return [*self.streams, *keys]

    def drop(self) -> None:
        """Forget all subscriptions: the connection is over."""
        for stream in list(self.streams):
            self.unsubscribe(stream)
        for key in list(self.keys):
            self.unfollow(key)

    async def drained(self) -> None:
        """Return when the client has read nearly all it was sent, or has gone."""
        try:
            await self._writer.drain()
        except ConnectionError:
            return

    def abort(self) -> None:
        """Cut the connection without a close frame."""
        self._transport.abort()

    def _write(self, frame: bytes) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(frame)
        if self._transport.get_write_buffer_size() > MAX_BUFFERED:
            log.warning("ws.slow_consumer_cut", remote=self._remote, streams=len(self.streams))
            self._transport.abort()
