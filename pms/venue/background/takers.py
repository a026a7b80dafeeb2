"""Who takes from the made-up makers: clustered arrivals, a heavy tail of sizes, order flow that remembers.

Arrivals excite each other (Hawkes 1971, in steps instead of continuous time). Orders are the pieces of a
few large ones whose lengths have a Pareto tail, which is why a buy follows a buy for long (Lillo, Mike and
Farmer 2005). Sizes have the exponent 3/2 of Gopikrishnan et al. 2000.
"""

from __future__ import annotations

from math import exp, tanh
from random import Random
from typing import NamedTuple

USUAL = 0.35
"""Orders a step in a calm market."""

BRANCHING, MEMORY = 0.6, 0.9
"""How many orders one brings about in all, and how much of its excitement is left after a step."""

MOST_A_STEP = 8
MOST_ACTIVITY = 8.0
PARENTS = 3
LENGTH_TAIL, MOST_PIECES = 1.5, 400
SIZE_TAIL, LEAST_SIZE, MOST_SIZE = 1.5, 0.04, 8.0
"""In multiples of what a level at the touch usually holds."""

FOLLOWED = 0.35
"""How far from even the chance of a buy goes in the strongest trend."""

FORCED, MOST_FORCED = 0.25, 3.0
"""How many times more orders come for each deviation of a trend, and at most: stops and liquidations."""


class Piece(NamedTuple):
    """One market order: +1 buys, -1 sells; the size in usual levels."""

    sign: int
    size: float


class Takers:
    """The flow of market orders in one symbol."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._excited = 0.0
        self._rate = USUAL
        self._parents: list[list[int]] = [self._parent(0.0) for _ in range(PARENTS)]

    @property
    def activity(self) -> float:
        """How busy it is, in multiples of a calm market's mean."""
        return min(MOST_ACTIVITY, self._rate / USUAL)

    def step(self, *, arrivals: float, trend: float) -> list[Piece]:
        """The orders of one step; `trend` is the recent move in deviations, which new parents follow."""
        rng = self._rng
        forced = min(MOST_FORCED, FORCED * abs(trend))
        self._rate = USUAL * (1 - BRANCHING) * arrivals * (1 + forced) + self._excited
        count = self._arrived(self._rate)
        self._excited = self._excited * MEMORY + (1 - MEMORY) * BRANCHING * count
        pieces = []
        for _ in range(count):
            parent = self._parents[rng.randrange(PARENTS)]
            size = min(MOST_SIZE, LEAST_SIZE * rng.paretovariate(SIZE_TAIL))
            pieces.append(Piece(parent[0], size))
            parent[1] -= 1
            if not parent[1]:
                parent[:] = self._parent(trend)
        return pieces

    def _parent(self, trend: float) -> list[int]:
        """A new large order: its sign, and how many pieces it has left."""
        rng = self._rng
        sign = 1 if rng.random() < 0.5 + FOLLOWED * tanh(trend) else -1
        return [sign, min(MOST_PIECES, int(rng.paretovariate(LENGTH_TAIL)))]

    def _arrived(self, rate: float) -> int:
        """A Poisson number, bounded: what a step costs is bounded by it."""
        rng, bound = self._rng, exp(-rate)
        count, product = 0, rng.random()
        while product > bound and count < MOST_A_STEP:
            count += 1
            product *= rng.random()
        return count
