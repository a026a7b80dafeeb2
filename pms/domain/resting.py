"""Our own resting prices by symbol and side: would a new order meet a sibling's?

All sub-accounts share one exchange account, whose self-trade prevention expires the resting order
of a pair. So an order that would meet one of ours is refused at admission.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from sortedcontainers import SortedDict


class RestingOrders:
    """Best own bid and ask per symbol, kept in logarithmic time."""

    def __init__(self) -> None:
        self._sides: dict[tuple[str, str], SortedDict] = {}
        self._where: dict[str, tuple[str, str, Decimal]] = {}

    def put(self, order: str, *, symbol: str, side: str, price: Decimal) -> None:
        """Note that an order rests at a price; a repeat with another price moves it."""
        if self._where.get(order) == (symbol, side, price):
            return
        self.remove(order)
        self._where[order] = (symbol, side, price)
        prices = self._sides.get((symbol, side))
        if prices is None:
            prices = self._sides[symbol, side] = SortedDict()
        prices[price] = prices.get(price, 0) + 1

    def remove(self, order: str) -> None:
        """Forget an order; unknown ones are fine."""
        place = self._where.pop(order, None)
        if place is None:
            return
        symbol, side, price = place
        prices = self._sides[symbol, side]
        prices[price] -= 1
        if not prices[price]:
            del prices[price]

    def __iter__(self) -> Iterator[str]:
        """The orders that are noted."""
        return iter(self._where)

    def symbols(self) -> set[str]:
        """Where an order of ours rests, or may."""
        return {symbol for (symbol, _), prices in self._sides.items() if prices}

    def best(self, symbol: str, side: str) -> Decimal | None:
        """Our highest resting buy, or our lowest resting sell."""
        prices = self._sides.get((symbol, side))
        if not prices:
            return None
        price: Decimal = prices.peekitem(-1 if side == "BUY" else 0)[0]
        return price
