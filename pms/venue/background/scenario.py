"""What the made-up markets go through in their first minutes: phases, each with a move and a mood.

Counted in steps, so that a market of another pace goes through the same. None runs away: each ends in a
phase without a move, or goes around for ever and comes back to where it began.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log1p

from pms.venue.background.regime import LIVELY, NERVOUS, PANIC, QUIET, Mood

STEP_S = 0.25


class ScenarioError(Exception):
    """No such scenario, or no such symbol; the message names what is known."""


@dataclass(frozen=True, slots=True)
class Phase:
    """So long, by so many percent (each symbol a little more or less), in a mood."""

    name: str
    seconds: float
    percent: float
    mood: Mood

    @property
    def steps(self) -> int:
        """How many steps it takes."""
        return round(self.seconds / STEP_S)

    @property
    def move(self) -> float:
        """The whole move as a logarithm."""
        return log1p(self.percent / 100)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Phases one after the other, and then around again, or the last mood for ever."""

    name: str
    about: str
    phases: tuple[Phase, ...]
    after: Mood = field(default_factory=lambda: QUIET)
    again: bool = False

    @property
    def seconds(self) -> float:
        """How long its phases take at the usual pace."""
        return sum(phase.seconds for phase in self.phases)


def _back(up: Phase) -> Phase:
    """The way back to where a phase began, to the last digit of its logarithm."""
    return Phase("down", up.seconds, (1 / (1 + up.percent / 100) - 1) * 100, up.mood)


_UP = Phase("up", 75, 0.6, LIVELY)
CALM = Scenario("calm", "wanders around its start, tight and deep", ())
SCENARIOS: Mapping[str, Scenario] = {
    each.name: each
    for each in (
        CALM,
        Scenario("range", "up and down between two prices, for ever", (_UP, _back(_UP)), again=True),
        Scenario(
            "trend",
            "4 % up in ten minutes, with a pause",
            (
                Phase("calm", 30, 0, QUIET),
                Phase("rise", 210, 2.3, LIVELY),
                Phase("pause", 90, -0.8, LIVELY),
                Phase("rise", 270, 2.5, LIVELY),
            ),
        ),
        Scenario("volatile", "agitated for ever, with fits of stress", (), after=NERVOUS),
        Scenario(
            "crash",
            "calm, a rise, then 12 % down in a minute, and half a recovery",
            (
                Phase("calm", 90, 0, QUIET),
                Phase("rise", 150, 2.5, LIVELY),
                Phase("crash", 60, -12, PANIC),
                Phase("rebound", 75, 5, PANIC),
                Phase("aftermath", 165, -1.5, NERVOUS),
            ),
        ),
        Scenario(
            "squeeze",
            "calm, then 14 % up in a minute and a half, and half of it given back",
            (
                Phase("calm", 60, 0, QUIET),
                Phase("squeeze", 90, 14, PANIC),
                Phase("fade", 120, -6, NERVOUS),
                Phase("aftermath", 120, 0, NERVOUS),
            ),
        ),
    )
}


def assigned(texts: Sequence[str], listed: Iterable[str]) -> dict[str, Scenario]:
    """Each symbol's scenario, of `NAME` for all and `SYMBOL=NAME` for one; raises ScenarioError."""
    every, own = CALM, dict[str, Scenario]()
    symbols = tuple(listed)
    if texts and not symbols:
        raise ScenarioError("a scenario needs a made-up market, and here is none")
    for text in texts:
        symbol, equals, name = text.rpartition("=")
        scenario = SCENARIOS.get(name.lower())
        if scenario is None:
            raise ScenarioError(f"scenario must be one of {', '.join(SCENARIOS)}; was {name}")
        if not equals:
            every = scenario
        elif symbol.upper() in symbols:
            own[symbol.upper()] = scenario
        else:
            raise ScenarioError(f"scenario {text}: {symbol} has no made-up market here")
    return {symbol: own.get(symbol, every) for symbol in symbols}
