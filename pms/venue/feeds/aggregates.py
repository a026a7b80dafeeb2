"""Aggregate trades: what traded at one price by takers of one side within 100 ms is one of them.

USDⓈ-M docs, Aggregate Trade Streams. So one is told when another price or side comes, or its time is over;
stream and REST tell the same ones.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from pms.venue.symbols import Symbol
from pms.venue.transaction import Print

WINDOW_MS = 100
KEPT = 2_000


@dataclass(slots=True)
class Aggregate:
    """Neighbouring trades; `time` is the first one's."""

    price: int
    quantity: int
    buyer_is_maker: bool
    first: int
    last: int
    time: int

    def row(self, symbol: Symbol) -> dict[str, Any]:
        """As REST and the stream both show it. Its id is that of its first trade."""
        quantity = symbol.quantity_text(self.quantity)
        return {
            "a": self.first,
            "p": symbol.price_text(self.price),
            "q": quantity,
            "nq": quantity,
            "f": self.first,
            "l": self.last,
            "T": self.time,
            "m": self.buyer_is_maker,
        }


class Aggregates:
    """Those of one symbol: the latest that are whole, and the one that may still grow."""

    def __init__(self) -> None:
        self.whole: deque[Aggregate] = deque(maxlen=KEPT)
        self._open: Aggregate | None = None

    def take(self, each: Print) -> Aggregate | None:
        """Take a trade; the aggregate that it ends, if any."""
        growing = self._open
        if (
            growing is not None
            and growing.price == each.price
            and growing.buyer_is_maker == each.buyer_is_maker
            and each.time - growing.time < WINDOW_MS
        ):
            growing.quantity += each.quantity
            growing.last = each.trade_id
            return None
        self._open = Aggregate(
            each.price, each.quantity, each.buyer_is_maker, each.trade_id, each.trade_id, each.time
        )
        return self._ended(growing)

    def due(self, now: int) -> Aggregate | None:
        """The aggregate whose time is over."""
        growing = self._open
        if growing is None or now - growing.time < WINDOW_MS:
            return None
        self._open = None
        return self._ended(growing)

    def _ended(self, aggregate: Aggregate | None) -> Aggregate | None:
        if aggregate is not None:
            self.whole.append(aggregate)
        return aggregate
