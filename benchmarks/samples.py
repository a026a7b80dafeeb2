"""Samples and what is told of them: percentiles, ratios, one JSON object."""

from __future__ import annotations

import sys
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


class Progress:
    """Lines on stderr that say what is being measured, with the seconds since the start."""

    def __init__(self) -> None:
        self._began = monotonic()

    def say(self, text: str) -> None:
        sys.stderr.write(f"{monotonic() - self._began:6.1f} s  {text}\n")
        sys.stderr.flush()
