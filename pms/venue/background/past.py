"""A made-up past for a made-up market: daily bars up to yesterday, ending where the market starts.

All symbols share a part of their moves, so that what is reckoned from their past (correlations, a
portfolio's risk) is not trivial. Drawn from the venue's seed: the same days give the same bars.
"""

from __future__ import annotations

from math import exp
from random import Random

from pms.venue.candles import DAY, Candle, begin
from pms.venue.symbols import Symbol

DAYS = 750
MARKET_SIGMA, OWN_SIGMA = 0.025, 0.02
"""Of a day's logarithmic return: the part that all share, and each symbol's own."""

SHARE = (0.8, 1.4)
WIDTH = 0.6
"""How far highs and lows lie beyond open and close, in own sigmas."""

NOTIONAL = 50_000_000


def made_up_days(symbol: Symbol, *, last: int, now: int, seed: int) -> list[Candle]:
    """The days before today, whose last one closes at `last` ticks."""
    market, own = Random(f"{seed}:past"), Random(f"{seed}:past:{symbol.name}")
    share = own.uniform(*SHARE)
    today = begin("1d", now)
    found: list[Candle] = []
    close = last
    # Backwards, so that the walk ends where the market is; the market's moves are drawn in the same order.
    for day in range(1, DAYS + 1):
        move = share * market.gauss(0.0, MARKET_SIGMA) + own.gauss(0.0, OWN_SIGMA)
        opened = max(1, round(close * exp(-move)))
        bar = Candle(today - day * DAY, opened)
        high = max(opened, close) * exp(abs(own.gauss(0.0, OWN_SIGMA * WIDTH)))
        low = min(opened, close) * exp(-abs(own.gauss(0.0, OWN_SIGMA * WIDTH)))
        lots = max(4, int(int(NOTIONAL / symbol.notional(max(1, close), 1)) * own.uniform(0.5, 1.5)))
        quarter = lots // 4
        prices = (opened, max(1, round(high)), max(1, int(low)), close)
        for price, part in zip(prices, (quarter, quarter, quarter, lots - 3 * quarter), strict=True):
            bar.trade(price, part, buyer_takes=price >= opened)
        found.append(bar)
        close = opened
    return found[::-1]
