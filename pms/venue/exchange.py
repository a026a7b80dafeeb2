"""The exchange itself: every change of books and accounts, one at a time, each a transaction.

No I/O happens here and nothing is awaited: a call returns when its change is whole, journaled and handed
to the publisher. So user events are on their way before the caller's HTTP answer is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal

from pms.venue import errors, user_events
from pms.venue.account import Account
from pms.venue.brackets import max_leverage, max_notional
from pms.venue.checks import NewOrder, check_funds, check_new_order, excess_reduce_only, market_order_limit
from pms.venue.market import Market
from pms.venue.matching import (
    CannotFill,
    Execution,
    Fill,
    RestingOrder,
    SelfTrade,
    TimeInForce,
    WouldTake,
    execute,
)
from pms.venue.settlement import Fees, Settlement
from pms.venue.state import ZERO, Order, Position, SymbolState, Wallet
from pms.venue.transaction import Journal, Publisher, Transaction, Watcher

MAX_AMENDMENTS = 10_000
Levels = Iterable[tuple[int, int]]


class Exchange:
    """Single writer of all venue state. `clock` gives milliseconds since the epoch."""

    def __init__(
        self,
        markets: Mapping[str, Market],
        *,
        journal: Journal,
        publisher: Publisher,
        clock: Callable[[], int],
        fees: Fees | None = None,
    ) -> None:
        self.markets = markets
        self.accounts: dict[str, Account] = {}
        self.fees = fees or Fees()
        self.clock = clock
        self._journal = journal
        self._publisher = publisher
        self._owners: dict[str, int] = {}
        self.settlement = Settlement(self.accounts, self.fees, markets=markets)
        self._rank = 0
        self.watchers: list[Watcher] = []
        self._changing: Transaction | None = None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One change: journaled and published when the block ends, forgotten when it raises.

        Inside another change it is part of that one.
        Trap: whatever may be refused is refused before the first mutation; nothing is rolled back.
        """
        if self._changing is not None:
            yield self._changing
            return
        tx = self._changing = Transaction(self.clock())
        try:
            yield tx
            for watcher in self.watchers:
                watcher.closing(tx)
            for name in tx.touched:
                market = self.markets[name]
                if market.exhausted():
                    tx.record(market.reserve())
            if tx.facts:
                self._journal.append(list(tx.facts.values()))
        finally:
            self._changing = None
        self._publisher.publish(tx)
        for watcher in self.watchers:
            watcher.closed()

    # Accounts

    def enter(self, account: Account) -> None:
        """Take an account in, as restored or new."""
        self._owners[account.name] = len(self._owners) + 1
        self.accounts[account.name] = account

    def open_account(self, name: str, balance: Decimal) -> Account:
        """A new account with a first deposit."""
        with self.transaction() as tx:
            account = Account(Wallet(account=name, balance=ZERO, updated=tx.time))
            self.enter(account)
            self.settlement.credit(tx, account, balance, type_="TRANSFER")
        return account

    def restore_order(self, order: Order) -> None:
        """Put an open order back into the book. Trap: call in ascending rank."""
        self._rank = max(self._rank, order.rank)
        account, market = self.accounts[order.account], self.markets[order.symbol]
        account.add_open(order)
        resting = self._resting(order)
        market.book.rest(resting)
        market.resting[order.order_id] = resting
        self._expose(market, order)

    def set_leverage(self, account: Account, symbol: str, leverage: int) -> Position:
        """Set the leverage of a symbol; -4028 outside 1…max, -2027 if the position is too large for it."""
        market = self.markets[symbol]
        if not 1 <= leverage <= max_leverage(symbol):
            raise errors.bad_leverage(leverage)
        position = account.position(symbol)
        notional = abs(market.mark * market.symbol.step * position.lots)
        if notional > max_notional(symbol, leverage):
            raise errors.refusal(-2027)
        with self.transaction() as tx:
            position.leverage = leverage
            tx.record(position)
            event = user_events.leverage_update(position, time=tx.time)
            tx.tell(account.name, "ACCOUNT_CONFIG_UPDATE", event)
        return position

    # Orders

    def place(self, account: Account, new: NewOrder) -> Order:
        """Check, match and perhaps rest an order; the order in its state after matching."""
        market = self.markets[new.symbol]
        assumed = check_new_order(account, market, new, self.markets)
        is_market = new.type == "MARKET"
        with self.transaction() as tx:
            order = Order(
                account=account.name,
                symbol=new.symbol,
                order_id=0,
                client_order_id=new.client_order_id,
                side=new.side,
                type=new.type,
                time_in_force=new.time_in_force.value,
                price=new.price,
                quantity=new.lots,
                reduce_only=new.reduce_only,
                self_trade=new.self_trade.value,
                created=tx.time,
                updated=tx.time,
                assumed=assumed,
                origin=new.origin,
            )
            resting = self._resting(order)
            limit = market_order_limit(market, new.side) if is_market else new.price
            in_force = TimeInForce.IOC if is_market else new.time_in_force
            execution = _execute(market, resting, limit=limit, time_in_force=in_force, mode=new.self_trade)
            order.order_id = market.take_order_id()
            account.remember(order)
            self._finish(tx, market, order, resting, execution, announce=True)
        return order

    def cancel(
        self, account: Account, symbol: str, *, order_id: int | None, client_order_id: str | None
    ) -> Order:
        """Cancel an open order; -2011 if it is not open."""
        order: Order | None
        if order_id is not None:
            order = account.open[symbol].get(order_id)
        elif client_order_id is not None:
            order = account.open_by_client(symbol, client_order_id)
        else:
            raise errors.one_of_two("orderId", "origClientOrderId")
        if order is None:
            raise errors.refusal(-2011)
        with self.transaction() as tx:
            self._close(tx, self.markets[symbol], order, status="CANCELED", execution="CANCELED")
        return order

    def cancel_all(self, account: Account, symbol: str) -> None:
        """Cancel every open order of a symbol; fine with none."""
        with self.transaction() as tx:
            for order in list(account.open[symbol].values()):
                self._close(tx, self.markets[symbol], order, status="CANCELED", execution="CANCELED")

    def amend(self, account: Account, order: Order, *, price: int, lots: int) -> Order:
        """Change price and total quantity of an open limit order; it goes to the back of the queue.

        Cancels it instead if that much is filled already, or if a post-only order would take.
        """
        market = self.markets[order.symbol]
        if order.price == price and order.quantity == lots:
            raise errors.refusal(-5027)
        if order.amendments >= MAX_AMENDMENTS:
            raise errors.refusal(-5026)
        market.symbol.check_percent_price(order.side, price, market.mark)
        left = lots - order.executed
        post_only_takes = order.time_in_force == "GTX" and market.book.would_take(order.side, price)
        if left <= 0 or post_only_takes:
            with self.transaction() as tx:
                self._close(tx, market, order, status="CANCELED", execution="CANCELED")
            return order
        if not order.reduce_only:
            market.symbol.check_notional(market.symbol.price(price), lots)
        assumed = check_funds(
            account,
            market,
            side=order.side,
            price=market.symbol.price(price),
            lots=left,
            reduce_only=order.reduce_only,
            markets=self.markets,
            replaced=order,
        )
        with self.transaction() as tx:
            self._withdraw(tx, market, order)
            order.price, order.quantity, order.assumed = price, lots, assumed
            order.amendments += 1
            order.self_trade = SelfTrade.NONE.value
            order.updated = tx.time
            resting = self._resting(order)
            in_force = TimeInForce(order.time_in_force)
            execution = _execute(market, resting, limit=price, time_in_force=in_force, mode=SelfTrade.NONE)
            self.settlement.tell_order(tx, market, order, execution="AMENDMENT")
            self._finish(tx, market, order, resting, execution, announce=False)
        return order

    # What the exchange itself does to accounts (acts.py)

    def expire_open(self, tx: Transaction, account: Account, symbol: str, *, reason: int) -> None:
        """Expire all open orders of an account in a symbol; `reason` as `er` tells it."""
        for order in list(account.open[symbol].values()):
            self._expire(tx, self.markets[symbol], order, status="EXPIRED", reason=reason)

    def give_way(self, tx: Transaction, account: Account, symbol: str, *, lots: int) -> None:
        """Expire the newest resting reduce-only orders, so that this much more can reduce the position."""
        resting = list(account.exposures[symbol].reduce_only.values())
        held = abs(account.position(symbol).lots)
        while resting and sum(order.remaining for order in resting) + lots > held:
            self._expire(tx, self.markets[symbol], resting.pop(), status="EXPIRED", reason=4)

    def trim_reduce_only(self, tx: Transaction, market: Market, account: Account) -> None:
        """Expire the reduce-only orders of an account that have nothing left to reduce."""
        for order in excess_reduce_only(account, market.symbol.name):
            self._expire(tx, market, order, status="EXPIRED", reason=4)

    # The anonymous market

    def set_levels(self, symbol: str, *, bids: Levels, asks: Levels, forced: bool = False) -> None:
        """Set anonymous levels at once, as one diff; `forced` sends the diff even if it says nothing new."""
        market = self.markets[symbol]
        with self.transaction() as tx:
            tx.forced = forced
            self._background(tx, market, market.book.apply_anonymous(bids, asks))

    def replace_levels(self, symbol: str, *, bids: Levels, asks: Levels) -> None:
        """Set the whole anonymous market from a snapshot."""
        market = self.markets[symbol]
        with self.transaction() as tx:
            self._background(tx, market, market.book.replace_anonymous(bids, asks))

    def background_order(self, symbol: str, *, side: int, lots: int, limit: int | None) -> None:
        """Let the anonymous market take liquidity."""
        market = self.markets[symbol]
        with self.transaction() as tx:
            self._background(tx, market, market.book.aggress(side=side, quantity=lots, limit=limit))

    def recorded_trade(self, symbol: str, *, side: int, price: int, lots: int) -> None:
        """Replay one recorded trade; only accounts' orders are filled by it."""
        market = self.markets[symbol]
        with self.transaction() as tx:
            self._background(tx, market, market.book.print_trade(side=side, price=price, quantity=lots))

    def checkpoint(self) -> None:
        """Journal the last prices, so that a restart goes on from them."""
        states: list[SymbolState] = [market.reserve() for market in self.markets.values()]
        self._journal.append(list(states))

    # Inside a transaction

    def _background(self, tx: Transaction, market: Market, fills: list[Fill]) -> None:
        tx.touched.add(market.symbol.name)
        for fill in fills:
            self.settlement.settle(tx, market, fill, None)
        self._trim_reduce_only(tx, market, fills)

    def _finish(
        self,
        tx: Transaction,
        market: Market,
        order: Order,
        resting: RestingOrder,
        execution: Execution,
        *,
        announce: bool,
    ) -> None:
        """Book what an arrival did, and give the order its place in the book or its end."""
        tx.touched.add(market.symbol.name)
        tx.record(order)
        account = self.accounts[order.account]
        if execution.rested:
            account.add_open(order)
            market.resting[order.order_id] = resting
            self._rank += 1
            order.rank = self._rank
        for fill in execution.fills:
            self.settlement.settle(tx, market, fill, order, announce=announce)
            announce = False
        if execution.rested:
            self._expose(market, order)
        if announce:
            self.settlement.tell_order(tx, market, order, execution="NEW", accepted=True)
        for maker in execution.expired_makers:
            assert isinstance(maker.key, Order)
            self._expire(tx, market, maker.key, status="EXPIRED_IN_MATCH", reason=1)
        if order.remaining and not execution.rested:
            self._expire_rest(tx, market, order, self_trade=execution.self_trade)
        self._trim_reduce_only(tx, market, execution.fills, taker=order)

    def _expire_rest(self, tx: Transaction, market: Market, order: Order, *, self_trade: bool) -> None:
        if self_trade:
            reason = 3 if order.time_in_force == "IOC" else 1
            self._expire(tx, market, order, status="EXPIRED_IN_MATCH", reason=reason)
        else:
            self._expire(tx, market, order, status="EXPIRED", reason=9 if order.type == "MARKET" else 2)

    def _expire(self, tx: Transaction, market: Market, order: Order, *, status: str, reason: int) -> None:
        self._close(tx, market, order, status=status, execution="EXPIRED", reason=reason)

    def _close(
        self, tx: Transaction, market: Market, order: Order, *, status: str, execution: str, reason: int = 0
    ) -> None:
        """End an order without a fill and say so."""
        self._withdraw(tx, market, order)
        order.status = status
        order.updated = tx.time
        tx.record(order)
        self.settlement.tell_order(tx, market, order, execution=execution, expiry_reason=reason)

    def _withdraw(self, tx: Transaction, market: Market, order: Order) -> None:
        """Take an order out of the book and out of the margin, if it is in there."""
        account = self.accounts[order.account]
        if order.order_id not in account.open[order.symbol]:
            return
        resting = market.resting.pop(order.order_id)
        if resting.level is not None:
            market.book.remove(resting)
        tx.touched.add(market.symbol.name)
        if not order.reduce_only:
            freed = order.assumed * market.symbol.step * order.remaining
            account.exposures[order.symbol].add(order.side, -freed)
        account.close(order)

    def _expose(self, market: Market, order: Order) -> None:
        if not order.reduce_only:
            held = order.assumed * market.symbol.step * order.remaining
            self.accounts[order.account].exposures[order.symbol].add(order.side, held)

    def _trim_reduce_only(
        self, tx: Transaction, market: Market, fills: list[Fill], taker: Order | None = None
    ) -> None:
        """Expire reduce-only orders that a shrunken position leaves without anything to reduce."""
        names = {fill.maker.key.account for fill in fills if fill.maker and isinstance(fill.maker.key, Order)}
        if taker is not None and fills:
            names.add(taker.account)
        for name in sorted(names):
            self.trim_reduce_only(tx, market, self.accounts[name])

    def _resting(self, order: Order) -> RestingOrder:
        return RestingOrder(
            key=order,
            owner=self._owners[order.account],
            side=order.side,
            price=order.price,
            remaining=order.remaining,
        )


def _execute(
    market: Market, resting: RestingOrder, *, limit: int, time_in_force: TimeInForce, mode: SelfTrade
) -> Execution:
    try:
        return execute(market.book, resting, limit=limit, time_in_force=time_in_force, self_trade=mode)
    except WouldTake:
        raise errors.refusal(-5022) from None
    except CannotFill:
        raise errors.refusal(-5021) from None
