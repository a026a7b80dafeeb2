"""When a symbol trades: its mean volume by minute of the day, and what traded just now.

Days are UTC's, as the exchange's bars are. A minute of which nothing is known counts as the mean of those
that are: a symbol listed this morning has an afternoon, too. One that did not trade counts as zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise

ZERO = Decimal(0)
MINUTE_MS = 60_000
MINUTES = 1_440
KEPT_MS = 8 * MINUTES * MINUTE_MS
"""Longer than any algo of slices lasts."""


@dataclass(slots=True)
class TradedVolumes:
    """What traded lately, by the minute in which it did; the newest word of a minute wins."""

    bars: dict[int, Decimal] = field(default_factory=dict)
    #: by when they opened, ascending
    read_at: int = 0
    #: when that was asked for, ms

    def take(self, bars: Iterable[tuple[int, Decimal]], *, at: int) -> None:
        """Take bars as of a time, ascending; the last may be unfinished."""
        before, older = self.newest, False
        for opened, volume in bars:
            older |= before is not None and opened < before and opened not in self.bars
            self.bars[opened] = volume
        if older:
            self.bars = dict(sorted(self.bars.items()))
        self.read_at = at
        while self.bars and next(iter(self.bars)) < next(reversed(self.bars)) - KEPT_MS:
            del self.bars[next(iter(self.bars))]

    @property
    def newest(self) -> int | None:
        """When the last bar opened."""
        return next(reversed(self.bars), None)

    def since(self, at: int) -> Decimal:
        """What traded since the beginning of a time's minute."""
        begins, found = at - at % MINUTE_MS, ZERO
        for opened in reversed(self.bars):
            if opened < begins:
                break
            found += self.bars[opened]
        return found


@dataclass(frozen=True, slots=True)
class DayVolumes:
    """Mean volume by minute of the day."""

    means: tuple[Decimal, ...]

    def between(self, start: int, end: int) -> Decimal:
        """What is expected to trade between two times, ms; a minute's volume is even within it."""
        found, at = ZERO, start
        while at < end:
            until = min(at - at % MINUTE_MS + MINUTE_MS, end)
            found += self.means[at // MINUTE_MS % MINUTES] * (until - at)
            at = until
        return found / MINUTE_MS

    def weights(self, *, start: int, duration_ms: int, count: int) -> list[Decimal]:
        """What is expected in each of so many even parts of a time."""
        turns = [start + duration_ms * number // count for number in range(count + 1)]
        return [self.between(turn, after) for turn, after in pairwise(turns)]


def day_volumes(bars: Iterable[tuple[int, Decimal]]) -> DayVolumes | None:
    """From finished 1-minute bars, each by when it opened; None where nothing was traded at all."""
    sums, days = [ZERO] * MINUTES, [0] * MINUTES
    for opened, volume in bars:
        minute = opened // MINUTE_MS % MINUTES
        sums[minute] += volume
        days[minute] += 1
    known = [total / seen for total, seen in zip(sums, days, strict=True) if seen]
    whole = sum(known, ZERO)
    if not whole:
        return None
    mean = whole / len(known)
    return DayVolumes(tuple(total / seen if seen else mean for total, seen in zip(sums, days, strict=True)))
