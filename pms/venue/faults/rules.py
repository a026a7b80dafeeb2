"""The rules in force. Each fires a number of times on matching requests, events, frames or connections.

Rules come and go over the admin face, or are drawn from a seed; a venue without rules behaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from pms.venue.faults.kinds import ON_EVENT, ON_MESSAGE, ON_SOCKET, FaultKind
from pms.venue.faults.rule import Fault, Hit, read


class Faults:
    """All rules. Trap: callers look at `rules` first, so that a venue without any loses no time here."""

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self.rules: dict[int, Fault] = {}
        # What a kind keeps of the venue as its rule comes into force
        self.keepers: dict[FaultKind, Callable[[Fault], object]] = {}
        self._now_ns = monotonic_ns
        self._next_id = 1
        self._changed = asyncio.Event()

    def add(self, rule: Mapping[str, object]) -> Fault:
        """Put a rule in force; raises FaultError naming a wrong field."""
        fault = read(rule, id=self._next_id)
        if (keep := self.keepers.get(fault.kind)) is not None:
            fault.kept = keep(fault)
        self._next_id += 1
        self.rules[fault.id] = fault
        return fault

    def drop(self, id: int) -> None:
        """Take one rule out of force; requests that it holds are answered."""
        fault = self.rules.pop(id, None)
        if fault is not None:
            fault.released.set()
            self._notify()

    def clear(self) -> None:
        """Drop all rules; requests that hang are answered."""
        for fault in self.rules.values():
            fault.released.set()
        self.rules.clear()
        self._notify()

    def on_request(
        self, kinds: tuple[FaultKind, ...], *, method: str, path: str, subject: str
    ) -> Fault | None:
        """The rule of one of these kinds that fires on a request, if any."""
        for fault in self.rules.values():
            if (
                fault.kind in kinds
                and fault.method in ("", method)
                and fault.path in ("", path)
                and fault.matches(subject)
            ):
                return self._fired(fault, subject)
        return None

    def on_diff(self, symbol: str) -> bool:
        """Whether the diff about to be sent is to be lost."""
        return self.on_symbol(FaultKind.DROP_DIFF, symbol) is not None

    def on_symbol(self, kind: FaultKind, symbol: str) -> Fault | None:
        """The rule of this kind that fires on something of a symbol."""
        for fault in self.rules.values():
            if fault.kind is kind and fault.symbol in ("", symbol) and fault.matches(symbol):
                return self._fired(fault, symbol)
        return None

    def on_event(self, account: str, subject: str) -> Fault | None:
        """What is to go wrong with a user event; the subject is `TYPE clientOrderId`."""
        return self._of_account(ON_EVENT, account, subject)

    def on_listing(self, account: str, client_order_id: str) -> bool:
        """Whether openOrders is to leave an order out, as the real one does for up to half a minute."""
        return self._of_account((FaultKind.HIDE_OPEN_ORDER,), account, client_order_id) is not None

    def on_read(self, account: str, subject: str) -> Fault | None:
        """Whether an account is to read what was true some time ago."""
        return self._of_account((FaultKind.STALE_READS,), account, subject)

    def on_message(self, account: str, subject: str) -> Fault | None:
        """What a parser is to meet that it does not know; `account` is empty for market streams."""
        for fault in self.rules.values():
            # One that names requests is not for messages
            if (
                fault.kind in ON_MESSAGE
                and not fault.path
                and not fault.method
                and fault.account in ("", account)
                and fault.matches(subject)
            ):
                return self._fired(fault, subject)
        return None

    def on_socket(self, route: str, subject: str) -> Fault | None:
        """What is to become of a connection that is about to be sent something."""
        for fault in self.rules.values():
            if fault.kind in ON_SOCKET and fault.route in ("", route) and fault.matches(subject):
                return self._fired(fault, subject)
        return None

    async def wait_hits(self, fault: Fault, hits: int, timeout: float) -> None:
        """Return when a rule has fired so often, has gone, or time is up."""
        try:
            async with asyncio.timeout(timeout):
                while len(fault.hits) < hits and fault.id in self.rules:
                    await self._changed.wait()
        except TimeoutError:
            return

    def _of_account(self, kinds: tuple[FaultKind, ...], account: str, subject: str) -> Fault | None:
        for fault in self.rules.values():
            if fault.kind in kinds and fault.account in ("", account) and fault.matches(subject):
                return self._fired(fault, subject)
        return None

    def _fired(self, fault: Fault, subject: str) -> Fault:
        fault.hits.append(Hit(subject, self._now_ns()))
        self._notify()
        return fault

    def _notify(self) -> None:
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()
