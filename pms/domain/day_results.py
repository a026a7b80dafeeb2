"""What each sub-account won or lost since 00:00 UTC: realised, liquidated, fees, funding, by the ledger.

Kept as entries are drafted and loaded, so that a check costs one look-up; after a restart it is the sum
of the ledger's lines. Unrealised profit is no part of it, nor are transfers and adjustments.

Trap: an entry's time is the exchange's, a check's is Redis'. Around midnight one may be a day ahead of the
other, so two days are kept; an entry of a day before them counts for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

ZERO = Decimal(0)
DAY_MS: Final = 86_400_000
DAYS_KEPT: Final = 2
RESULTS: Final = ("REALIZED_PNL", "COMMISSION", "FEE", "FUNDING", "LIQUIDATION")
"""Reasons of ledger entries that are part of a day's result."""


class DayResult(NamedTuple):
    """The result of one sub-account on one day, counted from 1970."""

    sub_account_id: str
    day: int
    amount: Decimal


@dataclass(slots=True)
class DayResults:
    """The newest days of each account that had any result."""

    _kept: dict[str, dict[int, Decimal]] = field(default_factory=dict)

    def note(self, account: str, *, amount: Decimal, reason: str, at: int) -> None:
        """Take in one ledger entry in USDT."""
        if reason in RESULTS:
            self.add(DayResult(account, day_of(at), amount))

    def add(self, result: DayResult) -> None:
        """Add to a day; an older one than is kept is forgotten."""
        days = self._kept.setdefault(result.sub_account_id, {})
        days[result.day] = days.get(result.day, ZERO) + result.amount
        if len(days) > DAYS_KEPT:
            del days[min(days)]

    def on(self, account: str, day: int) -> Decimal:
        """The result of a day that is kept."""
        return self._kept.get(account, {}).get(day, ZERO)

    def of(self, account: str, now: int) -> Decimal:
        """The result of the day that it is now."""
        return self.on(account, day_of(now))


def day_of(at: int) -> int:
    """The UTC day of a time in ms, counted from 1970."""
    return at // DAY_MS
