"""User events on their way to listen keys: lost, doubled, late or strange where a rule says so."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from pms.venue.faults import Fault, FaultKind, Faults
from pms.venue.faults.strange import strange
from pms.venue.feeds.hub import Hub
from pms.venue.listen_keys import ListenKeys
from pms.venue.transaction import UserEvent

encode = msgspec.json.Encoder().encode
KEPT_EMISSIONS = 50_000


class UserFeed:
    """Sends each account's events to its key, in order: what is behind a late event is late too."""

    def __init__(
        self, *, hub: Hub, faults: Faults, keys: ListenKeys, monotonic_ns: Callable[[], int]
    ) -> None:
        # Bounded: what a benchmark or an operator asks for is the latest
        self.emissions: deque[tuple[str, int]] = deque(maxlen=KEPT_EMISSIONS)
        self._hub = hub
        self._faults = faults
        self._keys = keys
        self._now_ns = monotonic_ns
        self._held: dict[str, list[tuple[str, bytes]]] = {}

    def send(self, event: UserEvent) -> None:
        """Send one event; an account without a key misses it for ever."""
        key = self._keys.of(event.account)
        if key is None:
            return
        order = event.payload.get("o")
        if isinstance(order, dict) and order.get("X") == "FILLED":
            self.emissions.append((str(order["c"]), self._now_ns()))
        payload = encode(event.payload)
        if self._faults.rules:
            self._disturbed(key, event, payload)
        else:
            self._pass_on(key, event.type, payload)

    def _disturbed(self, key: str, event: UserEvent, payload: bytes) -> None:
        order = event.payload.get("o")
        told = order if isinstance(order, dict) else event.payload
        subject = f"{event.type} {told.get('c') or told.get('caid', '')}".rstrip()
        fault = self._faults.on_event(event.account, subject)
        if fault is not None and not self._survives(fault, key, event, payload):
            return
        odd = self._faults.on_message(event.account, subject)
        for each in [payload] if odd is None else strange(odd.kind, payload):
            self._pass_on(key, event.type, each)

    def _survives(self, fault: Fault, key: str, event: UserEvent, payload: bytes) -> bool:
        """Let a rule act; whether the event is still to be sent."""
        match fault.kind:
            case FaultKind.DUPLICATE_EVENT:
                self._pass_on(key, event.type, payload)
            case FaultKind.DELAY_EVENT:
                self._hold(key, fault.ms)
            case FaultKind.EXPIRE_KEY:
                self._keys.expire_now(event.account)
            case FaultKind.DELETE_KEY:
                self._keys.delete(event.account)
        return fault.kind in (FaultKind.DUPLICATE_EVENT, FaultKind.DELAY_EVENT)

    def _hold(self, key: str, ms: int) -> None:
        if key not in self._held:
            self._held[key] = []
            asyncio.get_running_loop().call_later(ms / 1000, self._release, key)

    def _release(self, key: str) -> None:
        for type_, payload in self._held.pop(key):
            self._hub.publish_user(key, type_, payload)

    def _pass_on(self, key: str, type_: str, payload: bytes) -> None:
        if (held := self._held.get(key)) is not None:
            held.append((type_, payload))
        else:
            self._hub.publish_user(key, type_, payload)
