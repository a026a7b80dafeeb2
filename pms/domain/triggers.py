"""Which accounts a tick may concern: found by price, not by looking at all of them.

Each account that holds a symbol waits there for two prices, one below and one above. A tick costs two
comparisons, however many accounts wait. What is due is only *perhaps* concerned: whoever asked weighs it
exactly, and lets it wait anew. So a bound may be too near, which costs a weighing, but never too far.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import NamedTuple

ZERO = Decimal(0)
ENDLESS = Decimal("Infinity")
SPARE = 64
"""Stale entries that a heap may hold besides as many as there are good ones."""


class Between(NamedTuple):
    """The prices between which nobody need be looked at, both excluded."""

    low: Decimal
    high: Decimal


@dataclass(slots=True)
class _Side:
    """A heap by price, nearest first. An entry whose number is not its account's newest is stale."""

    heap: list[tuple[Decimal, int, str]] = field(default_factory=list)

    def put(self, key: Decimal, number: int, account: str, newest: dict[str, int]) -> None:
        heappush(self.heap, (key, number, account))
        if len(self.heap) > 2 * len(newest) + SPARE:
            self.heap = [entry for entry in self.heap if newest.get(entry[2]) == entry[1]]
            heapify(self.heap)

    def due(self, key: Decimal, newest: dict[str, int]) -> Iterator[str]:
        while self.heap and self.heap[0][0] <= key:
            _, number, account = heappop(self.heap)
            if newest.get(account) == number:
                yield account


@dataclass(slots=True)
class SymbolTriggers:
    """The accounts that wait for a symbol's price."""

    #: by account, the number of its newest bounds
    newest: dict[str, int] = field(default_factory=dict)
    #: keys are negated, so that the highest bound comes first
    falling: _Side = field(default_factory=_Side)
    rising: _Side = field(default_factory=_Side)
    _number: int = 0

    def put(self, account: str, between: Between) -> None:
        """Let an account wait for these bounds, and no more for those before."""
        self._number += 1
        self.newest[account] = self._number
        if between.low > 0:
            self.falling.put(-between.low, self._number, account, self.newest)
        if between.high < ENDLESS:
            self.rising.put(between.high, self._number, account, self.newest)

    def drop(self, account: str) -> None:
        """Let an account wait no more."""
        self.newest.pop(account, None)

    @property
    def nearest(self) -> Between:
        """The prices between which nobody is due, both excluded; a stale entry may make them too near."""
        falling, rising = self.falling.heap, self.rising.heap
        return Between(-falling[0][0] if falling else ZERO, rising[0][0] if rising else ENDLESS)

    def due(self, price: Decimal) -> list[str]:
        """The accounts whose bounds this price reaches; they wait no more until they are put again."""
        found = []
        for account in (*self.falling.due(-price, self.newest), *self.rising.due(price, self.newest)):
            if self.newest.pop(account, None) is not None:
                found.append(account)
        return found
