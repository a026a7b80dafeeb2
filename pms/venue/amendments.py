"""What became of amended orders: GET /v1/orderAmendment. One fact each, in the amend's own transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pms.venue import history
from pms.venue.account import Account
from pms.venue.exchange import Exchange
from pms.venue.history import Wanted
from pms.venue.matching import PriceMatch
from pms.venue.state import Amendment, Order


class Amendments:
    """Amends orders, and keeps how each was before and after."""

    def __init__(self, exchange: Exchange, remembered: Iterable[Amendment] = (), *, last_id: int = 0) -> None:
        self._exchange = exchange
        self._of: defaultdict[tuple[str, str], list[Amendment]] = defaultdict(list)
        self._last_id = last_id
        for each in remembered:
            self._keep(each)

    def amend(
        self, account: Account, order: Order, *, price: int, lots: int, price_match: PriceMatch
    ) -> Order:
        """Amend an order; nothing is kept where that cancelled it instead."""
        self._exchange.expire_due(order.symbol)
        before, count = (order.price, order.quantity), order.amendments
        with self._exchange.transaction() as tx:
            amended = self._exchange.amend(account, order, price=price, lots=lots, price_match=price_match)
            if amended.amendments > count:
                fact = Amendment(
                    account=account.name,
                    symbol=order.symbol,
                    amendment_id=max(self._last_id + 1, tx.time * 1000),
                    order_id=order.order_id,
                    client_order_id=order.client_order_id,
                    time=tx.time,
                    price=(before[0], price),
                    quantity=(before[1], lots),
                    count=amended.amendments,
                )
                self._keep(fact)
                tx.record(fact)
        return amended

    def between(
        self, account: str, symbol: str, start: int, end: int, limit: int, *, order_id: int | None
    ) -> list[Amendment]:
        """Those of one account and symbol, or of one order, in a window: the newest `limit`, newest first."""
        wanted = Wanted(
            shelf=history.amendments_of(account, symbol),
            window=(start, end),
            newest=True,
            limit=limit,
            ref=None if order_id is None else str(order_id),
        )
        recent = (
            each
            for each in reversed(self._of[account, symbol])
            if start <= each.time <= end and order_id in (None, each.order_id)
        )
        return history.page(self._exchange.past, Amendment, wanted, recent)[::-1]

    def forget(self, before: int) -> None:
        """Leave what is older to the past, which has it."""
        for key, kept in self._of.items():
            self._of[key] = [each for each in kept if each.time >= before]

    def _keep(self, each: Amendment) -> None:
        self._last_id = max(self._last_id, each.amendment_id)
        self._of[each.account, each.symbol].append(each)
