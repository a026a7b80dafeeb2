"""One account: its wallet, positions, orders, trades and the look-ups that requests need."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from pms.venue import errors
from pms.venue.state import ZERO, Income, Order, Position, Trade, Wallet

DAY_MS = 86_400_000
EMPTY_ORDER_KEPT_MS = 3 * DAY_MS
ORDER_KEPT_MS = 90 * DAY_MS
DEFAULT_LEVERAGE = 20


class Exposure:
    """Margin-bearing open orders of one symbol: notionals at their assumed prices, both sides."""

    __slots__ = ("asks", "bids", "reduce_only")

    def __init__(self) -> None:
        self.bids = ZERO
        self.asks = ZERO
        self.reduce_only: dict[int, Order] = {}

    def add(self, side: int, notional: Decimal) -> None:
        """Count an order's open notional in (or, negative, out)."""
        if side > 0:
            self.bids += notional
        else:
            self.asks += notional


class Account:
    """Everything the venue knows of one account. Look-ups cost the same however long its history is."""

    def __init__(self, wallet: Wallet) -> None:
        self.wallet = wallet
        self.positions: dict[str, Position] = {}
        self.exposures: defaultdict[str, Exposure] = defaultdict(Exposure)
        self.open: defaultdict[str, dict[int, Order]] = defaultdict(dict)
        self.open_by_client_id: dict[str, Order] = {}
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

    def position(self, symbol: str) -> Position:
        """The position in a symbol, made flat at the default leverage if there never was one."""
        position = self.positions.get(symbol)
        if position is None:
            position = self.positions[symbol] = Position(
                account=self.name, symbol=symbol, leverage=DEFAULT_LEVERAGE
            )
        return position

    def remember(self, order: Order) -> None:
        """Enter an accepted order, open or not, into the history. Ids of one symbol come ascending."""
        self.orders[order.symbol][order.order_id] = order
        self.order_ids[order.symbol].append(order.order_id)
        self.latest_by_client_id[order.symbol, order.client_order_id] = order

    def add_open(self, order: Order) -> None:
        """Enter an order among the open ones."""
        self.open[order.symbol][order.order_id] = order
        self.open_by_client_id[order.client_order_id] = order
        if order.reduce_only:
            self.exposures[order.symbol].reduce_only[order.order_id] = order

    def close(self, order: Order) -> None:
        """Take an order out of the open ones; it stays in the history."""
        if self.open[order.symbol].pop(order.order_id, None) is not None:
            self.open_by_client_id.pop(order.client_order_id, None)
            self.exposures[order.symbol].reduce_only.pop(order.order_id, None)

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
        order = self.open_by_client_id.get(client_order_id)
        return order if order is not None and order.symbol == symbol else None

    def open_orders(self, symbol: str | None) -> list[Order]:
        """Open orders of one symbol or all, oldest first."""
        if symbol is not None:
            return list(self.open[symbol].values())
        found = [order for orders in self.open.values() for order in orders.values()]
        return sorted(found, key=lambda order: (order.created, order.order_id))

    def orders_from(self, symbol: str, order_id: int) -> Iterable[Order]:
        """History of a symbol from an id on, ascending."""
        ids, orders = self.order_ids[symbol], self.orders[symbol]
        return (orders[ids[at]] for at in range(bisect_left(ids, order_id), len(ids)))

    def trades_from(self, symbol: str, trade_id: int) -> Iterable[Trade]:
        """Trades of a symbol from an id on, ascending."""
        trades = self.trades[symbol]
        start = bisect_left(trades, trade_id, key=lambda trade: trade.trade_id)
        return (trades[at] for at in range(start, len(trades)))


def retained(order: Order, now: int) -> bool:
    """Whether queries still know an order: 3 days for a closed one without fill, 90 for all."""
    age = now - order.updated
    if order.open:
        return True
    return age <= (ORDER_KEPT_MS if order.executed else EMPTY_ORDER_KEPT_MS)
