"""A market of two symbols around a basket, and the exchange's own reckoning of each of its legs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from desk_maker import BTC, D
from market_world import ZERO, MarketWorld

from pms.domain.algos.algo import Algo
from pms.domain.algos.ids import slot_of
from pms.domain.algos.legs import Leg, legs_of
from pms.domain.desk import Top

ETH = replace(BTC, symbol="ETHUSDT", base_asset="ETH", tick=D("0.01"))
BUY_BTC = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.02", "leverage": 10, "algo": "market"}
SELL_ETH = {"symbol": "ETHUSDT", "side": "SELL", "quantity": "0.4", "leverage": 10, "algo": "market"}


class BasketWorld(MarketWorld):
    """Bitcoin and ether, and whoever trades both."""

    def __post_init__(self) -> None:
        MarketWorld.__post_init__(self)
        self.desk.instruments["ETHUSDT"] = ETH
        self.move(0)
        self.price_eth("3000")

    def price_eth(self, price: str) -> None:
        self.desk.price("ETHUSDT", Top(D(price), D(1), D(price) + ETH.tick, D(1), self.now))

    def lose_price(self, symbol: str) -> None:
        self.desk.tops.pop(symbol, None)

    def basket(self, *legs: dict[str, Any], **terms: Any) -> Algo:
        """Start one and ask it once, as the streamer does in one step."""
        algo = self.start("pms.basket", legs=list(legs), **terms)
        self.conduct(algo.id)
        return algo

    def algo(self, algo_id: str) -> Algo:
        return self.desk.algos.every[algo_id]

    def leg(self, algo_id: str, number: int) -> Leg:
        return legs_of(self.algo(algo_id))[number]

    def live(self, algo_id: str, number: int, *, undo: bool = False) -> list[str]:
        """The orders of a leg that the exchange has or may come to have, or of its unwinding."""
        leg = self.leg(algo_id, number)
        numbers = [leg.undo.number] if undo else leg.numbers
        return [
            order.row.client_order_id
            for order in self.of(algo_id)
            if not order.over and slot_of(order.row.client_order_id) in numbers
        ]

    def exposed_in(self, algo_id: str, numbers: range) -> Decimal:
        """The most that orders of some slots may ever have traded."""
        found = (order for order in self.of(algo_id) if slot_of(order.row.client_order_id) in numbers)
        return sum((order.exposed for order in found), ZERO)

    def traded_in(self, algo_id: str, numbers: range) -> Decimal:
        """What orders of some slots traded, told or not."""
        found = (order for order in self.of(algo_id) if slot_of(order.row.client_order_id) in numbers)
        return sum((order.filled for order in found), ZERO)

    def fill(self, coid: str, quantity: str | None = None) -> None:
        """The exchange takes an order if it has not yet, and trades it."""
        order = self.orders[coid]
        if not order.sent:
            self.ack(coid)
        self.trade(coid, order.total if quantity is None else Decimal(quantity))

    def cancel(self, coid: str) -> None:
        """The exchange carries out a cancel that is wanted."""
        assert self.desk.orders[coid].cancel_wanted
        self.end(coid, "CANCELED")
