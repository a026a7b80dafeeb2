"""The exchange itself: every change of books and accounts, one at a time, each a transaction.

No I/O happens here and nothing is awaited: a call returns when its change is whole, journaled and handed
to the publisher. So user events are on their way before the caller's HTTP answer is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

from pms.venue import errors, user_events
from pms.venue.account import Account
from pms.venue.brackets import max_leverage, max_notional
from pms.venue.checks import NewOrder, check_funds, check_new_order, market_order_limit
from pms.venue.history import NOTHING, Past
from pms.venue.leg import Leg
from pms.venue.margin import account_margin, margin_for_leverage
from pms.venue.market import Market
from pms.venue.matching import (
    BookOrder,
    Cancelled,
    CannotFill,
    Expired,
    PriceMatch,
    SelfTrade,
    TimeInForce,
    WouldTake,
    anonymous,
    matched_price,
)
from pms.venue.outcomes import Outcomes
from pms.venue.settlement import Fees, Settlement
from pms.venue.state import ZERO, Order, SymbolState, Wallet
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
        past: Past = NOTHING,
    ) -> None:
        self.past = past
        self.markets = markets
        self.accounts: dict[str, Account] = {}
        self.fees = fees or Fees()
        self.clock = clock
        self._journal = journal
        self._publisher = publisher
        self.settlement = Settlement(self.accounts, self.fees, markets=markets)
        self._outcomes = Outcomes(self.accounts, self.settlement)
        self.watchers: list[Watcher] = []
        self._changing: Transaction | None = None
        self._following = False

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One change: journaled and published when the block ends, forgotten when it raises.

        Inside another change it is part of that one. What it brings about follows before this returns.
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
        if not self._following:
            self._follow()

    def _follow(self) -> None:
        """Let the watchers do what a change gives them to do, piece by piece, until nobody has anything.

        After each piece the first is asked first: whoever comes later acts on what the earlier have settled.
        """
        self._following = True
        try:
            while True:
                for watcher in self.watchers:
                    if watcher.closed():
                        break
                else:
                    return
        finally:
            self._following = False

    @contextmanager
    def unfollowed(self) -> Iterator[None]:
        """Changes that nobody follows up before all of them are made, as the first quotes of every book.

        Each is journaled and told by itself. Trap: an account is worth nothing known until the last of its
        symbols has a price, so a stop or a liquidation between two of them acts on a price that nobody made.
        """
        self._following = True
        try:
            yield
        finally:
            self._following = False
        self._follow()

    # Accounts

    def enter(self, account: Account) -> None:
        """Take an account in, as restored or new."""
        self.accounts[account.name] = account

    def open_account(self, name: str, balance: Decimal) -> Account:
        """A new account with a first deposit."""
        with self.transaction() as tx:
            account = Account(Wallet(account=name, balance=ZERO, updated=tx.time), self.past)
            self.enter(account)
            tx.record(account.wallet)
            if balance:
                self.settlement.credit(tx, account, balance, type_="TRANSFER")
        return account

    def restore_order(self, order: Order) -> None:
        """Put an open order back into the book. Trap: call in ascending rank."""
        self._outcomes.rank = max(self._outcomes.rank, order.rank)
        account, market = self.accounts[order.account], self.markets[order.symbol]
        account.add_open(order)
        market.book.rest(self._book_order(order))
        market.left_over = True
        self._outcomes.expose(market, order)

    def set_leverage(self, account: Account, symbol: str, leverage: int) -> None:
        """Set the leverage of a symbol; -4028 outside 1…max.

        -2027 if a position is too large for it, -2028 if it is lower and there is no margin for that.
        """
        market = self.markets[symbol]
        if not 1 <= leverage <= max_leverage(symbol):
            raise errors.bad_leverage(leverage)
        for side in account.sides:
            notional = abs(market.mark * market.symbol.step * account.position(symbol, side).lots)
            if notional > max_notional(symbol, leverage):
                raise errors.refusal(-2027)
        more = margin_for_leverage(account, market, leverage)
        if more > 0 and more > account_margin(account, self.markets).free:
            raise errors.refusal(-2028)
        with self.transaction() as tx:
            for leg in account.legs[symbol].values():
                leg.position.leverage = leverage
                tx.record(leg.position)
            event = user_events.leverage_update(symbol, leverage, time=tx.time)
            tx.tell(account.name, "ACCOUNT_CONFIG_UPDATE", event)

    # Orders

    def place(self, account: Account, new: NewOrder) -> Order:
        """Check, match and perhaps rest an order; the order in its state after matching."""
        self.expire_due(new.symbol)
        new, market = self.priced(new), self.markets[new.symbol]
        assumed = check_new_order(account, market, new, self.markets)
        with self.transaction() as tx:
            order = new.order(account.name, order_id=market.next_order_id, at=tx.time, assumed=assumed)
            arriving = self._book_order(order)
            if new.type == "MARKET":
                arriving.price = market_order_limit(market, new.side)
                arriving.time_in_force = TimeInForce.IOC
            try:
                events = market.book.place(arriving)
            except WouldTake:
                raise errors.refusal(-5022) from None
            except CannotFill:
                raise errors.refusal(-5021) from None
            market.take_order_id()
            market.left_over = False
            account.remember(order)
            self._outcomes.arrived(tx, market, order, events, announce=True)
        return order

    def priced(self, new: NewOrder) -> NewOrder:
        """An order with the price that it has if it arrives now."""
        if new.price_match is PriceMatch.NONE:
            return new
        return replace(new, price=self.matched_price(self.markets[new.symbol], new.side, new.price_match))

    def matched_price(self, market: Market, side: int, match: PriceMatch) -> int:
        """The price that the book names now; -5041 where it has not so many levels."""
        price = matched_price(market.book, side, match)
        if price is None:
            raise errors.refusal(-5041)
        return price

    def cancel(
        self, account: Account, symbol: str, *, order_id: int | None, client_order_id: str | None
    ) -> Order:
        """Cancel an open order; -2011 if it is not open."""
        self.expire_due(symbol)
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
            self._cancel(tx, self.markets[symbol], order)
        return order

    def cancel_all(self, account: Account, symbol: str) -> None:
        """Cancel every open order of a symbol; fine with none."""
        with self.transaction() as tx:
            for order in list(account.open[symbol].values()):
                self._cancel(tx, self.markets[symbol], order)

    def amend(
        self,
        account: Account,
        order: Order,
        *,
        price: int,
        lots: int,
        price_match: PriceMatch = PriceMatch.NONE,
    ) -> Order:
        """Change price and total quantity of an open limit order; it goes to the back of the queue.

        Cancels it instead if that much is filled already, or if a post-only order would take.
        """
        self.expire_due(order.symbol)
        market = self.markets[order.symbol]
        if not order.open:
            raise errors.refusal(-2013)
        if market.symbol.status != "TRADING":
            raise errors.refusal(-5024)
        if order.price == price and order.quantity == lots:
            raise errors.refusal(-5027)
        if order.amendments >= MAX_AMENDMENTS:
            raise errors.refusal(-5026)
        market.symbol.check_percent_price(order.side, price, market.mark)
        left = lots - order.executed
        post_only_takes = order.time_in_force == "GTX" and market.book.would_take(order.side, price)
        if left <= 0 or post_only_takes:
            with self.transaction() as tx:
                self._cancel(tx, market, order)
            return order
        if not order.reduce_only:
            market.symbol.check_notional(market.symbol.price(price), lots, amended=True)
        assumed = check_funds(
            account,
            market,
            account.leg(order.symbol, order.position_side),
            side=order.side,
            price=market.symbol.price(price),
            lots=left,
            reduce_only=order.reduce_only,
            markets=self.markets,
            replaced=order,
        )
        with self.transaction() as tx:
            events = market.book.amend(order.order_id, price=price, left=left)
            self._outcomes.release(market, order)
            order.price, order.quantity, order.assumed = price, lots, assumed
            order.price_match = price_match.value
            order.amendments += 1
            order.self_trade = SelfTrade.NONE.value
            order.updated = tx.time
            self._outcomes.amended(tx, market, order, events)
        return order

    def expire_due(self, symbol: str | None = None) -> bool:
        """Expire the orders whose good-till date has come, of a symbol or of all; whether there were any.

        No order trades behind its date, however late we are: every change of a book begins so.
        Trap: a change of several parts does it before its first; within one nothing more expires.
        """
        if self._changing is not None:
            return False
        expired = False
        for market in self.markets.values() if symbol is None else (self.markets[symbol],):
            deadline = market.book.next_deadline
            if deadline is not None and deadline <= self.clock():
                with self.transaction() as tx:
                    self._outcomes.expired(tx, market, market.book.expire(tx.time))
                expired = True
        return expired

    # What the exchange itself does to accounts (acts.py)

    def expire_open(self, tx: Transaction, account: Account, symbol: str, *, reason: int) -> None:
        """Expire all open orders of an account in a symbol; `reason` as `er` tells it."""
        for order in list(account.open[symbol].values()):
            self.expire_order(tx, order, reason=reason)

    def expire_order(self, tx: Transaction, order: Order, *, reason: int) -> None:
        """Expire an open order; `reason` as `er` tells it."""
        market = self.markets[order.symbol]
        market.book.cancel(order.order_id)
        self._outcomes.close(tx, market, order, status="EXPIRED", execution="EXPIRED", reason=reason)

    def force(self, tx: Transaction, order: Order) -> None:
        """Match an immediate order of the exchange's own; what finds nobody is the caller's to settle."""
        market, account = self.markets[order.symbol], self.accounts[order.account]
        arriving = self._book_order(order)
        events = market.book.place(arriving)
        account.remember(order)
        ended = [each for each in events if isinstance(each, Expired) and each.order is arriving]
        booked = [each for each in events if each not in ended]
        self._outcomes.arrived(tx, market, order, booked, announce=True)

    def give_way(self, tx: Transaction, market: Market, leg: Leg, *, lots: int) -> None:
        """Expire the newest resting reduce-only orders, so that this much more can reduce the position."""
        seat = leg.seat
        resting = list(seat.closing.values())
        while resting and sum(seat.reducing.values()) + lots > abs(seat.position):
            given = resting.pop().key
            assert isinstance(given, Order)
            self.expire_order(tx, given, reason=4)

    def position_moved(self, tx: Transaction, market: Market, leg: Leg) -> None:
        """A position changed without the book: it may be too little for its reduce-only orders."""
        self._outcomes.expired(tx, market, market.book.hold(leg.seat, leg.position.lots))

    # The anonymous market

    def set_levels(self, symbol: str, *, bids: Levels, asks: Levels, forced: bool = False) -> None:
        """Set anonymous levels at once, as one diff; `forced` sends the diff even if it says nothing new."""
        self.expire_due(symbol)
        market = self.markets[symbol]
        with self.transaction() as tx:
            tx.forced = forced
            market.left_over = False
            self._outcomes.background(tx, market, anonymous.apply_levels(market.book, bids, asks))

    def replace_levels(self, symbol: str, *, bids: Levels, asks: Levels) -> None:
        """Set the whole anonymous market from a snapshot."""
        self.expire_due(symbol)
        market = self.markets[symbol]
        with self.transaction() as tx:
            market.left_over = False
            self._outcomes.background(tx, market, anonymous.replace_levels(market.book, bids, asks))

    def background_order(self, symbol: str, *, side: int, lots: int, limit: int | None) -> None:
        """Let the anonymous market take liquidity."""
        self.expire_due(symbol)
        market = self.markets[symbol]
        with self.transaction() as tx:
            events = anonymous.take(market.book, side=side, quantity=lots, limit=limit)
            self._outcomes.background(tx, market, events)

    def recorded_trade(self, symbol: str, *, side: int, price: int, lots: int) -> None:
        """Replay one recorded trade; only accounts' orders are filled by it."""
        self.expire_due(symbol)
        market = self.markets[symbol]
        with self.transaction() as tx:
            events = anonymous.print_trade(market.book, side=side, price=price, quantity=lots)
            self._outcomes.background(tx, market, events)

    def checkpoint(self) -> None:
        """Journal the last prices, so that a restart goes on from them."""
        states: list[SymbolState] = [market.reserve() for market in self.markets.values()]
        self._journal.append(list(states))

    # Inside a transaction

    def _cancel(self, tx: Transaction, market: Market, order: Order) -> None:
        cancelled = market.book.cancel(order.order_id)
        assert isinstance(cancelled[0], Cancelled)
        self._outcomes.close(tx, market, order, status="CANCELED", execution="CANCELED")

    def _book_order(self, order: Order) -> BookOrder:
        return BookOrder(
            order.order_id,
            self.accounts[order.account].leg(order.symbol, order.position_side).seat,
            order.client_order_id,
            order.side,
            order.price,
            order.remaining,
            TimeInForce(order.time_in_force),
            SelfTrade(order.self_trade),
            reduce_only=order.reduce_only,
            good_till=order.good_till,
            key=order,
        )
