"""Which conditional orders a price lets out: an index by price; a tick that fires nothing costs nothing.

Pure: whole numbers and decimals of ticks in, order ids out. One of these serves one symbol and one kind of
price (the last trade's, or the mark).
"""

from __future__ import annotations

from sortedcontainers import SortedList

from pms.venue.conditional.trailing import Price, Trail
from pms.venue.matching import BUY, SELL


class Triggers:
    """Orders by the price that they wait for."""

    def __init__(self) -> None:
        self._above: SortedList = SortedList()
        self._below: SortedList = SortedList()
        self._waiting: dict[int, tuple[SortedList, int]] = {}
        self.trails = {SELL: Trail(SELL), BUY: Trail(BUY)}

    def __bool__(self) -> bool:
        return bool(self._waiting) or any(map(len, self.trails.values()))

    def wait(self, order: int, price: int, *, rising: bool) -> None:
        """Let an order out once the price is at or above this one, or else at or below."""
        index = self._above if rising else self._below
        index.add((price, order))
        self._waiting[order] = index, price

    def discard(self, order: int) -> None:
        """Forget an order, wherever it is; fine if it is nowhere."""
        found = self._waiting.pop(order, None)
        if found is not None:
            index, price = found
            index.remove((price, order))
        for trail in self.trails.values():
            trail.discard(order)

    def at(self, price: Price) -> tuple[list[int], list[int]]:
        """Orders that this price lets out, and the sides whose trailing orders saw a new best price.

        Those that the price had to pass first come first; of equals the elder.
        """
        due: list[int] = []
        above, below = self._above, self._below
        while above and above[0][0] <= price:
            due.append(above.pop(0)[1])
        if below and below[-1][0] >= price:
            reached = []
            while below and below[-1][0] >= price:
                reached.append(below.pop())
            due.extend(order for _, order in sorted(reached, key=lambda each: (-each[0], each[1])))
        for order in due:
            del self._waiting[order]
        bettered = []
        for side, trail in self.trails.items():
            fired, better = trail.at(price)
            due.extend(fired)
            if better:
                bettered.append(side)
        return due, bettered
