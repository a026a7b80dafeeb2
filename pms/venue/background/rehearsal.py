"""A made-up market alone with its book, no venue around it: what a scenario will do, in a second or two.

Level for level what a venue of that seed goes through as long as nobody trades in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pms.venue.background.scenario import Scenario
from pms.venue.background.synthetic import SyntheticMarket, start_price, take_step
from pms.venue.exchange import Exchange
from pms.venue.market import Market
from pms.venue.matching.side import BookSide
from pms.venue.state import Fact
from pms.venue.symbols import Symbol
from pms.venue.transaction import Print, Transaction

NEAR = 0.001
"""How far from the middle a level counts as near, in its price."""


class Moment(NamedTuple):
    """What one step left behind: ticks and lots; the lots bought and sold are takers'."""

    bid: int
    ask: int
    near_bids: int
    near_asks: int
    bought: int
    sold: int
    regime: str
    phase: str

    @property
    def middle(self) -> float:
        """Between best bid and ask."""
        return (self.bid + self.ask) / 2

    @property
    def spread(self) -> int:
        """Ticks between best bid and ask."""
        return self.ask - self.bid


class Rehearsal:
    """One symbol's market; it is its own exchange's journal and audience."""

    def __init__(self, symbol: Symbol, *, seed: int, scenario: Scenario) -> None:
        self.market = Market(symbol, start_price=start_price(symbol))
        self.exchange = Exchange({symbol.name: self.market}, journal=self, publisher=self, clock=lambda: 0)
        self.synthetic = SyntheticMarket(self.market, seed, scenario)
        #: of the last step
        self.prints: list[Print] = []

    def append(self, facts: list[Fact]) -> None:
        """Nothing outlives it."""

    def publish(self, transaction: Transaction) -> None:
        """Keep the trades, and forget which levels changed: nobody is told."""
        self.prints += transaction.prints
        for side in (self.market.book.bids, self.market.book.asks):
            side.changed.clear()

    def step(self) -> Moment:
        """Go on by one step."""
        self.prints = []
        take_step(self.exchange, self.market.symbol.name, self.synthetic)
        bids, asks = self.market.book.bids, self.market.book.asks
        bid = bids.best.price if bids.best else 0
        ask = asks.best.price if asks.best else bid
        reach = round((bid + ask) / 2 * NEAR)
        return Moment(
            bid=bid,
            ask=ask,
            near_bids=_lots(bids, bid - reach),
            near_asks=_lots(asks, ask + reach),
            bought=_taken(self.prints, buying=True),
            sold=_taken(self.prints, buying=False),
            regime=self.synthetic.regime,
            phase=self.synthetic.phase,
        )


def _lots(side: BookSide, worst: int) -> int:
    return sum(level.total for level in side.within(worst))


def _taken(prints: Iterable[Print], *, buying: bool) -> int:
    return sum(each.quantity for each in prints if each.buyer_is_maker is not buying)
