"""One rule: what is to go wrong, on what, how often."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pms.venue.faults.kinds import FaultKind

LONGEST_MS = 3_600_000


class FaultError(ValueError):
    """A rule that makes no sense; the message names the field."""


@dataclass(slots=True)
class Hit:
    """One firing: what it hit and when, by the monotonic clock."""

    subject: str
    at_ns: int


@dataclass(slots=True)
class Fault:
    """One rule. `subject` is a regex on clientOrderId, event or stream; `count` -1 is for ever."""

    id: int
    kind: FaultKind
    count: int = 1
    method: str = ""
    path: str = ""
    subject: str = ""
    symbol: str = ""
    account: str = ""
    route: str = ""
    ms: int = 0
    percent: int = 100
    status: int = 503
    retry_after: int = 0
    code: int | None = None
    message: str = "Unknown error, please check your request or try again later."
    # What was kept of the venue when the rule came into force, for kinds that show the past
    kept: Any = field(default=None, repr=False)
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
        if self.ms < 0 and self.kind is not FaultKind.SKEW_CLOCK:
            raise FaultError(f"ms must not be negative, except for {FaultKind.SKEW_CLOCK}")
        if abs(self.ms) > LONGEST_MS:
            raise FaultError(f"ms must be {LONGEST_MS} at most")
        if not 1 <= self.percent <= 100:
            raise FaultError("percent must be 1 to 100")
        if not 400 <= self.status <= 599:
            raise FaultError("status must be 400 to 599")

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


WHOLE = ("count", "ms", "percent", "status", "retry_after", "code")
KNOWN = tuple(each.name for each in fields(Fault) if each.name not in ("id", "kept", "hits", "released"))[:-1]


def read(rule: Mapping[str, object], *, id: int) -> Fault:
    """A rule from what somebody wrote; raises FaultError naming a wrong field."""
    if unknown := set(rule) - set(KNOWN):
        raise FaultError(f"unknown field {sorted(unknown)[0]}; known are {', '.join(sorted(KNOWN))}")
    try:
        kind = FaultKind(str(rule.get("kind")))
    except ValueError:
        raise FaultError(f"kind must be one of {', '.join(FaultKind)}") from None
    for name, value in rule.items():
        wanted = int if name in WHOLE else str
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise FaultError(f"{name} must be a {'whole number' if wanted is int else 'string'}")
    return Fault(id=id, **{**rule, "kind": kind})  # type: ignore[arg-type]
