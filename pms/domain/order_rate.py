"""How many orders a sub-account sent lately: the times of the newest, as many as its limit counts.

A sliding window, exact: the n-th newest order must be older than the window. Kept only where a limit is
set, and bounded by it.

Trap: an order whose decision came too late to stand is counted too; the window forgets it soon.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class OrderRates:
    """The times of each limited account's newest orders."""

    _times: dict[str, deque[int]] = field(default_factory=dict)

    def only(self, account: str) -> OrderRates:
        """One account's alone, to be noted in without any effect here."""
        times = self._times.get(account)
        return OrderRates({} if times is None else {account: times.copy()})

    def note(self, account: str, at: int, *, most: int) -> None:
        """Count one order; after a restart they come in no order."""
        times = self._times.get(account)
        if times is None or times.maxlen != most:
            times = self._times[account] = deque(times or (), maxlen=most)
        if not times or at >= times[-1]:
            times.append(at)
        elif len(times) < most or at > times[0]:
            self._times[account] = deque(sorted((*times, at)), maxlen=most)

    def free_at(self, account: str, *, most: int, window_ms: int) -> int:
        """From when on one more is within the limit, ms."""
        times = self._times.get(account)
        return times[-most] + window_ms if times is not None and len(times) >= most else 0
