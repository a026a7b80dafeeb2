"""What an account has in one symbol: its net position, or in hedge mode its long and its short one."""

from __future__ import annotations

from decimal import Decimal

from pms.venue.matching import BookOrder, Seat
from pms.venue.state import ZERO, Position


class Exposure:
    """Margin-bearing open orders of one position: notionals at their assumed prices, both sides."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = ZERO
        self.asks = ZERO

    def add(self, side: int, notional: Decimal) -> None:
        """Count an order's open notional in (or, negative, out)."""
        if side > 0:
            self.bids += notional
        else:
            self.asks += notional


class Leg:
    """One position, the orders that would move it, and what the symbol's book knows of it.

    Trap: `seat.position` moves while the book matches, `position.lots` when the fills are booked.
    """

    __slots__ = ("exposure", "position", "seat")

    def __init__(self, position: Position, names: dict[str, BookOrder]) -> None:
        self.position = position
        self.exposure = Exposure()
        self.seat = Seat(names, position=position.lots)

    @property
    def live(self) -> bool:
        """Whether it holds something, or has orders that may come to hold something."""
        return bool(self.position.lots or self.exposure.bids or self.exposure.asks)
