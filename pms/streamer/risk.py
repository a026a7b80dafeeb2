"""Risk in the streamer: after each tick the accounts that it concerns are judged, before the next is read.

Memory changes at once and the entry waits in the outbox, like a fill's: so no account is judged twice for one
crossing, and a liquidation is as late as the tick is, whatever Redis does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from pms.domain.open_incidents import MANY
from pms.domain.posting import Posting
from pms.domain.risk_watch import RiskWatch
from pms.domain.tiers import Tiers
from pms.streamer.engine import Engine

log = structlog.get_logger()
WAITS = "liquidation_waits"


@dataclass(slots=True)
class RiskGuard:
    """Judges accounts as ticks come; `unwind` hears that the house took something over, `close` of orders
    by which an account is closed at market.

    `fatal` ends this life of the streamer: after a fault in the middle of a liquidation memory is not what
    the journal says, and only a new start makes it so.
    """

    engine: Engine
    tiers_of: Callable[[str], Tiers]
    unwind: Callable[[], None]
    close: Callable[[Posting], None]
    fatal: Callable[[Exception], None]
    watch: RiskWatch = field(init=False)
    _on: bool = False
    _told: dict[str, str] = field(default_factory=dict)
    #: by account that waits, what this life has told of it

    def __post_init__(self) -> None:
        self.watch = RiskWatch(self.engine.desk, self.tiers_of)

    def begin(self) -> None:
        """Watch from here on: the books are complete. Everyone is judged at the prices there are.

        Not with the next tick: the house would close meanwhile what only looks like its own. An order of a
        takeover that was lost with Redis' tail is known by its trades, until that takeover is judged again.
        """
        self.watch.begin()
        desk = self.engine.desk
        for row in desk.incidents.of_kind(WAITS):
            # Whoever waited and has closed all since stands in no tier, and no tick would concern him.
            if row.subject in desk.accounts:
                desk.unweighed.add(row.subject)
            else:
                self.engine.settle_incident(WAITS, row.subject, "who still waits is told of by name")
        self._on = True
        for symbol in list(desk.tops):
            self.ticked(symbol)

    def ticked(self, symbol: str) -> None:
        """Judge whom a tick concerns."""
        if not self._on:
            return
        for account in self.watch.due(symbol, self.engine.desk.last_tops[symbol].mid):
            try:
                self._judge(account)
            except Exception as error:
                log.exception("account_not_judged", account=account)
                self._on = False
                self.fatal(error)
                return

    def _judge(self, account: str) -> None:
        done = self.watch.judge(account, now=self.engine.now())
        if isinstance(done, str):
            self._tell(account, f"{account} has crossed a line, but {done}")
            return
        if done is not None:
            self.engine.outbox.add(done, lambda held: self._journaled(done, held=held))
        self.engine.settle_incident(WAITS, account, "its prices may be acted on again")
        if self._told.pop(account, None) and not self._told:
            self.engine.settle_incident(WAITS, MANY, "nobody waits any more")

    def _tell(self, account: str, detail: str) -> None:
        """Tell that an account waits, once: in words of its own, as soon as there is room for them."""
        known = self.engine.desk.incidents
        if self._told.get(account) == detail and (known.get(WAITS, account) or known.full(WAITS)):
            return
        self._told[account] = detail
        self.engine.raise_incident(WAITS, "critical", detail, subject=account)

    def _journaled(self, posting: Posting, *, held: bool) -> None:
        """Only now may anything leave for the exchange: cancels, and the house's own orders.

        Algos that it ended are asked: only they want those of their orders cancelled that are not named here.
        """
        if not held:
            return
        self.engine.unwanted(posting, held=held)
        self.engine.tell_algos(posting)
        if posting.entry.rows.unwinds:
            self.unwind()
        self.close(posting)
