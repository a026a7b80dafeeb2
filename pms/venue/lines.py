"""How far prices may go before somebody must be looked at: bands around a price, in order. Pure.

A price inside all bands costs two comparisons, however many there are.
"""

from __future__ import annotations

from decimal import Decimal

from sortedcontainers import SortedList


class Lines:
    """Names by the band of prices that they stand; one of these serves one symbol."""

    def __init__(self) -> None:
        self._lows: SortedList = SortedList()
        self._highs: SortedList = SortedList()
        self._bands: dict[str, tuple[Decimal, Decimal]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._bands

    def set(self, name: str, low: Decimal, high: Decimal) -> None:
        """Give a name a band, in place of the one that it had."""
        self.forget(name)
        self._bands[name] = low, high
        self._lows.add((low, name))
        self._highs.add((high, name))

    def forget(self, name: str) -> None:
        """Take a name out; fine if it is not here."""
        band = self._bands.pop(name, None)
        if band is not None:
            self._lows.remove((band[0], name))
            self._highs.remove((band[1], name))

    def at(self, price: Decimal) -> list[str]:
        """Names whose band a price has reached or left; they have none from then on."""
        found: list[str] = []
        while self._lows and self._lows[-1][0] >= price:
            found.append(self._lows[-1][1])
            self.forget(found[-1])
        while self._highs and self._highs[0][0] <= price:
            found.append(self._highs[0][1])
            self.forget(found[-1])
        return found
