"""Samples and what is told of them: percentiles, ratios, one JSON object."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic


@dataclass(slots=True)
class Samples:
    """Latencies of one series, in nanoseconds."""

    taken: list[int] = field(default_factory=list)

    def us(self, part: float) -> float:
        """A percentile, in microseconds."""
        ordered = sorted(self.taken)
        return round(ordered[min(len(ordered) - 1, int(part * len(ordered)))] / 1000, 1)


def ratio(above: float, below: float) -> float:
    """How many times the floor."""
    return round(above / below, 2)


LAST_TURN_ENDS_S = 46
"""When the last turn is to have ended, in seconds since the start; `pms bench` allows 50."""


def turns(wanted: int, spent_s: Callable[[], float], *, within_s: float = LAST_TURN_ENDS_S) -> Iterator[int]:
    """Number the turns from 1; as many as wanted, or as a busy machine has time for, one at least.

    No turn begins that would end too late if it took as long as the longest before it.
    """
    longest = 0.0
    for turn in range(1, wanted + 1):
        began = spent_s()
        if turn > 1 and began + longest > within_s:
            return
        yield turn
        longest = max(longest, spent_s() - began)


class Progress:
    """Lines on stderr that say what is being measured, with the seconds since the start."""

    def __init__(self) -> None:
        self._began = monotonic()

    def spent_s(self) -> float:
        """Seconds since the start."""
        return monotonic() - self._began

    def say(self, text: str) -> None:
        sys.stderr.write(f"{self.spent_s():6.1f} s  {text}\n")
        sys.stderr.flush()
