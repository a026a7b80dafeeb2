"""Who listens to what. Sending never waits: a subscriber that cannot keep up is its own problem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pms.venue.faults import FaultKind, Faults
from pms.venue.faults.strange import strange


class Message:
    """One payload, framed at most once for plain and once for combined connections."""

    __slots__ = ("_combined", "_plain", "payload", "stream")

    def __init__(self, stream: str, payload: bytes) -> None:
        self.stream = stream
        self.payload = payload
        self._plain: bytes | None = None
        self._combined: bytes | None = None

    def plain(self) -> bytes:
        """The WebSocket frame of the bare payload."""
        if self._plain is None:
            self._plain = text_frame(self.payload)
        return self._plain

    def combined(self) -> bytes:
        """The WebSocket frame of {"stream": …, "data": …}."""
        if self._combined is None:
            name = self.stream.encode()
            self._combined = text_frame(b'{"stream":"%b","data":%b}' % (name, self.payload))
        return self._combined


def text_frame(payload: bytes) -> bytes:
    """An unmasked, final text frame (RFC 6455 §5.2), as a server sends it."""
    size = len(payload)
    if size < 126:
        return b"\x81" + size.to_bytes(1, "big") + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class Subscriber(Protocol):
    """One connection."""

    def deliver(self, message: Message) -> None:
        """Take a message of a stream it subscribed to; must not block or raise."""

    def deliver_user(self, key: str, type_: str, payload: bytes) -> None:
        """Take a user event of a listen key it follows; must not block or raise."""

    @property
    def route_name(self) -> str:
        """The route it came by, as rules name it."""

    def suffer(self, kind: FaultKind) -> None:
        """Be cut, muted or shut."""


class Hub:
    """Subscriptions by stream and by listen key. Dicts serve as ordered sets: delivery order is stable."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._streams: dict[str, dict[Subscriber, None]] = {}
        self._keys: dict[str, dict[Subscriber, None]] = {}
        self._opened: list[Callable[[str], None]] = []
        self._closed: list[Callable[[str], None]] = []

    def on_change(self, *, opened: Callable[[str], None], closed: Callable[[str], None]) -> None:
        """Be told when a stream gets its first subscriber and when it has lost its last."""
        self._opened.append(opened)
        self._closed.append(closed)

    def wanted(self, stream: str) -> bool:
        """Whether anybody listens: what nobody wants need not be encoded."""
        return stream in self._streams

    def subscribe(self, stream: str, subscriber: Subscriber) -> None:
        """Start delivering a stream."""
        listeners = self._streams.get(stream)
        if listeners is not None:
            listeners[subscriber] = None
            return
        self._streams[stream] = {subscriber: None}
        for tell in self._opened:
            tell(stream)

    def unsubscribe(self, stream: str, subscriber: Subscriber) -> None:
        """Stop delivering a stream; fine if it was not subscribed."""
        listeners = self._streams.get(stream)
        if listeners is None or subscriber not in listeners:
            return
        del listeners[subscriber]
        if not listeners:
            del self._streams[stream]
            for tell in self._closed:
                tell(stream)

    def follow(self, key: str, subscriber: Subscriber) -> None:
        """Start delivering the user events of a listen key; one that does not exist stays silent."""
        self._keys.setdefault(key, {})[subscriber] = None

    def unfollow(self, key: str, subscriber: Subscriber) -> None:
        """Stop delivering the user events of a listen key."""
        followers = self._keys.get(key)
        if followers is not None:
            followers.pop(subscriber, None)
            if not followers:
                del self._keys[key]

    def publish(self, stream: str, payload: bytes) -> None:
        """Send a payload to everybody who subscribed the stream."""
        listeners = self._streams.get(stream)
        if listeners is None:
            return
        if self._faults.rules:
            self._disturbed(stream, payload, list(listeners))
            return
        message = Message(stream, payload)
        for subscriber in list(listeners):
            subscriber.deliver(message)

    def publish_user(self, key: str, type_: str, payload: bytes) -> None:
        """Send a user event to everybody who follows the key."""
        followers = list(self._keys.get(key, ()))
        if self._faults.rules:
            followers = self._left(followers, type_)
        for subscriber in followers:
            subscriber.deliver_user(key, type_, payload)

    def _disturbed(self, stream: str, payload: bytes, listeners: list[Subscriber]) -> None:
        odd = self._faults.on_message("", stream)
        for each in [payload] if odd is None else strange(odd.kind, payload):
            message = Message(stream, each)
            for subscriber in self._left(listeners, stream):
                subscriber.deliver(message)

    def _left(self, subscribers: list[Subscriber], subject: str) -> list[Subscriber]:
        """Those whose connection no rule strikes just now."""
        left = []
        for subscriber in subscribers:
            fault = self._faults.on_socket(subscriber.route_name, subject)
            if fault is None:
                left.append(subscriber)
            else:
                subscriber.suffer(fault.kind)
        return left
