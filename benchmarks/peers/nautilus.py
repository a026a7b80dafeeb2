"""NautilusTrader's order book, in Rust, fed with deltas as its Binance adapter makes them."""

from __future__ import annotations

from typing import Any

import msgspec
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas
from nautilus_trader.model.enums import BookAction, BookType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price, Quantity
from race import race

BTC = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")


class Levels:
    """A price-aggregated book."""

    def start(self, bids: list[list[str]], asks: list[list[str]]) -> None:
        self._book = OrderBook(BTC, BookType.L2_MBP)
        self.apply({"b": bids, "a": asks, "u": 0, "T": 0})

    def apply(self, event: dict[str, Any]) -> None:
        at, sequence = event["T"] * 1_000_000, event["u"]
        deltas = [
            OrderBookDelta(
                BTC,
                BookAction.UPDATE if float(quantity) else BookAction.DELETE,
                BookOrder(side, Price.from_str(price), Quantity.from_str(quantity), 0),
                0,
                sequence,
                at,
                at,
            )
            for side, levels in ((OrderSide.BUY, event["b"]), (OrderSide.SELL, event["a"]))
            for price, quantity in levels
        ]
        if deltas:
            self._book.apply_deltas(OrderBookDeltas(BTC, deltas))

    def top(self) -> tuple[Price, Price]:
        return self._book.best_bid_price(), self._book.best_ask_price()


race(Levels(), msgspec.json.decode)
