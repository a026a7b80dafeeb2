"""A market that falls, or is squeezed, on demand: the path of its price, and which markets follow one.

A path is drawn whole before its first step, from a seed and the symbol alone: a drift with noise, and
jumps with neither a quote nor a print between their two prices. It ends on the target exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

from pms.venue.background.scenario import STEP_S
from pms.venue.background.synthetic import SyntheticMarket

GAP_SHARE = 0.4
"""How much of the way is jumped, where there are jumps at all; the rest is walked."""

NOISE = 0.8
"""Deviation of a walked step, in walked steps: some go against the trend."""

LEAST_PERCENT, MOST_PERCENT = Decimal(-95), Decimal(400)
MOST_SECONDS = 3600
MOST_THIN = Decimal(1000)


class CrashError(Exception):
    """A crash that cannot be; the message names the field, the limit and what was asked."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a market is told to do: by how many percent, within which time, with how many jumps."""

    percent: Decimal
    seconds: Decimal = Decimal(60)
    gaps: int = 0
    thin: Decimal = Decimal(1)
    #: by how much less than usual is quoted meanwhile
    seed: int = 1

    def __post_init__(self) -> None:
        if not LEAST_PERCENT <= self.percent <= MOST_PERCENT or not self.percent:
            limits = f"{LEAST_PERCENT} to {MOST_PERCENT}, not 0"
            raise CrashError(f"percent must be {limits}; was {self.percent}")
        if not Decimal(str(STEP_S)) <= self.seconds <= MOST_SECONDS:
            raise CrashError(f"seconds must be {STEP_S} to {MOST_SECONDS}; was {self.seconds}")
        if not 0 <= self.gaps <= self.steps:
            raise CrashError(f"gaps must be 0 to {self.steps}, one a step at most; was {self.gaps}")
        if not 1 <= self.thin <= MOST_THIN:
            raise CrashError(f"thin must be 1 to {MOST_THIN}; was {self.thin}")

    @property
    def steps(self) -> int:
        """How many steps of the made-up market it takes."""
        return max(1, round(float(self.seconds) / STEP_S))


def path(terms: Terms, symbol: str) -> list[float]:
    """The price after each step, in multiples of the price before the first."""
    rng = Random(f"{terms.seed}:{symbol}")
    whole = math.log1p(float(terms.percent) / 100)
    jumps = sorted(rng.sample(range(terms.steps), terms.gaps))
    sizes = [rng.uniform(0.5, 1.5) for _ in jumps]
    jumped = whole * (GAP_SHARE if terms.gaps < terms.steps else 1.0) if jumps else 0.0
    walked = terms.steps - len(jumps)
    pace = (whole - jumped) / walked if walked else 0.0
    noise = [rng.gauss(0.0, abs(pace) * NOISE) for _ in range(walked)]
    mean = sum(noise) / walked if walked else 0.0
    moves = iter([pace + each - mean for each in noise])
    falls = iter([jumped * size / sum(sizes) for size in sizes])
    jumping = set(jumps)
    at, prices = 0.0, []
    for step in range(terms.steps):
        at += next(falls) if step in jumping else next(moves)
        prices.append(math.exp(at))
    prices[-1] = math.exp(whole)
    return prices


@dataclass(slots=True)
class Crash:
    """One symbol's crash; `start` in ticks. The market takes a step of it with each of its own."""

    terms: Terms
    symbol: str
    start: float
    taken: int = 0
    stopped: bool = False
    _prices: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self._prices = path(self.terms, self.symbol)

    @property
    def over(self) -> bool:
        """Whether the market is on its own again."""
        return self.stopped or self.taken == len(self._prices)

    @property
    def thin(self) -> float:
        """By how much less is quoted."""
        return float(self.terms.thin)

    def step(self) -> float:
        """The next price, in ticks. Trap: not to be called when it is over."""
        self.taken += 1
        return self.start * self._prices[self.taken - 1]

    @property
    def target(self) -> float:
        """Where it ends unless it is stopped, in ticks."""
        return self.start * self._prices[-1]


class Crashes:
    """The crashes of all made-up markets, the last of each symbol."""

    def __init__(self, synthetics: Mapping[str, SyntheticMarket]) -> None:
        self._synthetics = synthetics
        self._last: dict[str, Crash] = {}

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols whose market is made up here."""
        return tuple(self._synthetics)

    def begin(self, wanted: Mapping[str, Terms]) -> None:
        """Let these markets fall from their next step on; all of them or, with CrashError, none."""
        for symbol in wanted:
            if symbol not in self._synthetics:
                raise CrashError(f"symbols: {symbol} has no made-up market, its prices come from elsewhere")
            if symbol in self._last and not self._last[symbol].over:
                raise CrashError(f"symbols: {symbol} is falling already; stop that crash first")
        for symbol, terms in wanted.items():
            market = self._synthetics[symbol]
            self._last[symbol] = market.crash = Crash(terms, symbol, market.middle)

    def stop(self) -> None:
        """End them where they are; the markets stay there."""
        for crash in self._last.values():
            if not crash.over:
                crash.stopped = True

    def as_json(self) -> list[dict[str, object]]:
        """What the admin face shows."""
        return [self._shown(symbol, crash) for symbol, crash in self._last.items()]

    def _shown(self, symbol: str, crash: Crash) -> dict[str, object]:
        market, terms = self._synthetics[symbol], crash.terms
        price = market.symbol.price
        return {
            "symbol": symbol,
            "state": "stopped" if crash.stopped else "over" if crash.over else "falling",
            "percent": str(terms.percent),
            "seconds": str(terms.seconds),
            "gaps": terms.gaps,
            "thin": str(terms.thin),
            "seed": terms.seed,
            "step": crash.taken,
            "steps": terms.steps,
            "from": str(price(round(crash.start))),
            "to": str(price(round(crash.target))),
            "mark": str(market.mark),
        }
