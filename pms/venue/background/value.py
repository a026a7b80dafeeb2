"""What a symbol is worth, which nobody sees: a common factor, a part of its own, and its scenario's drift.

The value wanders around a base that only the scenario moves. How far it goes in a step follows the climate
and how busy trading is, so that volatility clusters and returns have heavy tails (Cont 2001; Clark 1973
for time that runs with trading).
"""

from __future__ import annotations

from math import exp, log, sqrt
from random import Random

from pms.venue.background.regime import Agitation, Climate, Mood
from pms.venue.background.scenario import Phase, Scenario

SIGMA = 0.000035
"""Deviation of a step's logarithmic return in a calm market: 40 to 45 % a year."""

COMMON = 0.8
"""The common factor's share of it; shares of deviation, so their squares add up to one."""

OWN = sqrt(1 - COMMON**2)
SHARE = (0.85, 1.15)
"""How much of a common move a symbol makes."""

PULL = 0.002
WAVE_STEPS = 22
WAVES, RIPPLES = 1.5, 2.5
"""Deviations of a wave's part and of a step's, in an even part of the phase: many go against it."""

LEAST = 2.0
AFTERWARDS = "afterwards"


class LatentValue:
    """In ticks. Each step draws the same of the common generators, whatever befalls this symbol."""

    def __init__(self, start: float, *, symbol: str, seed: object, scenario: Scenario) -> None:
        self._common = Random(f"{seed}:common")
        self._waves = Random(f"{seed}:waves")
        self._own = Random(f"{seed}:{symbol}:value")
        self._share = self._own.uniform(*SHARE)
        self._agitation = Agitation(Random(f"{seed}:regime"))
        self._scenario = scenario
        self._base = log(max(LEAST, start))
        self._away = 0.0
        self._enter(0)

    @property
    def ticks(self) -> float:
        """The value now."""
        return max(LEAST, exp(self._base + self._away))

    @property
    def climate(self) -> Climate:
        """How agitated the market is."""
        return self._agitation.climate

    @property
    def regime(self) -> str:
        """The regime's name."""
        return self._agitation.regime

    @property
    def phase(self) -> str:
        """The scenario's phase; of one without phases its name."""
        phases = self._scenario.phases
        if not phases:
            return self._scenario.name
        return phases[self._phase].name if self._phase < len(phases) else AFTERWARDS

    def step(self, activity: float) -> float:
        """Move; `activity` is how busy trading is in multiples of usual. Returns the value."""
        mood = self._drift()
        climate = self._agitation.step(mood)
        shock = COMMON * self._share * self._common.gauss(0.0, 1.0)
        shock += OWN * self._own.gauss(0.0, 1.0) * sqrt(0.5 + 0.5 * activity)
        self._away += climate.volatility * SIGMA * shock - PULL * self._away
        return self.ticks

    def settle(self, ticks: float) -> None:
        """Be worth this from now on: something led the price elsewhere."""
        self._base, self._away = log(max(LEAST, ticks)), 0.0

    def _drift(self) -> Mood:
        """Move the base as the scenario says; returns the mood."""
        phases = self._scenario.phases
        if not self._drifts and self._phase < len(phases):
            self._enter(self._phase + 1)
        if self._phase == len(phases):
            return self._scenario.after
        self._base += self._share * self._drifts.pop()
        return phases[self._phase].mood

    def _enter(self, number: int) -> None:
        """Begin a phase, or around again behind the last; or what comes for ever."""
        phases = self._scenario.phases
        self._phase = 0 if self._scenario.again and number == len(phases) else number
        self._drifts = self._drawn(phases[self._phase]) if self._phase < len(phases) else []

    def _drawn(self, phase: Phase) -> list[float]:
        """A phase's move step by step, in waves; it adds up to the whole."""
        rng, parts, wave = self._waves, list[float](), 1.0
        for step in range(phase.steps):
            if step % WAVE_STEPS == 0:
                wave = rng.gauss(1.0, WAVES)
            parts.append(rng.gauss(wave, RIPPLES))
        short = 1 - sum(parts) / phase.steps
        return [phase.move / phase.steps * (part + short) for part in parts]
