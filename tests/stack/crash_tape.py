"""What the market showed, tick by tick, as one who stood beside the streamer saw it.

A tick is one depth diff: the best bid and ask behind it, under the exchange's time of the diff. All
connections get the diffs of one stream in one order, so a place on this tape is a moment of the
streamer's, too, however late it came to it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

MARK_COUNTS_MS = 3_000
MOST_OFF = Decimal("0.05")
"""A price further than this from the mark is not acted on, unless the mark is older than that."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The best prices of a symbol after a diff; None where a side was empty."""

    symbol: str
    at: int
    bid: Decimal | None
    ask: Decimal | None

    @property
    def mid(self) -> Decimal | None:
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark price as the exchange told it."""

    symbol: str
    at: int
    price: Decimal


class Permit(Enum):
    """Whether a price could be acted on, as far as one can know from outside."""

    NO = 0
    MAYBE = 1
    YES = 2


@dataclass(slots=True)
class Tape:
    """Ticks in the order they came, and marks.

    Marks come over another connection, so within `slack_ms` it is not known which one the streamer had
    heard: what not all of them allow, or not all forbid, is a MAYBE.
    """

    ticks: list[Tick]
    marks: Iterable[Mark] = ()
    slack_ms: int = 1_000
    places: dict[str, list[int]] = field(init=False)
    _marks: dict[str, list[Mark]] = field(init=False)
    _by_time: dict[tuple[str, int], int] = field(init=False)

    def __post_init__(self) -> None:
        self.places, self._marks, self._by_time = {}, {}, {}
        for place, tick in enumerate(self.ticks):
            self.places.setdefault(tick.symbol, []).append(place)
            self._by_time[tick.symbol, tick.at] = place
        for mark in sorted(self.marks, key=lambda each: each.at):
            self._marks.setdefault(mark.symbol, []).append(mark)

    def place_of(self, symbol: str, at: int) -> int | None:
        """Where the tick of this exchange time is."""
        return self._by_time.get((symbol, at))

    def standing(self, symbol: str, place: int) -> Tick | None:
        """The symbol's last tick at or before a place."""
        known = self.places.get(symbol, [])
        found = bisect_right(known, place)
        return self.ticks[known[found - 1]] if found else None

    def shown_before(self, symbol: str, bid: Decimal, ask: Decimal, *, at: int, within_ms: int) -> int | None:
        """The last place where a symbol showed these prices, in the time before `at`.

        For a book that was just built from a snapshot: its first prices have no diff of their own.
        """
        for place in reversed(self.places.get(symbol, [])):
            tick = self.ticks[place]
            if tick.at < at - within_ms:
                return None
            if tick.at <= at + within_ms and (tick.bid, tick.ask) == (bid, ask):
                return place
        return None

    def permit(self, tick: Tick) -> Permit:
        """Whether a tick could be acted on: both sides quoted, and near the mark."""
        if tick.mid is None:
            return Permit.NO
        marks = self._marks.get(tick.symbol, [])
        first = bisect_left(marks, tick.at - self.slack_ms, key=lambda mark: mark.at)
        last = bisect_right(marks, tick.at + self.slack_ms, key=lambda mark: mark.at)
        heard: list[Mark | None] = [*marks[max(0, first - 1) : last]] if first else [None, *marks[:last]]
        answers = {self._allows(mark, tick) for mark in heard}
        if answers == {True}:
            return Permit.YES
        return Permit.NO if answers == {False} else Permit.MAYBE

    @staticmethod
    def _allows(mark: Mark | None, tick: Tick) -> bool:
        assert tick.mid is not None
        if mark is None or tick.at - mark.at > MARK_COUNTS_MS:
            return True
        return abs(tick.mid - mark.price) <= MOST_OFF * mark.price
