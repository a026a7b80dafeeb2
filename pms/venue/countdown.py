"""The dead man's switch: countdownCancelAll, one timer for each account and symbol."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from pms.venue.account import Account
from pms.venue.exchange import Exchange
from pms.venue.state import Countdown
from pms.venue.transaction import Journal


class Countdowns:
    """Deadlines in exchange time. They are journaled: a restart does not lose the protection."""

    def __init__(self, remembered: Iterable[Countdown], *, exchange: Exchange, journal: Journal) -> None:
        self._deadlines = {(each.account, each.symbol): each.deadline for each in remembered if each.deadline}
        self._exchange = exchange
        self._journal = journal
        self._changed = asyncio.Event()

    def set(self, account: Account, symbol: str, milliseconds: int) -> None:
        """Start or renew a timer; 0 stops it."""
        deadline = self._exchange.clock() + milliseconds if milliseconds else 0
        self._store(account.name, symbol, deadline)
        self._changed.set()

    def _store(self, account: str, symbol: str, deadline: int) -> None:
        if deadline:
            self._deadlines[account, symbol] = deadline
        elif self._deadlines.pop((account, symbol), None) is None:
            return
        self._journal.append([Countdown(account=account, symbol=symbol, deadline=deadline)])

    def fire_due(self) -> None:
        """Cancel all orders whose time is up; a timer fires once."""
        now = self._exchange.clock()
        for (name, symbol), deadline in list(self._deadlines.items()):
            if deadline <= now:
                if symbol in self._exchange.markets:
                    self._exchange.cancel_all(self._exchange.accounts[name], symbol)
                self._store(name, symbol, 0)

    async def run(self) -> None:
        """Fire timers as they come due, for ever."""
        while True:
            self.fire_due()
            self._changed.clear()
            earliest = min(self._deadlines.values(), default=None)
            timeout = None if earliest is None else max(0.0, (earliest - self._exchange.clock()) / 1000)
            try:
                async with asyncio.timeout(timeout):
                    await self._changed.wait()
            except TimeoutError:
                continue
