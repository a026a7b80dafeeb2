"""Prices that a book names: the n-th best of the own side or of the other (Binance: priceMatch)."""

from __future__ import annotations

from enum import StrEnum
from itertools import islice

from pms.venue.matching.book import Book


class PriceMatch(StrEnum):
    """Which level's price an order takes, on arrival and once."""

    NONE = "NONE"
    OPPONENT = "OPPONENT"
    OPPONENT_5 = "OPPONENT_5"
    OPPONENT_10 = "OPPONENT_10"
    OPPONENT_20 = "OPPONENT_20"
    QUEUE = "QUEUE"
    QUEUE_5 = "QUEUE_5"
    QUEUE_10 = "QUEUE_10"
    QUEUE_20 = "QUEUE_20"


def matched_price(book: Book, side: int, match: PriceMatch) -> int | None:
    """The price that an order of `side` takes; None where so many levels are not there."""
    whose, _, place = match.value.partition("_")
    levels = book.opposite(side) if whose == "OPPONENT" else book.own_side(side)
    number = int(place or 1) - 1
    level = next(islice(levels, number, None), None)
    return None if level is None else level.price
