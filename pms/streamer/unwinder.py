"""The unwinder: keeps the house's orders going until nothing is left of what it took over.

If the process dies:

    before the order is journaled      nothing was sent; the next life makes one, for as much
    before its worker is woken         the streamer sends it itself, as any order that nobody took
    after that                         it is an order like any other; the next waits until it is over
    before a cancel is journaled       the next life wants it cancelled, if it then still has a reason to
    after that                         a standing wish like any other; the next order waits for its end
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from pms.contract import names
from pms.domain.posting import Posting
from pms.domain.unwinding import unwind
from pms.streamer.engine import TAKE_OVER_S, Engine
from pms.streamer.urgent import wake_urgent

LOOK_EVERY_S = 0.25
PATIENCE_MS = 5_000
"""So long after a start the first price of what accounts hold is waited for; only a spread is at stake."""
IDLE_LOOK_S = 1.0
"""A late fill of an order that came with a position makes a debt, and nobody calls."""


@dataclass(slots=True)
class Unwinder:
    """Places the house's orders, one a symbol at a time."""

    engine: Engine
    redis: Redis
    new_id: Callable[[], str]
    spawn: Callable[[str, Coroutine[Any, Any, None]], object]
    _something: asyncio.Event = field(default_factory=asyncio.Event)
    _leaving: set[str] = field(default_factory=set)
    #: symbols whose last step is not journaled yet
    _awaited: set[str] = field(default_factory=set)
    #: symbols that accounts hold and that have had no price in this life
    _patient_until: int = 0

    def look(self) -> None:
        """Note that the house took something over."""
        self._something.set()

    def begin(self) -> None:
        """Note which prices are missing, by which accounts would yet be judged."""
        held = {
            symbol
            for account, each in self.engine.desk.held.items()
            for symbol, _ in each
            if account != names.HOUSE
        }
        self._awaited = held - self.engine.desk.tops.keys()
        self._patient_until = self.engine.now() + PATIENCE_MS

    async def run(self) -> None:
        """Unwind for ever."""
        self.begin()
        while True:
            self._something.clear()
            self.step()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S if self._symbols() else IDLE_LOOK_S):
                    await self._something.wait()

    def step(self) -> None:
        """Do in each symbol what is to be done next, where the last step is journaled."""
        if self._awaits():
            return
        for symbol in self._symbols():
            if symbol in self._leaving:
                continue
            posting = unwind(self.engine.desk, symbol, now=self.engine.now())
            if posting is not None:
                self._leave(symbol, posting)

    def _awaits(self) -> bool:
        """Whether a price is missing that may show what is left to be of a takeover not judged yet."""
        if self._awaited:
            self._awaited -= self.engine.desk.tops.keys()
            if self.engine.now() >= self._patient_until:
                self._awaited.clear()
        return bool(self._awaited)

    def _symbols(self) -> list[str]:
        """Where something is left, or an order of the house may rest that is not wanted any more."""
        live = self.engine.desk.live_of.get(names.HOUSE, {}).values()
        return list(dict.fromkeys([*self.engine.desk.unwinds, *(order.spec.symbol for order in live)]))

    def _leave(self, symbol: str, posting: Posting) -> None:
        """Journal a step, then wake a worker for its order."""
        self._leaving.add(symbol)
        self.engine.outbox.add(posting, lambda _: self._left(symbol, posting))

    def _left(self, symbol: str, posting: Posting) -> None:
        self._leaving.discard(symbol)
        self.engine.unwanted(posting, held=True)
        self._wake(posting)

    def _wake(self, posting: Posting) -> None:
        for row in posting.entry.rows.orders:
            if row.cancel_wanted:
                continue
            self.engine.agenda.put(row.client_order_id, in_s=TAKE_OVER_S)
            self.spawn("unwind", wake_urgent(self.redis, row.client_order_id, new_id=self.new_id))
