"""The C extension that cryptofeed keeps its books in: a sorted dictionary of decimals a side."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from order_book import OrderBook
from race import race


class SortedDecimals:
    """Both sides as the library keeps them."""

    def start(self, bids: list[list[str]], asks: list[list[str]]) -> None:
        self._book = OrderBook()
        self._book.bids = {Decimal(price): Decimal(quantity) for price, quantity in bids}
        self._book.asks = {Decimal(price): Decimal(quantity) for price, quantity in asks}

    def apply(self, event: dict[str, Any]) -> None:
        for side, levels in ((self._book.bids, event["b"]), (self._book.asks, event["a"])):
            for price, quantity in levels:
                level, amount = Decimal(price), Decimal(quantity)
                if amount:
                    side[level] = amount
                elif level in side:
                    del side[level]

    def top(self) -> tuple[Decimal, Decimal]:
        return self._book.bids.index(0)[0], self._book.asks.index(0)[0]


race(SortedDecimals(), json.loads)
