"""The parts of one running venue, as its faces see them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from pms.venue.account import Account
from pms.venue.acts import Acts
from pms.venue.amendments import Amendments
from pms.venue.auth import Credentials
from pms.venue.conditional.room import Conditionals
from pms.venue.countdown import Countdowns
from pms.venue.exchange import Exchange
from pms.venue.faults import Faults
from pms.venue.faults.replica import LateReads
from pms.venue.feeds.publisher import Feeds
from pms.venue.funding import Fundings
from pms.venue.limits import RateLimits
from pms.venue.listen_keys import ListenKeys
from pms.venue.market import Market
from pms.venue.params import Params
from pms.venue.symbols import SymbolTable

KEPT_ARRIVALS = 200_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """An order request as it reached its handler, by the monotonic clock."""

    at_ns: int
    client_order_id: str


@dataclass(slots=True)
class RequestLog:
    """What reached the REST face, counted before anything was decided about it."""

    counts: Counter[str] = field(default_factory=Counter)
    arrivals: deque[Arrival] = field(default_factory=lambda: deque(maxlen=KEPT_ARRIVALS))


def _never() -> bool:
    return False


@dataclass(slots=True)
class Venue:
    """Everything a request handler needs."""

    exchange: Exchange
    acts: Acts
    amendments: Amendments
    conditionals: Conditionals
    fundings: Fundings
    feeds: Feeds
    symbols: SymbolTable
    credentials: Credentials
    limits: RateLimits
    keys: ListenKeys
    countdowns: Countdowns
    faults: Faults
    late_reads: LateReads
    clock: Callable[[], int]
    monotonic_ns: Callable[[], int]
    token: Callable[[int], str]
    # Acks as they were before 2026-06-30, with avgPrice and cumQuote
    legacy_acks: bool = False
    # Whether it is about to end: the disk refused a write, or a task broke. Trap: memory may be ahead of the
    # disk from then on, so nobody is answered out of it
    failed: Callable[[], bool] = _never
    requests: RequestLog = field(default_factory=RequestLog)

    def market(self, params: Params) -> Market:
        """The market of the mandatory `symbol`; -1102 without, -1121 unknown."""
        symbol = self.symbols[params.need("symbol")]
        return self.exchange.markets[symbol.name]

    def chosen_market(self, params: Params) -> Market | None:
        """The market of an optional `symbol`."""
        return self.market(params) if params.sent("symbol") else None

    def account(self, name: str) -> Account:
        """An account by name."""
        return self.exchange.accounts[name]
