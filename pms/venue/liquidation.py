"""Liquidation of accounts by the exchange: cross margin, by maintenance margin against the mark price.

Whose maintenance margin is not below its equity loses its open orders, then each position by an `autoclose-`
order: immediate, limited by the price at which the equity is used up, into the book. What finds nobody there
the insurance fund takes at that price (Binance support: Liquidation Protocols; Insurance Funds).
"""

from __future__ import annotations

from collections import defaultdict
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from pms.venue import user_events
from pms.venue.account import Account
from pms.venue.acts import ACCOUNT_LIQUIDATED, Closing
from pms.venue.brackets import brackets_of
from pms.venue.exchange import Exchange
from pms.venue.insurance import FUND, Insurance
from pms.venue.leg import Leg
from pms.venue.lines import Lines
from pms.venue.margin import AccountMargin, account_margin
from pms.venue.matching import BUY, SELL
from pms.venue.state import ZERO, Order, Position, Trade, Wallet
from pms.venue.symbols import Symbol
from pms.venue.transaction import Transaction

CALL = Decimal("0.8")
CALL_AGAIN = Decimal("0.7")
"""Maintenance margin over equity: a margin call goes out at the first, and the next only after the second."""


class Liquidations:
    """A watcher of the exchange: prices and wallets reach it with each change, whoever made it.

    An account that holds n symbols has, in each, a band of marks: while all are inside theirs it cannot have
    come to a line, for each may cost it an nth of its way there. So a price that nobody need fear costs two
    comparisons, whoever holds the symbol; who leaves a band is looked at and gets new ones.

    Who holds what nobody quotes is left until somebody does: a restart, or an emptied book, knows no price
    but the last.
    """

    def __init__(self, exchange: Exchange, insurance: Insurance) -> None:
        self._exchange = exchange
        self._insurance = insurance
        self._lines: defaultdict[str, Lines] = defaultdict(Lines)
        self._moved: dict[str, None] = {}
        # Who is looked at whatever the prices: at first everybody
        self._due: dict[str, None] = dict.fromkeys(exchange.accounts)
        self._called: set[str] = set()
        exchange.watchers.append(self)

    def closing(self, transaction: Transaction) -> None:
        """Note whose prices and whose money this change moves; let the fund pay whom it leaves owing."""
        self._moved.update(dict.fromkeys(transaction.touched))
        owing: list[str] = []
        for fact in transaction.facts.values():
            if isinstance(fact, Wallet):
                self._due[fact.account] = None
                if fact.balance < 0 and fact.account != FUND:
                    owing.append(fact.account)
            elif isinstance(fact, Position):
                self._due[fact.account] = None
        for name in owing:
            self._pay(transaction, name)

    def _pay(self, tx: Transaction, name: str) -> None:
        """Pay what trading has cost an account beyond its money, once it holds nothing that could.

        Who has not traded owes by an operator's withdrawal, which is the operator's to undo.
        """
        trades = (fact for fact in tx.facts.values() if isinstance(fact, Trade) and fact.account == name)
        if (trade := next(trades, None)) is not None:
            self._insurance.clear(tx, self._exchange.accounts[name], trade.symbol, ZERO)

    def closed(self) -> bool:
        """Look at who may have come to a line, until one has: stops that it lets out come before the next."""
        while self._moved:
            name = self._moved.popitem()[0]
            lines = self._lines.get(name)
            if lines is not None:
                self._due.update(dict.fromkeys(lines.at(self._exchange.markets[name].mark)))
        while self._due:
            name = next(iter(self._due))
            del self._due[name]
            if name != FUND and self._look(self._exchange.accounts[name]):
                return True
        return False

    def _look(self, account: Account) -> bool:
        """Judge an account; whether that has changed anything."""
        margin = account_margin(account, self._exchange.markets)
        equity, needed = margin.wallet + margin.unrealized, margin.maintenance
        self._forget(account)
        held = {name for (name, _), each in margin.legs.items() if each.notional}
        unquoted = [name for name in held if not self._exchange.markets[name].quoted]
        if not held:
            self._called.discard(account.name)
        elif unquoted:
            # No price but the last, which may be long ago: wait until somebody quotes
            for name in unquoted:
                mark = self._exchange.markets[name].mark
                self._lines[name].set(account.name, mark, mark)
        elif equity <= needed:
            if self._exchange.expire_due():
                # Another book, another mark, and perhaps stops to let out: judged again behind them
                self._due[account.name] = None
            else:
                self._called.discard(account.name)
                self._liquidate(account, margin)
            return True
        else:
            warned = self._warn(account, margin, equity=equity)
            called = account.name in self._called
            way = needed - CALL_AGAIN * equity if called else CALL * equity - needed
            self._draw(account, min(equity - needed, way))
            return warned
        return False

    def _forget(self, account: Account) -> None:
        for name in account.legs:
            if name in self._lines:
                self._lines[name].forget(account.name)

    def _draw(self, account: Account, way: Decimal) -> None:
        """Give the account a band in each symbol; an nth of the way may be lost in each of n."""
        sizes = {
            name: sum(abs(leg.position.lots) for leg in legs.values())
            for name, legs in account.legs.items()
            if name in self._exchange.markets
        }
        held = {name: lots for name, lots in sizes.items() if lots}
        for name, lots in held.items():
            market = self._exchange.markets[name]
            # What a step of the mark moves at most: the position's worth, and its maintenance margin
            most = market.symbol.step * lots * (1 + brackets_of(name)[-1].ratio)
            far = way / len(held) / most
            self._lines[name].set(account.name, market.mark - far, market.mark + far)

    def _warn(self, account: Account, margin: AccountMargin, *, equity: Decimal) -> bool:
        """Send a margin call once for each time that the account comes near; whether it was now."""
        ratio = margin.maintenance / equity
        if ratio < CALL_AGAIN:
            self._called.discard(account.name)
        if ratio < CALL or account.name in self._called:
            return False
        self._called.add(account.name)
        with self._exchange.transaction() as tx:
            event = user_events.margin_call(account, margin, self._exchange.markets, time=tx.time)
            tx.tell(account.name, "MARGIN_CALL", event)
        return True

    # The deed

    def _liquidate(self, account: Account, margin: AccountMargin) -> None:
        """One change: a process that dies has done all of it or nothing.

        Trap: margin and marks are those that the account was judged by. The end of its own orders and the
        sale of one leg move the book; a price by that mark would not be the end of the equity.
        """
        exchange = self._exchange
        held = [key for key, each in margin.legs.items() if each.notional]
        marks = {name: exchange.markets[name].mark for name, _ in held}
        gross = sum((abs(each.notional) for each in margin.legs.values()), ZERO)
        left = (margin.wallet + margin.unrealized) / gross
        with exchange.transaction() as tx:
            for name, orders in list(account.open.items()):
                if orders:
                    exchange.expire_open(tx, account, name, reason=ACCOUNT_LIQUIDATED)
            closed = [
                (name, self._close(tx, account.leg(name, side), mark=marks[name], left=left))
                for name, side in held
            ]
            for name, notional in closed:
                self._insurance.clear(tx, account, name, notional)

    def _close(self, tx: Transaction, leg: Leg, *, mark: Decimal, left: Decimal) -> Decimal:
        """Close a position and return what it was worth; `left` is the equity per unit of notional."""
        position = leg.position
        market = self._exchange.markets[position.symbol]
        symbol = market.symbol
        side = SELL if position.lots > 0 else BUY
        price = bankruptcy_price(mark, symbol, side, left)
        order_id = market.take_order_id()
        order = Order(
            account=position.account,
            symbol=symbol.name,
            order_id=order_id,
            client_order_id=Closing.LIQUIDATION.named(order_id),
            side=side,
            type="LIQUIDATION",
            time_in_force="IOC",
            price=price,
            quantity=abs(position.lots),
            reduce_only=True,
            self_trade="NONE",
            created=tx.time,
            updated=tx.time,
            position_side=position.position_side,
        )
        self._exchange.force(tx, order)
        if order.remaining:
            self._insurance.take_over(tx, market, order, price=price)
            self._exchange.position_moved(tx, market, leg)
        tx.liquidated.append(order)
        return symbol.tick * symbol.step * order.quote


def bankruptcy_price(mark: Decimal, symbol: Symbol, side: int, left: Decimal) -> int:
    """The price, in ticks, at which closing uses up the equity; never one that the account would owe by."""
    exact = mark * (1 + side * left) / symbol.tick
    return max(1, int(exact.to_integral_value(ROUND_CEILING if side == SELL else ROUND_FLOOR)))
