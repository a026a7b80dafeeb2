"""ccxt's WebSocket order book, fed as its Binance class feeds it: floats in a sorted list a side."""

from __future__ import annotations

import json
from typing import Any

from ccxt.async_support.base.ws.order_book import OrderBook
from race import race


class SortedFloats:
    """Both sides as the library keeps them."""

    def start(self, bids: list[list[str]], asks: list[list[str]]) -> None:
        self._book = OrderBook({"bids": _numbers(bids), "asks": _numbers(asks)})

    def apply(self, event: dict[str, Any]) -> None:
        for side, levels in (("bids", event["b"]), ("asks", event["a"])):
            stored = self._book[side]
            for price, quantity in levels:
                stored.store(float(price), float(quantity))

    def top(self) -> tuple[float, float]:
        return self._book["bids"][0][0], self._book["asks"][0][0]


def _numbers(levels: list[list[str]]) -> list[list[float]]:
    return [[float(price), float(quantity)] for price, quantity in levels]


race(SortedFloats(), json.loads)
