"""How agitated the made-up markets are: calm, active or stressed, by a Markov chain.

All symbols of a seed are agitated alike, as real ones are: each draws the same chain for itself, one
number a step, so that none waits for another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random

GLIDE = 0.08
"""How much of the way to a new regime is gone in a step: nobody's opinion turns in a quarter second."""


class Regime(StrEnum):
    """The states of the chain."""

    CALM = "calm"
    ACTIVE = "active"
    STRESSED = "stressed"


@dataclass(frozen=True, slots=True)
class Climate:
    """What a regime means, in multiples of a calm market; `pulled` is the share missing at the touch."""

    volatility: float
    depth: float
    arrivals: float
    pulled: float

    def towards(self, other: Climate, share: float) -> Climate:
        """A share of the way from this climate to another."""
        return Climate(
            self.volatility + share * (other.volatility - self.volatility),
            self.depth + share * (other.depth - self.depth),
            self.arrivals + share * (other.arrivals - self.arrivals),
            self.pulled + share * (other.pulled - self.pulled),
        )


CLIMATES: Mapping[Regime, Climate] = {
    Regime.CALM: Climate(1.0, 1.0, 1.0, 0.0),
    Regime.ACTIVE: Climate(2.2, 0.85, 2.2, 0.1),
    Regime.STRESSED: Climate(6.5, 0.3, 6.0, 0.7),
}

Mood = Mapping[Regime, Mapping[Regime, float]]
"""Chances a step to leave a regime for another."""

QUIET: Mood = {
    Regime.CALM: {Regime.ACTIVE: 1 / 320},
    Regime.ACTIVE: {Regime.CALM: 1 / 60},
    Regime.STRESSED: {Regime.ACTIVE: 1 / 40},
}
LIVELY: Mood = {
    Regime.CALM: {Regime.ACTIVE: 1 / 30},
    Regime.ACTIVE: {Regime.CALM: 1 / 160},
    Regime.STRESSED: {Regime.ACTIVE: 1 / 40},
}
NERVOUS: Mood = {
    Regime.CALM: {Regime.ACTIVE: 1 / 40},
    Regime.ACTIVE: {Regime.CALM: 1 / 160, Regime.STRESSED: 1 / 160},
    Regime.STRESSED: {Regime.ACTIVE: 1 / 60},
}
PANIC: Mood = {
    Regime.CALM: {Regime.STRESSED: 1 / 4},
    Regime.ACTIVE: {Regime.STRESSED: 1 / 6},
    Regime.STRESSED: {Regime.ACTIVE: 1 / 120},
}


class Agitation:
    """The chain, and the climate that follows it."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.regime = Regime.CALM
        self.climate = CLIMATES[Regime.CALM]

    def step(self, mood: Mood) -> Climate:
        """Stay or leave; exactly one number is drawn."""
        drawn = self._rng.random()
        for regime, chance in mood[self.regime].items():
            if drawn < chance:
                self.regime = regime
                break
            drawn -= chance
        self.climate = self.climate.towards(CLIMATES[self.regime], GLIDE)
        return self.climate
