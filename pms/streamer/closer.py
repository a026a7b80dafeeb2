"""The closer: keeps the orders going by which accounts are liquidated at market, until each is closed.

What it goes by is the account's mark, its positions and its live orders, all of them in the journal: so a new
life goes on where the last one was. If the process dies:

    before the orders are journaled    nothing was sent; the next life makes them, for what is there then
    before a worker is woken           they are of an epoch that is over: void, and the next life makes others
    after that                         they are orders like any other; each blocks its part until it is over
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from pms.domain.close_pace import ClosePace
from pms.domain.closing import close_on
from pms.domain.posting import Posting
from pms.domain.tiers import Tiers
from pms.domain.unwinding import ORIGIN
from pms.streamer.engine import TAKE_OVER_S, Engine
from pms.streamer.urgent import wake_urgent

LOOK_EVERY_S = 0.25
STUCK = "closing_stuck"
LONG_MS = 60_000
"""Whoever is not closed by then is told of, whatever the reason: a symbol that does not trade, no price."""


@dataclass(slots=True)
class Closer:
    """Places the orders of accounts that are closed at market; `fatal` ends this life of the streamer."""

    engine: Engine
    redis: Redis
    tiers_of: Callable[[str], Tiers]
    new_id: Callable[[], str]
    spawn: Callable[[str, Coroutine[Any, Any, None]], object]
    pace: ClosePace = field(default_factory=ClosePace)
    _sent: set[str] = field(default_factory=set)
    #: closing orders whose end has not been seen
    _since: dict[str, int] = field(default_factory=dict)
    #: by account, when this life first saw it being closed
    _stuck: set[str] = field(default_factory=set)
    #: accounts of which an operator was told
    _something: asyncio.Event = field(default_factory=asyncio.Event)

    def journaled(self, posting: Posting) -> None:
        """An entry with closing orders is in the journal: only now may they leave."""
        for row in posting.entry.rows.orders:
            if row.origin == ORIGIN and row.state == "placing" and not row.cancel_wanted:
                self._sent.add(row.client_order_id)
                self.engine.agenda.put(row.client_order_id, in_s=TAKE_OVER_S)
                self.spawn("close", wake_urgent(self.redis, row.client_order_id, new_id=self.new_id))
        self._something.set()

    async def run(self) -> None:
        """Close for ever."""
        # Not from the marks: what ended a closing may have been booked before this life came to look.
        self._stuck = {row.subject or row.detail for row in self.engine.desk.incidents.of_kind(STUCK)}
        while True:
            self._something.clear()
            self.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S if self.engine.desk.closing else None):
                    await self._something.wait()

    def look(self) -> None:
        """Do once, for every account, what is to be done now."""
        self._see_ends()
        for account in sorted(self.engine.desk.closing):
            self._go_on(account)
        self._tell_stuck()

    def _go_on(self, account: str) -> None:
        now = self.engine.now()
        posting = close_on(
            self.engine.desk,
            account,
            self.tiers_of(account),
            now=now,
            may=lambda place: self.pace.may(place, now=now),
        )
        if posting is not None:
            self.engine.outbox.add(posting, lambda _: self.journaled(posting))

    def _see_ends(self) -> None:
        """Learn from each order's end when its position may be tried again."""
        desk = self.engine.desk
        for coid in sorted(self._sent):
            order = desk.orders.get(coid)
            if order is not None and not order.state.terminal:
                continue
            self._sent.discard(coid)
            if order is not None:
                self.pace.ended(order, now=self.engine.now())

    def _tell_stuck(self) -> None:
        """Tell an operator of accounts that cannot be closed, and when they can."""
        now, closing = self.engine.now(), self.engine.desk.closing
        for account in sorted({place[0] for place in self.pace.failures} - closing):
            self.pace.forget(account)
        self._since = {account: self._since.get(account, now) for account in closing}
        stuck = set()
        for account, since in sorted(self._since.items()):
            symbols, slow = self.pace.stuck(account), now - since > LONG_MS
            if symbols or slow:
                stuck.add(account)
            if account not in stuck - self._stuck:
                continue
            why = "order after order comes to nothing" if symbols else "it is not closed after a minute"
            self.engine.raise_incident(
                STUCK,
                "critical",
                f"{account} is being closed at market, and {why}",
                subject=account,
                evidence={"symbols": symbols},
            )
        for account in sorted(self._stuck - stuck):
            self.engine.settle_incident(STUCK, account, "an order of it traded, or it is tried anew")
        self._stuck = stuck
