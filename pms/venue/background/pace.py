"""How fast the made-up markets move: each steps four times a second, or as many times faster as is asked.

At another pace than 1 every step leaves as a diff of its own, as in a replay: the streams' hundred
milliseconds would gather away what was asked for. Nobody is waited for: a pace that cannot be kept is as
fast as the venue goes, and a client that reads more slowly falls behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation

from pms.venue.background.scenario import STEP_S
from pms.venue.background.synthetic import SyntheticMarket, take_step
from pms.venue.exchange import Exchange
from pms.venue.feeds.depth import DepthFeed

LEAST, MOST = Decimal("0.1"), Decimal(1000)


class PaceError(Exception):
    """A pace that cannot be; the message names the limit and what was asked."""


class MadeUpMarkets:
    """All made-up symbols, each at its own moment of every round."""

    def __init__(
        self, exchange: Exchange, synthetics: Mapping[str, SyntheticMarket], feeds: Mapping[str, DepthFeed]
    ) -> None:
        self._exchange = exchange
        self._synthetics = synthetics
        self._feeds = [feeds[name] for name in synthetics]
        self._pace = Decimal(1)
        self._steps = 0

    def go(self, pace: object) -> None:
        """Step so many times as often as usual, from the next step on; raises PaceError."""
        try:
            asked = Decimal(str(pace))
        except InvalidOperation:
            raise PaceError("pace must be a number") from None
        if not asked.is_finite() or not LEAST <= asked <= MOST:
            raise PaceError(f"pace must be {LEAST} to {MOST}; was {asked}")
        self._pace = asked
        for feed in self._feeds:
            feed.unmerged = asked != 1

    def as_json(self) -> dict[str, object]:
        """What the admin face shows."""
        return {"pace": str(self._pace), "symbols": len(self._synthetics), "steps": self._steps}

    async def run(self, now: Callable[[], float]) -> None:
        """Step for ever, by a clock in seconds; what a slow machine missed is not made up for."""
        if not self._synthetics:
            return
        due = now()
        while True:
            for symbol, synthetic in self._synthetics.items():
                take_step(self._exchange, symbol, synthetic)
                self._steps += 1
                due = max(due + STEP_S / float(self._pace) / len(self._synthetics), now())
                await asyncio.sleep(due - now())
