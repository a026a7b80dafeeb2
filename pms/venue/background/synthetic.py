"""A made-up market: a price that wanders around its start, quotes that follow it, some trades.

Everything is drawn from one seeded generator, so that a run can be repeated. Both sides are always deep
enough to trade on; what an account took comes back within moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import NamedTuple, Protocol

from pms.venue.exchange import Exchange
from pms.venue.market import Market
from pms.venue.matching import BUY, SELL
from pms.venue.matching.side import BookSide
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
STEP_S = 0.25
NEAR_LEVELS = 24
FAR_LEVELS = 16
FAR_SPACING = 12
# Notional of a level at the touch; levels further out hold more
LEVEL_NOTIONAL = Decimal(40_000)
VOLATILITY = 0.00004
PULL = 0.002
TRADE_CHANCE = 0.35
REFRESHED = 2


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

    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
    order: Order | None


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
    """Decides, from a book and a generator, the next step of one symbol. Pure but for the generator."""

    def __init__(self, market: Market, rng: Random) -> None:
        self._market = market
        self._rng = rng
        self._anchor = float(market.last_price)
        self._middle = float(market.last_price)
        # Ticks between neighbouring levels: about a hundred-thousandth of the price
        self._spacing = max(1, round(market.last_price * 1e-5))
        value = market.symbol.notional(max(1, market.last_price), 1)
        self._usual_lots = self._base_lots = max(4, int(LEVEL_NOTIONAL / value))
        self._thinned = False
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

    def step(self) -> Step:
        """Move the price, let the quotes follow, perhaps trade."""
        self._move()
        best_bid = max(1, int(self._middle))
        best_ask = best_bid + max(1, self._spacing // 4)
        book = self._market.book
        bids = self._quotes(book.bids, self._prices(best_bid, -1), best_bid)
        asks = self._quotes(book.asks, self._prices(best_ask, 1), best_ask)
        self._thinned = False
        return Step(bids, asks, self._order(best_bid, best_ask))

    def _move(self) -> None:
        """Go on along a crash, or wander. Where a crash ends, there the market stays."""
        crash = self.crash
        if crash is not None and crash.over:
            crash = self.crash = None
            self._base_lots = self._usual_lots
        if crash is None:
            drift = (self._anchor - self._middle) * PULL
            self._middle += drift + self._rng.gauss(0.0, self._anchor * VOLATILITY)
        else:
            thin_lots = max(4, int(self._usual_lots / crash.thin))
            self._thinned = thin_lots != self._base_lots
            self._base_lots = thin_lots
            self._middle = self._anchor = crash.step()
        self._middle = max(2.0, self._middle)

    def _prices(self, best: int, away: int) -> list[int]:
        """The grid of quoted prices: fixed points, so that a small move changes few levels."""
        near, far = self._spacing, self._spacing * FAR_SPACING
        first_near = (best // near + (1 if away > 0 else 0)) * near
        prices = [best, *(first_near + away * near * n for n in range(NEAR_LEVELS))]
        first_far = (prices[-1] // far + (1 if away > 0 else 0)) * far
        prices += [first_far + away * far * (n + 1) ** 2 // 2 for n in range(FAR_LEVELS)]
        return [price for price in dict.fromkeys(prices) if price > 0 and (price - best) * away >= 0]

    def _quotes(self, side: BookSide, prices: Sequence[int], best: int) -> list[tuple[int, int]]:
        wanted = dict.fromkeys(prices)
        changes = [
            (level.price, 0)
            for level in side.levels.values()
            if level.anonymous and level.price not in wanted
        ]
        renewed = {self._rng.choice(prices) for _ in range(REFRESHED)}
        for place, price in enumerate(prices):
            level = side.levels.get(price)
            held = level.anonymous if level is not None else 0
            if self._thinned or held < self._base_lots // 4 or price in renewed:
                changes.append((price, self._lots(place)))
        return changes

    def _lots(self, place: int) -> int:
        growth = 1.0 + place * 0.15
        return max(1, int(self._base_lots * growth * self._rng.uniform(0.4, 1.6)))

    def _order(self, best_bid: int, best_ask: int) -> Order | None:
        rng = self._rng
        if rng.random() > TRADE_CHANCE:
            return None
        side = BUY if rng.random() < 0.5 else SELL
        lots = max(1, int(self._base_lots * rng.paretovariate(1.8) * 0.02))
        limit = best_ask + self._spacing if side == BUY else best_bid - self._spacing
        return Order(side, min(lots, self._base_lots), max(1, limit))


def take_step(exchange: Exchange, symbol: str, synthetic: SyntheticMarket) -> None:
    """Carry one step out."""
    step = synthetic.step()
    exchange.set_levels(symbol, bids=step.bids, asks=step.asks)
    if step.order is not None:
        exchange.background_order(symbol, side=step.order.side, lots=step.order.lots, limit=step.order.limit)
