"""The room of conditional orders: they wait for a price, then let an ordinary order out.

Three steps, each with the change that caused it: a price makes an order TRIGGERING in the same
transaction that made the price, so that a restart cannot lose it; the next transaction places its order
and marks it TRIGGERED, or REJECTED if the exchange will not have it; and the one that closes that order
marks it FINISHED. No margin is looked at before the second (USDⓈ-M docs, New Algo Order).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal

from pms.venue import errors
from pms.venue.account import Account
from pms.venue.checks import NewOrder, check_before_funds
from pms.venue.conditional.events import TRAILING, algo_update, child_type
from pms.venue.conditional.shelf import MOST_OPEN, Shelves
from pms.venue.conditional.trailing import Price
from pms.venue.conditional.triggers import Triggers
from pms.venue.errors import VenueError
from pms.venue.exchange import Exchange
from pms.venue.market import Market
from pms.venue.matching import BUY, SelfTrade, TimeInForce
from pms.venue.position_mode import check_fits
from pms.venue.state import BOUND, AlgoOrder, Order, Origin, Position, Watermark
from pms.venue.transaction import Transaction, UserEvent

CONTRACT, MARK = "CONTRACT_PRICE", "MARK_PRICE"
GENERATED_ID_LENGTH = 22
POSITION_GONE = "The position that it would close is gone"
CONDITION_GONE = 6
"""`er` of an order that was let out of such a one."""


class Conditionals:
    """All conditional orders. A watcher of the exchange: prices and positions reach it with each change."""

    def __init__(
        self,
        exchange: Exchange,
        remembered: Iterable[AlgoOrder] = (),
        *,
        last_id: int = 0,
        token: Callable[[int], str],
    ) -> None:
        self.shelves = Shelves(exchange.past)
        self._exchange = exchange
        self._token = token
        self._triggers: dict[tuple[str, str], Triggers] = {}
        self._algos: dict[int, AlgoOrder] = {}
        self._children: dict[tuple[str, int], AlgoOrder] = {}
        # Reached while mark and last were too far apart: looked at again with every price
        self._protected: dict[int, AlgoOrder] = {}
        self._due: deque[AlgoOrder] = deque()
        # Let out before a restart; its order must not meet a book that nobody has quoted yet
        self._restored: list[AlgoOrder] = []
        self._last_id = last_id
        for algo in sorted(remembered, key=lambda each: each.algo_id):
            self._restore(algo)
        exchange.watchers.append(self)

    def _restore(self, algo: AlgoOrder) -> None:
        self._last_id = max(self._last_id, algo.algo_id)
        listed = algo.symbol in self._exchange.markets
        self.shelves[algo.account].enter(algo, listed=listed)
        if not listed:
            return
        if algo.status == "NEW":
            self._arm(algo)
        elif algo.status == "TRIGGERING":
            self._restored.append(algo)
        elif algo.status == "TRIGGERED":
            self._children[algo.symbol, algo.order_id] = algo

    # What an account asks for

    def place(self, account: Account, algo: AlgoOrder) -> AlgoOrder:
        """Take an order in, unless a price would let it out at once (-2021)."""
        shelf, market = self.shelves[account.name], self._exchange.markets[algo.symbol]
        if market.symbol.status != "TRADING":
            raise errors.refusal(-4140)
        check_fits(account, algo.position_side)
        if algo.client_algo_id in shelf.open_by_client_id:
            raise errors.refusal(-4116)
        if len(shelf.open) >= MOST_OPEN:
            raise errors.refusal(-4045)
        now = self._price(market, algo.working_type)
        if self._met(algo, now):
            raise errors.refusal(-2021)
        if algo.quantity and not algo.reduce_only:
            market.symbol.check_notional(
                market.symbol.price(algo.price or algo.trigger) or market.mark, algo.quantity
            )
        with self._exchange.transaction() as tx:
            # Microseconds since the epoch: ahead of all ids that an earlier run can have reached
            self._last_id = algo.algo_id = max(self._last_id + 1, tx.time * 1000)
            algo.created = algo.updated = tx.time
            if algo.type == TRAILING and not algo.activation:
                algo.activated, algo.peak = True, Decimal(now)
            shelf.enter(algo)
            self._arm(algo)
            self._say(tx, algo)
        return algo

    def cancel(self, account: Account, *, algo_id: int | None, client_algo_id: str | None) -> AlgoOrder:
        """End an order that has not triggered; -2011 for any other."""
        algo = self.shelves[account.name].find(algo_id=algo_id, client_algo_id=client_algo_id)
        listed = algo is not None and algo.symbol in self._exchange.markets
        if algo is None or not listed or algo.status != "NEW":
            raise errors.refusal(-2011)
        with self._exchange.transaction() as tx:
            self._end(tx, algo, "CANCELED")
        return algo

    def cancel_all(self, account: Account, symbol: str) -> None:
        """End every order of a symbol that has not triggered; fine with none."""
        with self._exchange.transaction() as tx:
            for algo in list(self.shelves[account.name].open.values()):
                if algo.symbol == symbol and algo.status == "NEW":
                    self._end(tx, algo, "CANCELED")

    # What other changes bring about

    def closing(self, transaction: Transaction) -> None:
        """Mark what this change's prices reach, what its trades finish, what has lost its position."""
        if not self._algos and not self._children:
            return
        if self._triggers:
            for each in transaction.prints:
                if each.kind == "MARKET":
                    self._at(transaction, each.symbol, CONTRACT, each.price)
            for name in transaction.touched:
                market = self._exchange.markets[name]
                if self._triggers.get((name, MARK)) and not market.left_over:
                    self._at(transaction, name, MARK, self._price(market, MARK))
            if self._protected:
                self._look_again(transaction)
        traded = {each.symbol for each in transaction.prints}
        for fact in list(transaction.facts.values()):
            if isinstance(fact, Order):
                self._follow(transaction, fact)
            elif isinstance(fact, Position) and fact.symbol in traded:
                self._let_go(transaction, fact)

    def closed(self) -> bool:
        """Place the order of the next that triggered, a transaction of its own."""
        if self._restored:
            restored, self._restored = self._restored, []
            for algo in restored:
                quoted = self._exchange.markets[algo.symbol].quoted
                (self._due if quoted else self._restored).append(algo)
        if not self._due:
            return False
        self._fire(self._due.popleft())
        return True

    # Prices

    def _price(self, market: Market, working_type: str) -> Price:
        """The price that an order waits for, now, in ticks."""
        return market.last_price if working_type == CONTRACT else market.mark / market.symbol.tick

    @staticmethod
    def _rising(algo: AlgoOrder) -> bool:
        """Whether it waits for a price at or above, as buy stops do."""
        stop = algo.type.startswith("STOP")
        return (algo.side == BUY) == stop if algo.type != TRAILING else algo.side != BUY

    def _met(self, algo: AlgoOrder, now: Price) -> bool:
        waits_for = algo.trigger if algo.type != TRAILING else algo.activation
        if algo.type == TRAILING and not waits_for:
            return False
        return now >= waits_for if self._rising(algo) else now <= waits_for

    def _arm(self, algo: AlgoOrder) -> None:
        self._algos[algo.algo_id] = algo
        triggers = self._triggers.setdefault((algo.symbol, algo.working_type), Triggers())
        if algo.activated:
            triggers.trails[algo.side].add(algo.algo_id, algo.callback, algo.peak)
        else:
            waits_for = algo.activation if algo.type == TRAILING else algo.trigger
            triggers.wait(algo.algo_id, waits_for, rising=self._rising(algo))

    def _at(self, tx: Transaction, symbol: str, working_type: str, price: Price) -> None:
        triggers = self._triggers.get((symbol, working_type))
        if not triggers:
            return
        reached, bettered = triggers.at(price)
        for side in bettered:
            tx.record(Watermark(symbol=symbol, working_type=working_type, side=side, price=Decimal(price)))
        for algo_id in reached:
            algo = self._algos[algo_id]
            if algo.type == TRAILING and not algo.activated:
                algo.activated, algo.peak, algo.updated = True, Decimal(price), tx.time
                self._arm(algo)
                self._say(tx, algo)
            elif not self._reach(tx, algo) and algo.type == TRAILING:
                triggers.trails[algo.side].take_back(algo_id, algo.callback)

    def _reach(self, tx: Transaction, algo: AlgoOrder) -> bool:
        """Let an order out, or protect it; whether it was let out."""
        market = self._exchange.markets[algo.symbol]
        apart = abs(market.mark - market.last)
        if algo.price_protect and apart > market.mark * market.symbol.trigger_protect:
            self._protected[algo.algo_id] = algo
            return False
        self._protected.pop(algo.algo_id, None)
        algo.status, algo.updated = "TRIGGERING", tx.time
        self._due.append(algo)
        self._say(tx, algo)
        return True

    def _look_again(self, tx: Transaction) -> None:
        """Protected orders: those whose price is gone wait for it again, the others may be let out now.

        A trailing one follows the best price meanwhile, so that a restart, which knows no more of it than
        that price, goes on with the same order.
        """
        for algo in list(self._protected.values()):
            now = self._price(self._exchange.markets[algo.symbol], algo.working_type)
            if algo.type == TRAILING:
                trail = self._triggers[algo.symbol, algo.working_type].trails[algo.side]
                if not trail.reached(algo.algo_id, now):
                    del self._protected[algo.algo_id]
                elif self._reach(tx, algo):
                    trail.discard(algo.algo_id)
            elif self._met(algo, now):
                self._reach(tx, algo)
            else:
                del self._protected[algo.algo_id]
                self._arm(algo)

    # Orders let out

    def _fire(self, algo: AlgoOrder) -> None:
        exchange = self._exchange
        account = exchange.accounts[algo.account]
        exchange.expire_due(algo.symbol)
        with exchange.transaction() as tx:
            before = len(tx.events)
            algo.triggered = algo.updated = tx.time
            try:
                order = exchange.place(account, self._let_out(tx, account, algo))
            except VenueError as refusal:
                algo.reason = refusal.message
                self._end(tx, algo, "REJECTED")
                return
            algo.order_id = order.order_id
            self._end(tx, algo, "TRIGGERED")
            # Told before the order that it let out
            tx.events.insert(before, tx.events.pop())
            self._children[algo.symbol, order.order_id] = algo

    def _let_out(self, tx: Transaction, account: Account, algo: AlgoOrder) -> NewOrder:
        limit = child_type(algo) == "LIMIT"
        lots = algo.quantity
        leg = account.leg(algo.symbol, algo.position_side)
        held = leg.position.lots
        reduces = algo.reduce_only or algo.close_position
        if algo.close_position:
            lots = abs(held)
        if reduces and not limit and (held * algo.side >= 0 or lots > abs(held)):
            raise errors.refusal(-2022)
        taken = algo.client_algo_id in account.names
        order = NewOrder(
            symbol=algo.symbol,
            side=algo.side,
            type="LIMIT" if limit else "MARKET",
            time_in_force=TimeInForce(algo.time_in_force.removeprefix("GTE_")) if limit else TimeInForce.GTC,
            lots=lots,
            price=algo.price if limit else 0,
            reduce_only=reduces,
            client_order_id=self._token(GENERATED_ID_LENGTH) if taken else algo.client_algo_id,
            self_trade=SelfTrade(algo.self_trade),
            position_side=algo.position_side,
            origin=Origin(
                type=algo.type,
                trigger=algo.trigger,
                working_type=algo.working_type,
                close_position=algo.close_position,
                price_protect=algo.price_protect,
                activation=algo.activation,
                callback=algo.callback,
                bound=algo.time_in_force == BOUND,
            ),
        )
        if reduces and not limit:
            market = self._exchange.markets[algo.symbol]
            check_before_funds(account, market, order)  # nothing makes way for what is refused
            self._exchange.give_way(tx, market, leg, lots=lots)
        return order

    def _follow(self, tx: Transaction, order: Order) -> None:
        if order.open or not self._children:
            return
        algo = self._children.pop((order.symbol, order.order_id), None)
        if algo is not None and algo.account == order.account:
            algo.status, algo.updated = "FINISHED", tx.time
            self.shelves[algo.account].close(algo)
            self._say(tx, algo)

    def _let_go(self, tx: Transaction, position: Position) -> None:
        shelf = self.shelves.get(position.account)
        if shelf is None:
            return
        open_orders = self._exchange.accounts[position.account].open[position.symbol]
        for algo in list(shelf.bound[position.symbol].values()):
            if algo.position_side != position.position_side or position.lots * algo.side < 0:
                continue
            if algo.status == "NEW":
                algo.reason = POSITION_GONE
                self._end(tx, algo, "EXPIRED")
            elif algo.status == "TRIGGERED" and (child := open_orders.get(algo.order_id)) is not None:
                self._exchange.expire_order(tx, child, reason=CONDITION_GONE)
                self._follow(tx, child)

    def _end(self, tx: Transaction, algo: AlgoOrder, status: str) -> None:
        """Take an order out of its waiting and say so."""
        self._algos.pop(algo.algo_id, None)
        self._protected.pop(algo.algo_id, None)
        triggers = self._triggers.get((algo.symbol, algo.working_type))
        if triggers is not None:
            triggers.discard(algo.algo_id)
        algo.status, algo.updated = status, tx.time
        self.shelves[algo.account].close(algo)
        self._say(tx, algo)

    def _say(self, tx: Transaction, algo: AlgoOrder) -> None:
        tx.record(algo)
        market = self._exchange.markets[algo.symbol]
        child = self.child(algo) if algo.status == "FINISHED" else None
        event = algo_update(algo, market.symbol, time=tx.time, child=child)
        tx.events.append(UserEvent(algo.account, "ALGO_UPDATE", event))

    def child(self, algo: AlgoOrder) -> Order | None:
        """The order that it let out, if it is still known."""
        if not algo.order_id:
            return None
        account = self._exchange.accounts[algo.account]
        return account.find(algo.symbol, order_id=algo.order_id, client_order_id=None)
