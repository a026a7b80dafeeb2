"""The unwinder: keeps the house's orders going until nothing is left of what it took over.

If the process dies:

    before the order is journaled      nothing was sent; the next life makes one, for as much
    before its worker is woken         the streamer sends it itself, as any order that nobody took
    after that                         it is an order like any other; the next waits until it is over
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from pms.contract import names
from pms.contract.limits import UNWIND_NOTIONAL
from pms.domain.posting import Posting
from pms.domain.unwinding import unwind
from pms.streamer.engine import TAKE_OVER_S, Engine
from pms.streamer.urgent import wake_urgent

LOOK_EVERY_S = 0.25


@dataclass(slots=True)
class Unwinder:
    """Places the house's orders, one a symbol at a time."""

    engine: Engine
    redis: Redis
    new_id: Callable[[], str]
    spawn: Callable[[str, Coroutine[Any, Any, None]], object]
    _something: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self) -> None:
        """Note that the house took something over."""
        self._something.set()

    async def run(self) -> None:
        """Unwind for ever."""
        while True:
            self._something.clear()
            for symbol in list(self.engine.desk.unwinds):
                most = self.engine.desk.limits.of(names.HOUSE, UNWIND_NOTIONAL, symbol)
                posting = unwind(self.engine.desk, symbol, now=self.engine.now(), most_notional=most)
                if posting is not None:
                    self._leave(posting)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S if self.engine.desk.unwinds else None):
                    await self._something.wait()

    def _leave(self, posting: Posting) -> None:
        """Journal an order, then wake a worker for it."""
        self.engine.outbox.add(posting, lambda _: self._wake(posting))

    def _wake(self, posting: Posting) -> None:
        for row in posting.entry.rows.orders:
            self.engine.agenda.put(row.client_order_id, in_s=TAKE_OVER_S)
            self.spawn("unwind", wake_urgent(self.redis, row.client_order_id, new_id=self.new_id))
