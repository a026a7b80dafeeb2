"""What a book did, booked: fills are settled, orders get their place among the open ones or their end."""

from __future__ import annotations

from collections.abc import Mapping

from pms.venue.account import Account
from pms.venue.market import Market
from pms.venue.matching import Event, Expired, Fill, Rested, Why
from pms.venue.settlement import Settlement
from pms.venue.state import Order
from pms.venue.transaction import Transaction


class Outcomes:
    """Takes a book's events into accounts and journal, all of one command in one transaction."""

    def __init__(self, accounts: Mapping[str, Account], settlement: Settlement) -> None:
        self._accounts = accounts
        self._settlement = settlement
        #: Arrivals at rest, over all symbols; see Order.rank
        self.rank = 0

    def background(self, tx: Transaction, market: Market, events: list[Event]) -> None:
        """Book what the anonymous market did to accounts' orders."""
        tx.touched.add(market.symbol.name)
        for event in events:
            if isinstance(event, Fill):
                self._settlement.settle(tx, market, event, None)
        self.expired(tx, market, events)

    def arrived(
        self, tx: Transaction, market: Market, order: Order, events: list[Event], *, announce: bool
    ) -> None:
        """Book what an arrival did, and give the order its place among the open ones or its end."""
        tx.touched.add(market.symbol.name)
        tx.record(order)
        rested = any(isinstance(event, Rested) for event in events)
        if rested:
            self._accounts[order.account].add_open(order)
            self.rank += 1
            order.rank = self.rank
        for event in events:
            if isinstance(event, Fill):
                self._settlement.settle(tx, market, event, order, announce=announce)
                announce = False
        if rested:
            self.expose(market, order)
        if announce:
            self._settlement.tell_order(tx, market, order, execution="NEW", accepted=True)
        self.expired(tx, market, events)

    def amended(self, tx: Transaction, market: Market, order: Order, events: list[Event]) -> None:
        """Tell an amendment with the order open on its new terms, then book what it did on them."""
        self.expose(market, order)
        self._settlement.tell_order(tx, market, order, execution="AMENDMENT")
        self._hold(market, order, -order.remaining)
        self.arrived(tx, market, order, events, announce=False)

    def expired(self, tx: Transaction, market: Market, events: list[Event]) -> None:
        """Book what expired; what has nothing left to reduce comes last, behind the fills that took it."""
        ended = [event for event in events if isinstance(event, Expired)]
        for event in sorted(ended, key=lambda each: each.why is Why.REDUCE_ONLY):
            order = event.order.key
            assert isinstance(order, Order)
            status = "EXPIRED_IN_MATCH" if event.why is Why.SELF_TRADE else "EXPIRED"
            reason = _expiry_reason(event, order)
            self.close(tx, market, order, status=status, execution="EXPIRED", reason=reason)

    def close(
        self, tx: Transaction, market: Market, order: Order, *, status: str, execution: str, reason: int = 0
    ) -> None:
        """Note that an order has ended without a fill, and say so."""
        tx.touched.add(market.symbol.name)
        self.release(market, order)
        order.status = status
        order.updated = tx.time
        tx.record(order)
        self._settlement.tell_order(tx, market, order, execution=execution, expiry_reason=reason)

    def release(self, market: Market, order: Order) -> None:
        """Take an order out of the open ones and out of the margin, if it is in there."""
        account = self._accounts[order.account]
        if order.order_id not in account.open[order.symbol]:
            return
        self._hold(market, order, -order.remaining)
        account.close(order)

    def expose(self, market: Market, order: Order) -> None:
        """Hold margin for what is open of an order."""
        self._hold(market, order, order.remaining)

    def _hold(self, market: Market, order: Order, lots: int) -> None:
        if not order.reduce_only:
            held = order.assumed * market.symbol.step * lots
            leg = self._accounts[order.account].leg(order.symbol, order.position_side)
            leg.exposure.add(order.side, held)


def _expiry_reason(event: Expired, order: Order) -> int:
    """`er` of an order that the book let expire, or that expired in it."""
    if event.why is Why.REDUCE_ONLY:
        return 4
    if event.why is Why.SELF_TRADE:
        return 3 if order.time_in_force == "IOC" else 1
    if event.why is Why.OUT_OF_TIME:
        return 0
    return 9 if order.type == "MARKET" else 2
