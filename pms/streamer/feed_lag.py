"""How far the market feed is behind the exchange's clock when it is taken: the age of the freshest price.

A feed that still talks may be old: frames wait in a socket while the loop has no time for them, or on a line
that is too thin. The silence of a feed is another matter, and closes admission.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pms.streamer.engine import Engine

KIND, SUBJECT = "feed_behind", "market"
IN_A_ROW = 4
"""Looks that must say the same, half a second each: one hiccup of the line is no incident, nor its end."""


@dataclass(slots=True)
class FeedLag:
    """Measures it, and tells of it when it is as old as a silent feed may be."""

    exchange_now: Callable[[], int]
    ms: int | None = None
    #: at the last look; None: no frame came
    _least: int | None = None
    _late: int = 0
    _calm: int = 0

    def heard(self, at: int) -> None:
        """A frame is taken that the exchange sent at this time.

        What counts is the freshest of a while: symbols share a line, and one late frame is not a late feed.
        """
        lag = self.exchange_now() - at
        if self._least is None or lag < self._least:
            self._least = lag

    def look(self, engine: Engine) -> None:
        """Judge the frames since the last look. It begins above the limit, and ends below half of it."""
        self.ms, self._least = self._least, None
        if self.ms is None:
            return
        limit = engine.gate.stale_after_ms
        self._late = self._late + 1 if self.ms > limit else 0
        self._calm = self._calm + 1 if self.ms * 2 < limit else 0
        if self._late == IN_A_ROW:
            told = f"prices are more than {limit} ms behind the exchange when they are taken"
            engine.raise_incident(KIND, "critical", told, subject=SUBJECT, evidence={"ms": self.ms})
        elif self._calm == IN_A_ROW:
            engine.settle_incident(KIND, SUBJECT, f"the freshest price was {self.ms} ms old")
