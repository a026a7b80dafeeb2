"""The clock of fundings: every symbol at 00, 08 and 16 UTC, and once more where an operator says so."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from pms.venue.acts import Acts
from pms.venue.exchange import Exchange
from pms.venue.market import FUNDING_RATE, next_funding


class Fundings:
    """Funds each symbol when its time is over. Trap: times that pass while the venue is down pass by."""

    def __init__(self, exchange: Exchange, acts: Acts) -> None:
        self._exchange = exchange
        self._acts = acts
        self._changed = asyncio.Event()
        now = exchange.clock()
        for market in exchange.markets.values():
            market.next_funding = next_funding(now)

    def set(self, symbol: str, rate: Decimal, *, in_ms: int) -> None:
        """Fund a symbol in so many milliseconds at a rate; its next one is the usual one again."""
        market = self._exchange.markets[symbol]
        market.next_funding = self._exchange.clock() + in_ms
        market.funding_rate = rate
        self._changed.set()

    def fire_due(self) -> None:
        """Fund every symbol whose time is over."""
        now = self._exchange.clock()
        for market in self._exchange.markets.values():
            if market.next_funding <= now:
                self._acts.fund(market.symbol.name, market.funding_rate)
                market.funding_rate = FUNDING_RATE
                market.next_funding = next_funding(now)

    async def run(self) -> None:
        """Fund what comes due, for ever."""
        while True:
            self.fire_due()
            self._changed.clear()
            earliest = min(
                (market.next_funding for market in self._exchange.markets.values()),
                default=next_funding(self._exchange.clock()),
            )
            wait = max(0.0, (earliest - self._exchange.clock()) / 1000)
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue
