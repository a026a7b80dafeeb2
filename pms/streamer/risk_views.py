"""What is shown of accounts, told anew before it expires: a few at a time, in the outbox's own turn.

Prices move an account's equity without an entry, so the journal's own writes do not keep it fresh. Between
two appends memory is the journal and what waits for it; an account that no waiting posting names is shown as
it is journaled. The script refuses what comes late (`show.lua`), and a refused slice is tried again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import structlog
from redis.exceptions import RedisError

from pms.bus.shown import Shown, View
from pms.domain.desk import Desk
from pms.domain.posting import Posting
from pms.streamer.outbox import Outbox

log = structlog.get_logger()
EVERY_S = 10.0
AT_ONCE = 16
"""A slice: one or two milliseconds of the loop."""

LEAST_PAUSE_S, MOST_PAUSE_S = 0.005, 0.25


@dataclass(slots=True)
class RiskViews:
    """Shows every account once, and then each that has something at stake, every ten seconds."""

    desk: Desk
    outbox: Outbox
    shown: Shown
    sleep: Callable[[float], Awaitable[None]]
    monotonic: Callable[[], float]
    _left: dict[str, None] = field(default_factory=dict)
    #: of this round, in order

    async def run(self) -> None:
        """Show them for ever. Trap: only of a desk that is recovered; before, memory is older than Redis.

        The first round is of all accounts: a dead life, or a tail that Redis lost, may have left any of them.
        """
        self._left.update(dict.fromkeys(self.desk.accounts))
        while True:
            due = self.monotonic() + EVERY_S
            pause = EVERY_S * AT_ONCE / max(len(self._left), 1)
            while self._left and self.monotonic() < due:
                self.outbox.between(self._slice)
                await self.sleep(min(max(pause, LEAST_PAUSE_S), MOST_PAUSE_S))
            await self.sleep(max(0.0, due - self.monotonic()))
            self._left.update(dict.fromkeys(filter(self._at_stake, self.desk.accounts)))

    async def _slice(self, waiting: Sequence[Posting]) -> None:
        """Show some that are left. Nothing may be awaited between looking at memory and the call."""
        ahead = named(waiting)
        seq = waiting[0].entry.prev if waiting else self.desk.last_seq
        some = list(islice((account for account in self._left if account not in ahead), AT_ONCE))
        views = [View(each, self.desk.snapshot(each), self._at_stake(each)) for each in some]
        try:
            if views and await self.shown.show(views, seq=seq):
                for account in some:
                    del self._left[account]
        except (RedisError, OSError) as error:
            log.warning("risk_not_shown", error=str(error))

    def _at_stake(self, account: str) -> bool:
        return bool(self.desk.held.get(account) or self.desk.pending.get(account))


def named(postings: Iterable[Posting]) -> set[str]:
    """The accounts whose money, positions or orders postings move."""
    rows = [posting.entry.rows for posting in postings]
    found = {row.id for each in rows for row in each.sub_accounts}
    found.update(row.sub_account_id for each in rows for row in each.positions)
    found.update(row.sub_account_id for each in rows for row in each.orders)
    return found
