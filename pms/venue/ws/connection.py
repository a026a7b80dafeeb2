"""One WebSocket connection: its subscriptions, and frames straight onto its pipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pms.venue.faults import FaultKind
from pms.venue.feeds.hub import Hub, Message, text_frame
from pms.venue.ws.routes import Route

MAX_STREAMS = 1024


class Pipe(Protocol):
    """What carries frames to one client; nothing here ever waits for it."""

    def write(self, frame: bytes) -> None:
        """Send a frame, or drop it if the client has gone."""

    def abort(self) -> None:
        """Cut the connection without a close frame."""

    async def drained(self) -> None:
        """Return when the client has read nearly all it was sent, or has gone."""


class Nowhere:
    """The pipe of a connection that looks open and carries nothing any more."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def write(self, frame: bytes) -> None:
        """Lose a frame."""

    def abort(self) -> None:
        """Cut the connection without a close frame."""
        self._pipe.abort()

    async def drained(self) -> None:
        """Nothing is on its way."""


class Connection:
    """A subscriber of the hub. `shut` is called when it is to end with a goodbye."""

    def __init__(self, pipe: Pipe, hub: Hub, route: Route, *, combined: bool) -> None:
        self.pipe = pipe
        self._hub = hub
        self.route = route
        self.combined = combined
        self.muted = False
        self.shut: Callable[[], None] = pipe.abort
        self.streams: dict[str, None] = {}
        self.keys: dict[str, frozenset[str]] = {}

    @property
    def route_name(self) -> str:
        """The route it came by, as rules name it."""
        return self.route.value or "unrouted"

    def suffer(self, kind: FaultKind) -> None:
        """Be cut without a goodbye, fall silent with the line open, or end early as if its day were over."""
        if kind is FaultKind.CUT_SOCKET:
            self.pipe.abort()
        elif kind is FaultKind.MUTE_SOCKET:
            self.mute()
        else:
            self.shut()

    def mute(self) -> None:
        """Send nothing any more, neither data nor answers nor pings, and never say so."""
        self.muted = True
        self.pipe = Nowhere(self.pipe)

    def deliver(self, message: Message) -> None:
        """Write a market message."""
        self.pipe.write(message.combined() if self.combined else message.plain())

    def deliver_user(self, key: str, type_: str, payload: bytes) -> None:
        """Write a user event, if this connection asked for its type."""
        wanted = self.keys.get(key)
        if wanted is None or (wanted and type_ not in wanted):
            return
        message = Message(key, payload)
        self.pipe.write(message.combined() if self.combined else message.plain())

    def answer(self, payload: bytes) -> None:
        """Write the answer to a control message."""
        self.pipe.write(text_frame(payload))

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
