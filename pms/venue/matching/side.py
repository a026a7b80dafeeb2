"""One side of a book: its levels by price, best first."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from pms.venue.matching.level import Level

NOTHING: Final = -(1 << 62)
FEW_EMPTY = 64


class BookSide:
    """Levels of one side. `sign` is BUY or SELL; a level's rank is price x sign, greatest is best.

    The ranks are a plain sorted list with the best at its end, where levels come and go: that moves few
    entries, and the list is dense in memory. A level that is emptied further back stays for the next order;
    when half of them are empty they are dropped together.
    """

    __slots__ = ("_emptied", "_make", "_ranks", "best", "changed", "levels", "sign", "touch")

    def __init__(self, sign: int, make: Callable[[int], Level]) -> None:
        self.sign = sign
        self.levels: dict[int, Level] = {}
        self.best: Level | None = None
        #: Rank of the best level
        self.touch = NOTHING
        #: Prices whose shown lots may have changed since they were last asked for
        self.changed: set[int] = set()
        self._make = make
        self._ranks: list[int] = []
        self._emptied = 0

    def __iter__(self) -> Iterator[Level]:
        levels, sign = self.levels, self.sign
        return (level for rank in reversed(self._ranks) if (level := levels[rank * sign]).total)

    def top(self, count: int) -> list[Level]:
        """The `count` best levels, best first."""
        return list(islice(self, count))

    def open(self, price: int) -> Level:
        """The level at this price, made if it is not there: the caller puts something into it."""
        level = self.levels.get(price)
        rank = price * self.sign
        if level is None:
            level = self.levels[price] = self._make(price)
            insort(self._ranks, rank)
        if rank > self.touch:
            self.touch = rank
            self.best = level
        return level

    def emptied(self, level: Level) -> None:
        """Nothing is left at a level."""
        ranks, levels, sign = self._ranks, self.levels, self.sign
        if level is not self.best:
            self._emptied += 1
            if self._emptied > FEW_EMPTY and self._emptied * 2 > len(ranks):
                self._drop_empty()
            return
        while ranks:
            best = levels[ranks[-1] * sign]
            if best.total:
                self.best, self.touch = best, ranks[-1]
                return
            del levels[best.price]
            ranks.pop()
        self.best, self.touch = None, NOTHING

    def _drop_empty(self) -> None:
        self.levels = {price: level for price, level in self.levels.items() if level.total}
        self._ranks = sorted(price * self.sign for price in self.levels)
        self._emptied = 0

    def within(self, price: int) -> Iterator[Level]:
        """Levels as good as `price` or better, best first."""
        for level in self:
            if (level.price - price) * self.sign < 0:
                return
            yield level

    def total(self, price: int) -> int:
        """Shown lots at a price; 0 where there is no level."""
        level = self.levels.get(price)
        return 0 if level is None else level.total

    def drain_changes(self) -> list[tuple[int, int]]:
        """(price, shown lots) of every level touched since the last call, ascending by price."""
        changed = [(price, self.total(price)) for price in sorted(self.changed)]
        self.changed.clear()
        return changed
