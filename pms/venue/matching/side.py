"""One side of a book: its levels by price, best first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from sortedcontainers import SortedList

from pms.venue.matching.queue import Level


class BookSide:
    """Levels of one side. `sign` is BUY or SELL; a level's rank is price x -sign, least is best."""

    __slots__ = ("best", "changed", "levels", "ranks", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[int, Level] = {}
        self.ranks: SortedList[int] = SortedList()
        self.best: Level | None = None
        self.changed: set[int] = set()

    def __iter__(self) -> Iterator[Level]:
        levels, sign = self.levels, self.sign
        return (levels[-rank * sign] for rank in self.ranks)

    def top(self, count: int) -> list[Level]:
        """The `count` best levels, best first."""
        return list(islice(self, count))

    def level(self, price: int) -> Level:
        """The level at this price, made if it is not there: the caller puts something into it."""
        level = self.levels.get(price)
        if level is None:
            level = self.levels[price] = Level(price)
            self.ranks.add(-price * self.sign)
            best = self.best
            if best is None or (price - best.price) * self.sign > 0:
                self.best = level
        return level

    def drop_if_empty(self, level: Level) -> None:
        """Forget a level nothing rests at."""
        if level.anonymous or level.head is not None:
            return
        del self.levels[level.price]
        self.ranks.remove(-level.price * self.sign)
        if level is self.best:
            self.best = self.levels[-self.ranks[0] * self.sign] if self.ranks else None

    def within(self, price: int) -> Iterator[Level]:
        """Levels as good as `price` or better, best first."""
        for level in self:
            if (level.price - price) * self.sign < 0:
                return
            yield level

    def total(self, price: int) -> int:
        """Visible lots at a price; 0 where there is no level."""
        level = self.levels.get(price)
        return 0 if level is None else level.total

    def drain_changes(self) -> list[tuple[int, int]]:
        """(price, visible lots) of every level touched since the last call, ascending by price."""
        changed = [(price, self.total(price)) for price in sorted(self.changed)]
        self.changed.clear()
        return changed
