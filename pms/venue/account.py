"""One account: its wallet, positions, orders, trades and the look-ups that requests need."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from typing import TypeVar

from pms.venue import errors
from pms.venue.leg import Leg
from pms.venue.matching import BookOrder
from pms.venue.state import BOTH, LONG, SHORT, Income, Order, Position, Trade, Wallet

DAY_MS = 86_400_000
EMPTY_ORDER_KEPT_MS = 3 * DAY_MS
ORDER_KEPT_MS = 90 * DAY_MS
DEFAULT_LEVERAGE = 20
Row = TypeVar("Row")


class Account:
    """Everything the venue knows of one account. Look-ups cost the same however long its history is."""

    def __init__(self, wallet: Wallet) -> None:
        self.wallet = wallet
        # By symbol, then by position side
        self.legs: defaultdict[str, dict[str, Leg]] = defaultdict(dict)
        self.open: defaultdict[str, dict[int, Order]] = defaultdict(dict)
        # What rests in the books by client id, kept by them: one set of names over all symbols
        self.names: dict[str, BookOrder] = {}
        self.orders: defaultdict[str, dict[int, Order]] = defaultdict(dict)
        # Ascending ids of `orders`, kept beside it so that a page is found by bisection
        self.order_ids: defaultdict[str, list[int]] = defaultdict(list)
        self.latest_by_client_id: dict[tuple[str, str], Order] = {}
        self.trades: defaultdict[str, list[Trade]] = defaultdict(list)
        self.incomes: list[Income] = []

    @property
    def name(self) -> str:
        """The account's name, unique in this venue."""
        return self.wallet.account

    @property
    def sides(self) -> tuple[str, ...]:
        """The position sides of its position mode."""
        return (LONG, SHORT) if self.wallet.hedge else (BOTH,)

    def leg(self, symbol: str, position_side: str = BOTH) -> Leg:
        """What it has in a symbol and position side, made flat if there never was anything."""
        legs = self.legs[symbol]
        leg = legs.get(position_side)
        if leg is None:
            flat = Position(
                account=self.name,
                symbol=symbol,
                leverage=self.leverage(symbol),
                position_side=position_side,
            )
            leg = legs[position_side] = Leg(flat, self.names)
        return leg

    def position(self, symbol: str, position_side: str = BOTH) -> Position:
        """The position of a leg."""
        return self.leg(symbol, position_side).position

    def restore(self, position: Position) -> None:
        """Take a position in as it was remembered."""
        self.legs[position.symbol][position.position_side] = Leg(position, self.names)

    def every_leg(self) -> Iterator[Leg]:
        """All legs of all symbols, live or not."""
        return (leg for legs in self.legs.values() for leg in legs.values())

    def leverage(self, symbol: str) -> int:
        """The leverage of a symbol, the same for all its legs."""
        known = next(iter(self.legs.get(symbol, {}).values()), None)
        return DEFAULT_LEVERAGE if known is None else known.position.leverage

    def remember(self, order: Order) -> None:
        """Enter an accepted order, open or not, into the history. Ids of one symbol come ascending."""
        self.orders[order.symbol][order.order_id] = order
        self.order_ids[order.symbol].append(order.order_id)
        self.latest_by_client_id[order.symbol, order.client_order_id] = order

    def add_open(self, order: Order) -> None:
        """Enter an order among the open ones."""
        self.open[order.symbol][order.order_id] = order

    def close(self, order: Order) -> None:
        """Take an order out of the open ones; it stays in the history."""
        self.open[order.symbol].pop(order.order_id, None)

    def find(self, symbol: str, *, order_id: int | None, client_order_id: str | None) -> Order | None:
        """An order by its id, or else the newest by its client id."""
        if order_id is not None:
            return self.orders[symbol].get(order_id)
        if client_order_id is None:
            raise errors.one_of_two("origClientOrderId", "orderId")
        return self.open_by_client(symbol, client_order_id) or self.latest_by_client_id.get(
            (symbol, client_order_id)
        )

    def open_by_client(self, symbol: str, client_order_id: str) -> Order | None:
        """An open order of this symbol by its client id."""
        named = self.names.get(client_order_id)
        return None if named is None else self.open[symbol].get(named.id)

    def open_orders(self, symbol: str | None) -> list[Order]:
        """Open orders of one symbol or all, oldest first."""
        if symbol is not None:
            return list(self.open[symbol].values())
        found = [order for orders in self.open.values() for order in orders.values()]
        return sorted(found, key=lambda order: (order.created, order.order_id))

    def orders_from(self, symbol: str, order_id: int, limit: int) -> list[Order]:
        """History of a symbol from an id on, ascending."""
        ids, orders = self.order_ids[symbol], self.orders[symbol]
        start = bisect_left(ids, order_id)
        return [orders[each] for each in ids[start : start + limit]]

    def orders_between(self, symbol: str, start: int, end: int, limit: int, *, newest: bool) -> list[Order]:
        """Orders created in a window, ascending: its newest or its oldest `limit`."""
        ids, orders = self.order_ids[symbol], self.orders[symbol]
        first = bisect_left(ids, start, key=lambda each: orders[each].created)
        last = bisect_right(ids, end, key=lambda each: orders[each].created)
        return [orders[each] for each in _page(ids, first, last, limit, newest=newest)]

    def trades_from(self, symbol: str, trade_id: int, limit: int, *, order_id: int | None) -> list[Trade]:
        """Trades of a symbol from an id on, ascending."""
        trades = self.trades[symbol]
        start = bisect_left(trades, trade_id, key=lambda trade: trade.trade_id)
        if order_id is None:
            return trades[start : start + limit]
        return [trade for trade in self.trades_of(symbol, order_id) if trade.trade_id >= trade_id][:limit]

    def trades_between(
        self, symbol: str, start: int, end: int, limit: int, *, newest: bool, order_id: int | None
    ) -> list[Trade]:
        """Trades made in a window, ascending: its newest or its oldest `limit`."""
        trades = self.trades[symbol] if order_id is None else self.trades_of(symbol, order_id)
        first = bisect_left(trades, start, key=lambda trade: trade.time)
        last = bisect_right(trades, end, key=lambda trade: trade.time)
        return _page(trades, first, last, limit, newest=newest)

    def trades_of(self, symbol: str, order_id: int) -> list[Trade]:
        """All trades of one order, ascending."""
        order = self.orders[symbol].get(order_id)
        if order is None:
            return []
        trades = self.trades[symbol]
        first = bisect_left(trades, order.created, key=lambda trade: trade.time)
        last = bisect_right(trades, order.updated, key=lambda trade: trade.time)
        return [trade for trade in trades[first:last] if trade.order_id == order_id]

    def incomes_between(self, start: int, end: int) -> list[Income]:
        """Income of a window, ascending."""
        first = bisect_left(self.incomes, start, key=lambda income: income.time)
        last = bisect_right(self.incomes, end, key=lambda income: income.time)
        return self.incomes[first:last]


def _page(rows: list[Row], first: int, last: int, limit: int, *, newest: bool) -> list[Row]:
    return rows[max(first, last - limit) : last] if newest else rows[first : min(last, first + limit)]


def retained(order: Order, now: int) -> bool:
    """Whether queries still know an order: 3 days for a closed one without fill, 90 for all."""
    age = now - order.updated
    if order.open:
        return True
    return age <= (ORDER_KEPT_MS if order.executed else EMPTY_ORDER_KEPT_MS)
