"""Price-time matching in whole ticks and lots: no clock, no I/O, no randomness."""

from __future__ import annotations

from pms.venue.matching.book import Book
from pms.venue.matching.engine import CannotFill, Execution, SelfTrade, TimeInForce, WouldTake, execute
from pms.venue.matching.queue import BUY, SELL, Fill, Level, RestingOrder

__all__ = [
    "BUY",
    "SELL",
    "Book",
    "CannotFill",
    "Execution",
    "Fill",
    "Level",
    "RestingOrder",
    "SelfTrade",
    "TimeInForce",
    "WouldTake",
    "execute",
]
