"""Reading behind one's own writes: queries are answered from a copy of the accounts that follows late.

The real exchange's queries lag its user stream by up to seconds. Here a rule of that kind gets copies of
all accounts' orders and trades, into which each change comes `ms` after it was made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from copy import copy

from pms.venue.account import Account
from pms.venue.exchange import Exchange
from pms.venue.faults.kinds import FaultKind
from pms.venue.faults.rule import Fault
from pms.venue.faults.rules import Faults
from pms.venue.state import Order, Trade
from pms.venue.transaction import Transaction

LATE_READS = frozenset(
    f"/fapi/v1/{name}" for name in ("order", "openOrder", "openOrders", "allOrders", "userTrades")
)
Change = Order | Trade


class Replica:
    """Orders and trades of all accounts, as they were `ms` ago."""

    def __init__(self, accounts: dict[str, Account], *, ms: int) -> None:
        self._ms = ms
        self._accounts = {name: _copied(account) for name, account in accounts.items()}
        self._coming: deque[tuple[int, list[Change]]] = deque()

    def take(self, time: int, changes: list[Change]) -> None:
        """Take what a transaction changed; it shows when it is old enough."""
        self._coming.append((time, changes))

    def account(self, account: Account, *, now: int) -> Account:
        """An account as a query sees it now."""
        while self._coming and self._coming[0][0] <= now - self._ms:
            for change in self._coming.popleft()[1]:
                self._apply(change)
        found = self._accounts.get(account.name)
        return found if found is not None else Account(account.wallet, account.past)

    def _apply(self, change: Change) -> None:
        account = self._accounts.get(change.account)
        if account is None:
            return
        if isinstance(change, Trade):
            account.trades[change.symbol].append(change)
            return
        known = change.order_id in account.orders[change.symbol]
        if known:
            account.orders[change.symbol][change.order_id] = change
            account.latest_by_client_id[change.symbol, change.client_order_id] = change
        else:
            account.remember(change)
        if change.open:
            account.add_open(change)
        else:
            account.close(change)


def _copied(account: Account) -> Account:
    """What queries need of an account. Trap: it has no positions, and knows no names of resting orders."""
    late = Account(account.wallet, account.past)
    for orders in account.orders.values():
        for order in orders.values():
            late.remember(own := copy(order))
            if own.open:
                late.add_open(own)
    for symbol, trades in account.trades.items():
        late.trades[symbol] = list(trades)
    return late


class LateReads:
    """Gives each rule of the kind its copies, and keeps them up to date; a watcher of the exchange."""

    def __init__(self, exchange: Exchange, faults: Faults, *, clock: Callable[[], int]) -> None:
        self._faults = faults
        self._clock = clock
        # More than one where a piece of work is several changes
        self._changed: list[Transaction] = []
        faults.keepers[FaultKind.STALE_READS] = lambda fault: Replica(exchange.accounts, ms=fault.ms)
        exchange.watchers.append(self)

    def closing(self, transaction: Transaction) -> None:
        """Note the change; other watchers may still add to it."""
        if self._faults.rules:
            self._changed.append(transaction)

    def closed(self) -> bool:
        """Copy what was changed for those that follow; that is no change of one's own."""
        if not self._changed:
            return False
        following = [each.kept for each in self._faults.rules.values() if _follows(each)]
        for changed in self._changed if following else ():
            changes: list[Change] = [
                copy(fact) for fact in changed.facts.values() if isinstance(fact, Order | Trade)
            ]
            for replica in following:
                replica.take(changed.time, changes)
        self._changed.clear()
        return False

    def reader(self, account: Account, method: str, path: str, subject: str) -> Account:
        """The account that a query of orders or trades is answered from."""
        if method != "GET" or path not in LATE_READS:
            return account
        fault = self._faults.on_read(account.name, subject)
        if fault is None:
            return account
        late: Account = fault.kept.account(account, now=self._clock())
        return late


def _follows(fault: Fault) -> bool:
    return fault.kind is FaultKind.STALE_READS and not fault.spent
