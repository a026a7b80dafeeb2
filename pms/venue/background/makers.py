"""The made-up makers: they quote around a value, hold what they were sold, and shy away from danger.

The price that they quote around gives way to their inventory, which they lay off in time, and the spread
follows the variance that they see (Avellaneda and Stoikov 2008). It gives way by the root of what was taken
(Toth et al. 2011). They know of no client: what is missing from their quotes was taken, whoever took it.
"""

from __future__ import annotations

from math import copysign, floor, log, sqrt
from random import Random

from pms.venue.background.grid import NEAR_LEVELS, Grid
from pms.venue.background.value import SIGMA
from pms.venue.market import Market
from pms.venue.matching import BUY, SELL
from pms.venue.matching.side import BookSide

LAID_OFF = 0.02
"""Share of their inventory that goes elsewhere in a step: half of it in nine seconds."""

WHOLE_SIDE = 160.0
IMPACT, MOST_IMPACT = 0.0005, 0.003
"""How far a price gives way once a side, in usual levels, was taken; and at most, whatever was."""

LEANING, SEEN = 0.0001, 0.2
"""How far it leans towards the side where clients' orders rest, at most, and how soon that is noticed."""

WATCHED = 0.08
"""Weight of the last move in the variance that they see."""

SPREAD, MOST_SPREAD = 5e-7, 0.002
"""Of the price: the spread per unit of variance, in a calm market's, and the widest."""

LOOKS = 4
"""Every so many steps they look at the book itself, trades or not: an operator may have set levels."""

RENEWED = 2
SCANT, AMPLE = 0.25, 3.0
"""A level outside these multiples of what it should hold is quoted anew at once."""

MOST_LOTS = float("inf")
Levels = list[tuple[int, int]]


class Makers:
    """All makers of one symbol as one; `lots` is what a level at the touch usually holds."""

    def __init__(self, rng: Random, *, price: int, lots: int) -> None:
        self._rng = rng
        self.grid = Grid(price)
        self._usual = lots
        self._least_spread = max(1, self.grid.spacing // 4)
        #: By price, what they left at each side or saw there since
        self._standing: dict[int, dict[int, int]] = {BUY: {}, SELL: {}}
        self._steps = self._trades = 0
        self._inventory = 0.0
        self._leaning = 0.0
        self._variance = 1.0
        self._last: float | None = None

    def watch(self, market: Market) -> None:
        """Take note of what was taken from their quotes, and on which side clients' orders rest.

        Without a trade since, only every few steps: nothing else takes.
        """
        bought = sold = 0
        self._steps += 1
        if market.next_trade_id != self._trades or self._steps % LOOKS == 0:
            self._trades = market.next_trade_id
            (bought, bids), (sold, asks) = self._seen(market.book.bids), self._seen(market.book.asks)
            weight = bids + asks + WHOLE_SIDE * self._usual / 4
            self._leaning += SEEN * ((bids - asks) / weight - self._leaning)
        self._inventory = self._inventory * (1 - LAID_OFF) + bought - sold

    def forget(self) -> None:
        """The price was led elsewhere: hold nothing, and take its way for no market's."""
        self._inventory = self._leaning = 0.0
        self._last = None

    def price(self, value: float) -> float:
        """What they quote around."""
        held = self._inventory / (self._usual * WHOLE_SIDE)
        way = IMPACT * sqrt(sqrt(self._variance)) * copysign(sqrt(abs(held)), held)
        way = max(-MOST_IMPACT, min(MOST_IMPACT, way))
        price = value * (1 - way + LEANING * self._leaning)
        if self._last is not None:
            move = log(price / self._last) / SIGMA
            self._variance += WATCHED * (move * move - self._variance)
        self._last = price
        return price

    def touch(self, price: float) -> tuple[int, int]:
        """Their best bid and ask."""
        wide = SPREAD * self._variance
        spread = max(self._least_spread, round(price * wide / (1 + wide / MOST_SPREAD)))
        bid = max(1, floor(price - (spread - self._least_spread) / 2))
        return bid, bid + spread

    def quote(self, sign: int, best: int, *, lots: int, pulled: float, anew: bool) -> Levels:
        """The changes of one side towards what they want there; `lots` is what the touch shall hold."""
        random, standing = self._rng.random, self._standing[sign]
        places = self.grid.places(best, -sign, pulled)
        for _ in range(RENEWED):
            standing.pop(places[int(random() * len(places))][0], None)
        scant, ample = (SCANT * lots, AMPLE * lots) if not anew else (MOST_LOTS, 0.0)
        changes: Levels = []
        quoted = self._standing[sign] = {}
        for price, size in places:
            held = standing.pop(price, 0)
            if not scant * size <= held <= ample * size:
                held = max(1, int(lots * size * (0.5 + random())))
                changes.append((price, held))
            quoted[price] = held
        # Whatever else stands there is wanted no more
        changes += [(price, 0) for price in standing]
        return changes

    def _seen(self, side: BookSide) -> tuple[int, int]:
        """Lots taken from what was quoted on a side, and clients' lots near its touch."""
        sign = side.sign
        quoted, standing = self._standing[sign], dict[int, int]()
        reach = side.touch - self.grid.spacing * NEAR_LEVELS
        left = resting = 0
        for price, level in side.levels.items():
            if total := level.total:
                anonymous = level.anonymous
                if anonymous:
                    standing[price] = anonymous
                    left += min(anonymous, quoted.get(price, 0))
                if total > anonymous and price * sign >= reach:
                    resting += total - anonymous
        self._standing[sign] = standing
        return sum(quoted.values()) - left, resting
