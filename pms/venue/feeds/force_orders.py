"""forceOrder: liquidations as everybody sees them (USDⓈ-M docs, Liquidation Order Streams).

Of each symbol at most one in a second, the largest; what the exchange takes over itself counts as filled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from pms.venue.feeds.hub import Hub
from pms.venue.ledger import to_cents
from pms.venue.market import Market
from pms.venue.state import Order
from pms.venue.symbols import Symbol
from pms.venue.user_events import SIDES, average_price

encode = msgspec.json.Encoder().encode
ALL = "!forceOrder@arr"


class ForceOrders:
    """Gathers liquidations and sends them when a second is over."""

    def __init__(self, markets: Mapping[str, Market], *, hub: Hub, clock: Callable[[], int]) -> None:
        self._markets = markets
        self._hub = hub
        self._clock = clock
        self._largest: dict[str, Order] = {}

    def take(self, orders: Iterable[Order]) -> None:
        """Note what has been liquidated."""
        for order in orders:
            known = self._largest.get(order.symbol)
            if known is None or order.quote > known.quote:
                self._largest[order.symbol] = order

    def flush(self) -> None:
        """Send what this second brought."""
        largest, self._largest = self._largest, {}
        for name, order in largest.items():
            symbol = self._markets[name].symbol
            streams = [each for each in (f"{symbol.lower}@forceOrder", ALL) if self._hub.wanted(each)]
            if streams:
                event = encode(force_order(order, symbol, now=self._clock()))
                for stream in streams:
                    self._hub.publish(stream, event)


def force_order(order: Order, symbol: Symbol, *, now: int) -> dict[str, Any]:
    """The event; `ps` is the pair here, not a position side."""
    filled = symbol.quantity_text(order.executed)
    return {
        "e": "forceOrder",
        "E": now,
        "o": {
            "s": order.symbol,
            "S": SIDES[order.side],
            "o": "LIMIT",
            "f": order.time_in_force,
            "q": symbol.quantity_text(order.quantity),
            "p": symbol.price_text(order.price),
            "ap": str(to_cents(average_price(order, symbol)).quantize(symbol.tick_unit)),
            "X": order.status,
            "l": filled,
            "z": filled,
            "T": order.updated,
            "ps": order.symbol,
            "st": 1,
        },
    }
