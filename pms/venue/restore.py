"""From journaled facts to a running exchange, and back to the facts of a snapshot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from pms.venue.account import Account
from pms.venue.exchange import Exchange
from pms.venue.history import Over
from pms.venue.state import (
    AlgoOrder,
    Amendment,
    ApiKey,
    Countdown,
    Fact,
    Funding,
    Income,
    LastIds,
    ListenKey,
    Order,
    Position,
    SymbolState,
    Trade,
    Wallet,
    Watermark,
)


@dataclass(slots=True)
class Remembered:
    """The last word on every key, and the histories in order."""

    wallets: dict[str, Wallet] = field(default_factory=dict)
    positions: dict[tuple[str, str, str], Position] = field(default_factory=dict)
    orders: dict[tuple[str, str, int], Order] = field(default_factory=dict)
    algos: dict[int, AlgoOrder] = field(default_factory=dict)
    amendments: list[Amendment] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    incomes: list[Income] = field(default_factory=list)
    fundings: list[Funding] = field(default_factory=list)
    keys: dict[str, ListenKey] = field(default_factory=dict)
    api_keys: dict[str, ApiKey] = field(default_factory=dict)
    countdowns: dict[tuple[str, str], Countdown] = field(default_factory=dict)
    symbols: dict[str, SymbolState] = field(default_factory=dict)
    last_ids: LastIds = field(default_factory=LastIds)
    _following: defaultdict[tuple[str, str, int], dict[int, AlgoOrder]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    @classmethod
    def fold(cls, facts: Iterable[Fact]) -> Remembered:
        """Read facts in order."""
        memory = cls()
        memory.go_on(facts)
        return memory

    def go_on(self, facts: Iterable[Fact]) -> None:
        """Read more facts, in order."""
        for fact in facts:
            self._take(fact)

    def _take(self, fact: Fact) -> None:
        if isinstance(fact, Order):
            self.orders[fact.account, fact.symbol, fact.order_id] = fact
        elif isinstance(fact, AlgoOrder):
            self._take_algo(fact)
        elif isinstance(fact, Amendment):
            self.amendments.append(fact)
            newest = max(self.last_ids.amendment, fact.amendment_id)
            self.last_ids = LastIds(algo=self.last_ids.algo, amendment=newest)
        elif isinstance(fact, Watermark):
            for algo in self._following[fact.symbol, fact.working_type, fact.side].values():
                better = (fact.price - algo.peak) * -algo.side > 0
                algo.peak = fact.price if better else algo.peak
        elif isinstance(fact, Trade):
            self.trades.append(fact)
        elif isinstance(fact, Position):
            self.positions[fact.account, fact.symbol, fact.position_side] = fact
        elif isinstance(fact, Wallet):
            self.wallets[fact.account] = fact
        elif isinstance(fact, Income):
            self.incomes.append(fact)
        elif isinstance(fact, Funding):
            self.fundings.append(fact)
        elif isinstance(fact, ListenKey):
            self.keys[fact.account] = fact
        elif isinstance(fact, ApiKey):
            self.api_keys[fact.key] = fact
        elif isinstance(fact, Countdown):
            self.countdowns[fact.account, fact.symbol] = fact
        elif isinstance(fact, LastIds):
            self.last_ids = fact
        else:
            self.symbols[fact.symbol] = fact

    def _take_algo(self, algo: AlgoOrder) -> None:
        self.algos[algo.algo_id] = algo
        if algo.algo_id > self.last_ids.algo:
            self.last_ids = LastIds(algo=algo.algo_id, amendment=self.last_ids.amendment)
        following = self._following[algo.symbol, algo.working_type, algo.side]
        if algo.status == "NEW" and algo.activated:
            following[algo.algo_id] = algo
        else:
            following.pop(algo.algo_id, None)

    @property
    def newest(self) -> int:
        """When anything happened last; 0 where nothing has."""
        changed: Iterator[Wallet | Position | Order | AlgoOrder] = chain(
            self.wallets.values(), self.positions.values(), self.orders.values(), self.algos.values()
        )
        happened: Iterator[Amendment | Trade | Income | Funding] = chain(
            self.amendments, self.trades, self.incomes, self.fundings
        )
        return max(chain((each.updated for each in changed), (each.time for each in happened)), default=0)

    def depart(self) -> list[Over]:
        """Take out all that is over and give it away."""
        gone: list[Over] = [order for order in self.orders.values() if not order.open]
        self.orders = {key: order for key, order in self.orders.items() if order.open}
        gone += [algo for algo in self.algos.values() if algo.over]
        self.algos = {key: algo for key, algo in self.algos.items() if not algo.over}
        for rows in (self.amendments, self.trades, self.incomes, self.fundings):
            gone += rows
            rows.clear()
        return gone

    def facts(self) -> Iterator[Fact]:
        """All of it."""
        yield self.last_ids
        yield from self.symbols.values()
        yield from self.wallets.values()
        yield from self.positions.values()
        yield from self.orders.values()
        yield from self.algos.values()
        yield from self.amendments
        yield from self.trades
        yield from self.incomes
        yield from self.fundings
        yield from (key for key in self.keys.values() if key.expires)
        yield from self.api_keys.values()
        yield from (each for each in self.countdowns.values() if each.deadline)


def restore(exchange: Exchange, memory: Remembered) -> list[Order]:
    """Fill a new exchange; returns open orders of symbols it no longer lists, which stay out of the books."""
    for wallet in memory.wallets.values():
        exchange.enter(Account(wallet, exchange.past))
    accounts = exchange.accounts
    for name, state in memory.symbols.items():
        if name in exchange.markets:
            exchange.markets[name].restore(state)
    for position in memory.positions.values():
        accounts[position.account].restore(position)
    for order in sorted(memory.orders.values(), key=lambda each: each.order_id):
        accounts[order.account].remember(order)
    for trade in memory.trades:
        accounts[trade.account].trades[trade.symbol].append(trade)
    for income in memory.incomes:
        accounts[income.account].incomes.append(income)
    for funding in memory.fundings:
        if funding.symbol in exchange.markets:
            exchange.markets[funding.symbol].fundings.append(funding)
    unlisted: list[Order] = []
    for order in sorted(memory.orders.values(), key=lambda each: each.rank):
        if order.open:
            if order.symbol in exchange.markets:
                exchange.restore_order(order)
            else:
                unlisted.append(order)
    return unlisted
