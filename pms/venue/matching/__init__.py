"""Price-time matching in whole ticks and lots: no clock, no I/O, no randomness.

orders.py says what arrives, events.py what comes of it, book.py carries commands out; level.py is what a book
asks of a price level, fifo.py the one answer that is here.
"""

from __future__ import annotations

from pms.venue.matching import anonymous
from pms.venue.matching.book import Book
from pms.venue.matching.events import Amended, Cancelled, Event, Expired, Fill, Rested, Why
from pms.venue.matching.level import Level
from pms.venue.matching.orders import (
    BUY,
    SELL,
    BookOrder,
    CannotFill,
    DuplicateName,
    NotReducing,
    Refused,
    Seat,
    SelfTrade,
    TimeInForce,
    TooMuchReducing,
    UnknownOrder,
    WouldTake,
)
from pms.venue.matching.price_match import PriceMatch, matched_price

__all__ = [
    "BUY",
    "SELL",
    "Amended",
    "Book",
    "BookOrder",
    "Cancelled",
    "CannotFill",
    "DuplicateName",
    "Event",
    "Expired",
    "Fill",
    "Level",
    "NotReducing",
    "PriceMatch",
    "Refused",
    "Rested",
    "Seat",
    "SelfTrade",
    "TimeInForce",
    "TooMuchReducing",
    "UnknownOrder",
    "Why",
    "WouldTake",
    "anonymous",
    "matched_price",
]
