"""Bars of the mark price: looked at every second, kept as bars of trades are.

Index and mark are one price here, the middle of the book, so one series serves both.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from pms.venue.candles import Candles
from pms.venue.market import Market
from pms.venue.transaction import Print

UNIT = Decimal("0.00000001")
"""Marks lie between ticks; eight decimals are what the wire has."""


class Marks:
    """One series a symbol, in units of UNIT; it begins with the venue."""

    def __init__(self, markets: Mapping[str, Market]) -> None:
        self._markets = markets
        self._looked = -1
        self.bars = {name: Candles() for name in markets}

    def look(self, now: int) -> None:
        """Take the marks of this second, unless they are taken."""
        second = now // 1000
        if second == self._looked:
            return
        self._looked = second
        for name, market in self._markets.items():
            self.bars[name].take(Print(name, 0, int(market.mark / UNIT), 0, False, now))
