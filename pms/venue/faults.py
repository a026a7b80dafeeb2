"""Faults on purpose: what the real exchange does on bad days, done here exactly where a test asks for it.

Each fault is a rule that fires a number of times on matching requests, events or diffs. Rules come and go
over the admin face; a venue without rules behaves.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from enum import StrEnum


class FaultKind(StrEnum):
    """Where a rule acts. BEFORE: nothing has executed. AFTER: executed and journaled, not yet answered."""

    DELAY_BEFORE = "delay_before"
    DELAY_AFTER = "delay_after"
    HANG_BEFORE = "hang_before"
    HANG_AFTER = "hang_after"
    CUT_BEFORE = "cut_before"
    CUT_AFTER = "cut_after"
    STATUS_BEFORE = "status_before"
    STATUS_AFTER = "status_after"
    DROP_DIFF = "drop_diff"
    WITHHOLD_EVENT = "withhold_event"
    DUPLICATE_EVENT = "duplicate_event"
    HIDE_OPEN_ORDER = "hide_open_order"


BEFORE = (FaultKind.DELAY_BEFORE, FaultKind.HANG_BEFORE, FaultKind.CUT_BEFORE, FaultKind.STATUS_BEFORE)
AFTER = (FaultKind.DELAY_AFTER, FaultKind.HANG_AFTER, FaultKind.CUT_AFTER, FaultKind.STATUS_AFTER)


class FaultError(ValueError):
    """A rule that makes no sense; the message names the field."""


@dataclass(slots=True)
class Hit:
    """One firing: what it hit and when, by the monotonic clock."""

    subject: str
    at_ns: int


@dataclass(slots=True)
class Fault:
    """One rule. `subject` is a regex on the clientOrderId or the event; `count` -1 is for ever."""

    id: int
    kind: FaultKind
    count: int = 1
    method: str = ""
    path: str = ""
    subject: str = ""
    symbol: str = ""
    account: str = ""
    ms: int = 0
    status: int = 503
    retry_after: int = 0
    code: int | None = None
    message: str = "Unknown error, please check your request or try again later."
    hits: list[Hit] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    _pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        try:
            self._pattern = re.compile(self.subject)
        except re.error as error:
            raise FaultError(f"subject is not a regular expression: {error}") from None
        if self.count == 0 or self.count < -1:
            raise FaultError("count must be -1 (for ever) or at least 1")
        if self.ms < 0:
            raise FaultError("ms must not be negative")

    @property
    def spent(self) -> bool:
        """It has fired as often as it was asked to."""
        return self.count >= 0 and len(self.hits) >= self.count

    def matches(self, subject: str) -> bool:
        """Whether it fires on this subject now."""
        return not self.spent and self._pattern.search(subject) is not None

    def as_json(self) -> dict[str, object]:
        """What the admin face shows."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "count": self.count,
            "spent": self.spent,
            "hits": [{"subject": hit.subject, "at": hit.at_ns} for hit in self.hits],
        }


class Faults:
    """The rules in force. Look-ups are cheap when there are none."""

    def __init__(self) -> None:
        self.rules: dict[int, Fault] = {}
        self._next_id = 1
        self._changed = asyncio.Event()

    def add(self, rule: dict[str, object]) -> Fault:
        """Put a rule in force; raises FaultError naming a wrong field."""
        known = {
            "kind",
            "count",
            "method",
            "path",
            "subject",
            "symbol",
            "account",
            "ms",
            "status",
            "retry_after",
            "code",
            "message",
        }
        if unknown := set(rule) - known:
            raise FaultError(f"unknown field {sorted(unknown)[0]}; known are {', '.join(sorted(known))}")
        try:
            kind = FaultKind(str(rule.get("kind")))
        except ValueError:
            kinds = ", ".join(each.value for each in FaultKind)
            raise FaultError(f"kind must be one of {kinds}") from None
        for name, value in rule.items():
            wanted = int if name in ("count", "ms", "status", "retry_after", "code") else str
            if not isinstance(value, wanted):
                raise FaultError(f"{name} must be a {'whole number' if wanted is int else 'string'}")
        fault = Fault(id=self._next_id, **{**rule, "kind": kind})  # type: ignore[arg-type]
        self._next_id += 1
        self.rules[fault.id] = fault
        return fault

    def clear(self) -> None:
        """Drop all rules; requests that hang are answered."""
        for fault in self.rules.values():
            fault.released.set()
        self.rules.clear()
        self._notify()

    def on_request(
        self, kinds: tuple[FaultKind, ...], *, method: str, path: str, subject: str, at_ns: int
    ) -> Fault | None:
        """The rule of one of these kinds that fires on a request, if any."""
        for fault in self.rules.values():
            if (
                fault.kind in kinds
                and fault.method in ("", method)
                and fault.path in ("", path)
                and fault.matches(subject)
            ):
                return self._fired(fault, subject, at_ns)
        return None

    def on_diff(self, symbol: str, at_ns: int) -> bool:
        """Whether the diff about to be sent is to be lost."""
        for fault in self.rules.values():
            if fault.kind is FaultKind.DROP_DIFF and fault.symbol in ("", symbol) and fault.matches(symbol):
                self._fired(fault, symbol, at_ns)
                return True
        return False

    def on_event(self, account: str, type_: str, client_order_id: str, at_ns: int) -> FaultKind | None:
        """What is to go wrong with a user event; the subject is `TYPE clientOrderId`."""
        subject = f"{type_} {client_order_id}".rstrip()
        for fault in self.rules.values():
            if (
                fault.kind in (FaultKind.WITHHOLD_EVENT, FaultKind.DUPLICATE_EVENT)
                and fault.account in ("", account)
                and fault.matches(subject)
            ):
                return self._fired(fault, subject, at_ns).kind
        return None

    def on_listing(self, account: str, client_order_id: str, at_ns: int) -> bool:
        """Whether openOrders is to leave an order out, as the real one does for up to half a minute."""
        for fault in self.rules.values():
            if (
                fault.kind is FaultKind.HIDE_OPEN_ORDER
                and fault.account in ("", account)
                and fault.matches(client_order_id)
            ):
                self._fired(fault, client_order_id, at_ns)
                return True
        return False

    async def wait_hits(self, fault: Fault, hits: int, timeout: float) -> None:
        """Return when a rule has fired so often, has gone, or time is up."""
        try:
            async with asyncio.timeout(timeout):
                while len(fault.hits) < hits and fault.id in self.rules:
                    await self._changed.wait()
        except TimeoutError:
            return

    def _fired(self, fault: Fault, subject: str, at_ns: int) -> Fault:
        fault.hits.append(Hit(subject, at_ns))
        self._notify()
        return fault

    def _notify(self) -> None:
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()
