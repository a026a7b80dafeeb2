"""Play a recording into the venue's own book: one diff out for each diff in, trades as aggressors.

What a recorded diff says of a level is the anonymous quantity there from then on. Accounts' orders stand
behind what was there when they came (see matching.queue).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

import structlog

from pms.venue.background.recording import DiffStep, Recording, TradeStep
from pms.venue.exchange import Exchange
from pms.venue.feeds.depth import DepthFeed

log = structlog.get_logger(__name__)


class ReplayWait(StrEnum):
    """What the first recorded diff waits for, each symbol for itself."""

    NO = "no"
    SUBSCRIBED = "subscribed"
    SNAPSHOT = "snapshot"
    HOLD = "hold"
    """As SNAPSHOT, and behind the first diff for the operator: clients' books stand, and stand still."""


class Replay:
    """One symbol's recording at a speed: 1 as recorded, 10 ten times as fast, 0 as fast as it is read."""

    def __init__(
        self,
        recording: Recording,
        *,
        exchange: Exchange,
        feed: DepthFeed,
        speed: float,
        wait: ReplayWait,
        drained: Callable[[], Awaitable[None]],
    ) -> None:
        self._recording = recording
        self._exchange = exchange
        self._speed = speed
        self._drained = drained
        self._start = asyncio.Event()
        self._news = asyncio.Event()
        self._held = wait is ReplayWait.HOLD
        self._played = 0
        self._most_behind_s = 0.0
        market = exchange.markets[recording.symbol]
        exchange.replace_levels(recording.symbol, bids=recording.bids, asks=recording.asks)
        best = market.book.bids.best or market.book.asks.best
        if best is not None:
            market.last_price = best.price
        feed.unmerged = True
        if wait is ReplayWait.NO:
            self._start.set()
        else:
            feed.watch(subscribed=wait is ReplayWait.SUBSCRIBED, then=self._watched)

    def begin(self) -> None:
        """Start now, or go on, whatever was to be waited for."""
        self._held = False
        self._watched()

    def _watched(self) -> None:
        self._start.set()
        self._news.set()

    def as_json(self) -> dict[str, object]:
        """What the admin face shows."""
        return {
            "symbol": self._recording.symbol,
            "steps": len(self._recording.steps),
            "played": self._played,
            "mostBehindMs": round(self._most_behind_s * 1000),
            "finished": self._played == len(self._recording.steps),
        }

    async def run(self) -> None:
        """Play to the end."""
        await self._start.wait()
        name, steps = self._recording.symbol, self._recording.steps
        log.info("replay.begins", symbol=name, steps=len(steps), speed=self._speed)
        loop = asyncio.get_running_loop()
        started, origin = loop.time(), steps[0].at_ns
        for step in steps:
            if self._played and self._held:
                await self._hold(steps[0])
                started, origin = loop.time(), step.at_ns
            if self._speed:
                due = started + (step.at_ns - origin) / 1e9 / self._speed
                await asyncio.sleep(max(0.0, due - loop.time()))
                self._most_behind_s = max(self._most_behind_s, loop.time() - due)
            else:
                # Give the loop a turn, so that clients are read and written between two steps
                await asyncio.sleep(0)
                await self._drained()
            self._play(step)
            self._played += 1
        log.info("replay.ends", symbol=name)

    async def _hold(self, first: DiffStep | TradeStep) -> None:
        """Show the first diff anew behind each snapshot: who took one waits for a diff that reaches it."""
        while self._held:
            self._news.clear()
            await self._news.wait()
            if self._held:
                self._play(first)

    def _play(self, step: DiffStep | TradeStep) -> None:
        name = self._recording.symbol
        if isinstance(step, DiffStep):
            self._exchange.set_levels(name, bids=step.bids, asks=step.asks, forced=True)
        else:
            self._exchange.recorded_trade(name, side=step.side, price=step.price, lots=step.lots)
