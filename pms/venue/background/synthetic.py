"""A made-up market: a value that wanders as its scenario says, makers that quote around it, takers.

Everything is drawn from generators of one seed, so that a run can be repeated, and nothing grows with
time. Both sides are always deep enough to trade on; what an account took comes back within moments.
"""

from __future__ import annotations

from decimal import Decimal
from math import log, tanh
from random import Random
from typing import NamedTuple, Protocol

from pms.venue.background.makers import Levels, Makers
from pms.venue.background.scenario import CALM, Scenario
from pms.venue.background.takers import Piece, Takers
from pms.venue.background.value import LEAST, SIGMA, LatentValue
from pms.venue.exchange import Exchange
from pms.venue.market import Market
from pms.venue.matching import BUY, SELL
from pms.venue.symbols import Symbol

START_PRICES = {
    "BTCUSDT": Decimal(60_000),
    "ETHUSDT": Decimal(2_600),
    "SOLUSDT": Decimal(150),
    "BNBUSDT": Decimal(600),
    "SUSHIUSDT": Decimal("7.6"),
    "AKROUSDT": Decimal("0.0174"),
    "KEEPUSDT": Decimal("0.2445"),
    "CTKUSDT": Decimal("1.01"),
}
# Notional of a level at the touch; levels further out hold more
LEVEL_NOTIONAL = Decimal(40_000)
LEAST_LOTS = 4
TREND_SEEN = 0.01
"""Weight of the last move in the trend that takers follow."""

SHY = 0.35
"""How much less is quoted against the strongest trend, and more with it."""

REACH = 4
"""How far beyond the touch a taker goes in a calm market, in spacings of the grid."""


def start_price(symbol: Symbol) -> int:
    """Where a symbol without history starts, in ticks."""
    price = START_PRICES.get(symbol.name)
    return 10_000 if price is None else max(1, symbol.nearest_ticks(price))


class Order(NamedTuple):
    """An aggressor of the made-up market."""

    side: int
    lots: int
    limit: int


class Step(NamedTuple):
    """What the made-up market does in one step."""

    bids: Levels
    asks: Levels
    orders: list[Order]


class Course(Protocol):
    """A way that the price is led along for a while, instead of wandering."""

    @property
    def over(self) -> bool:
        """Whether the market is on its own again."""

    @property
    def thin(self) -> float:
        """By how much less is quoted meanwhile."""

    def step(self) -> float:
        """The next price, in ticks."""


class SyntheticMarket:
    """Decides, from a book and generators, the next step of one symbol. Pure but for the generators."""

    def __init__(self, market: Market, seed: object, scenario: Scenario = CALM) -> None:
        self._market = market
        price, name = market.last_price, market.symbol.name
        value = market.symbol.notional(max(1, price), 1)
        self._usual_lots = max(LEAST_LOTS, int(LEVEL_NOTIONAL / value))
        self._value = LatentValue(float(price), symbol=name, seed=seed, scenario=scenario)
        self._makers = Makers(Random(f"{seed}:{name}:makers"), price=price, lots=self._usual_lots)
        self._takers = Takers(Random(f"{seed}:{name}:takers"))
        self._middle = float(price)
        self._trend = 0.0
        self._thin = 1.0
        self.crash: Course | None = None

    @property
    def symbol(self) -> Symbol:
        """What is traded here."""
        return self._market.symbol

    @property
    def middle(self) -> float:
        """The price around which is quoted, in ticks."""
        return self._middle

    @property
    def mark(self) -> Decimal:
        """The mark price that its quotes make."""
        return self._market.mark

    @property
    def phase(self) -> str:
        """Where in its scenario it is."""
        return self._value.phase

    @property
    def regime(self) -> str:
        """How agitated it is, in a word."""
        return self._value.regime

    def step(self) -> Step:
        """Move the price, let the quotes follow, perhaps trade."""
        makers = self._makers
        makers.watch(self._market)
        anew = self._move()
        climate = self._value.climate
        best_bid, best_ask = makers.touch(self._middle)
        usual, pulled, shy = self._usual_lots / self._thin, climate.pulled, SHY * tanh(self._trend)
        lots = [max(LEAST_LOTS, int(usual * climate.depth * share)) for share in (1 + shy, 1 - shy)]
        bids = makers.quote(BUY, best_bid, lots=lots[0], pulled=pulled, anew=anew)
        asks = makers.quote(SELL, best_ask, lots=lots[1], pulled=pulled, anew=anew)
        pieces = self._takers.step(arrivals=climate.arrivals, trend=self._trend)
        reach = round(REACH * climate.volatility) * makers.grid.spacing
        orders = [self._order(piece, usual, best_bid - reach, best_ask + reach) for piece in pieces]
        return Step(bids, asks, orders)

    def _move(self) -> bool:
        """Go on along a crash, or by itself; true where all is to be quoted anew.

        Where a crash ends, there the market stays.
        """
        crash, before, thin = self.crash, self._middle, self._thin
        value = self._value.step(self._takers.activity)
        if crash is not None and crash.over:
            crash = self.crash = None
            self._thin = 1.0
        if crash is None:
            self._middle = max(LEAST, self._makers.price(value))
            move = log(self._middle / before) / SIGMA
            self._trend += TREND_SEEN * (move - self._trend)
            return False
        self._thin = crash.thin
        self._middle = max(LEAST, crash.step())
        self._value.settle(self._middle)
        self._makers.forget()
        return self._thin != thin

    def _order(self, piece: Piece, usual: float, lowest: int, highest: int) -> Order:
        side, limit = (BUY, highest) if piece.sign > 0 else (SELL, lowest)
        return Order(side, max(1, int(usual * piece.size)), max(1, limit))


def take_step(exchange: Exchange, symbol: str, synthetic: SyntheticMarket) -> None:
    """Carry one step out."""
    step = synthetic.step()
    exchange.set_levels(symbol, bids=step.bids, asks=step.asks)
    for order in step.orders:
        exchange.background_order(symbol, side=order.side, lots=order.lots, limit=order.limit)
