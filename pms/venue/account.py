"""One account: its wallet, positions, orders, trades and the look-ups that requests need."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from pms.venue import errors, history
from pms.venue.history import NOTHING, Past, Wanted
from pms.venue.leg import Leg
from pms.venue.matching import BookOrder
from pms.venue.state import BOTH, LONG, SHORT, Income, Order, Position, Trade, Wallet

DEFAULT_LEVERAGE = 20
FORGET_CHUNK = 2_000


class Account:
    """Everything the venue knows of one account. Look-ups cost the same however long its history is.

    Trap: `orders`, `trades` and `incomes` are what memory has; the older ones are in the past, and only the
    methods below look there.
    """

    def __init__(self, wallet: Wallet, past: Past = NOTHING) -> None:
        self.wallet = wallet
        self.past = past
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
            return self.orders[symbol].get(order_id) or self._passed(symbol, first=order_id)
        if client_order_id is None:
            raise errors.one_of_two("origClientOrderId", "orderId")
        return (
            self.open_by_client(symbol, client_order_id)
            or self.latest_by_client_id.get((symbol, client_order_id))
            or self._passed(symbol, ref=client_order_id)
        )

    def _passed(self, symbol: str, *, first: int | None = None, ref: str | None = None) -> Order | None:
        """The order with an id, or the newest with a client id, that is in the past."""
        shelf = history.orders_of(self.name, symbol)
        found = self.past.rows(
            Order, Wanted(shelf=shelf, first=first, ref=ref, limit=1, newest=ref is not None)
        )
        return found[0] if found and first in (None, found[0].order_id) else None

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

    def orders_from(self, symbol: str, order_id: int, limit: int, *, now: int = 0) -> list[Order]:
        """History of a symbol from an id on, ascending."""
        ids, orders = self.order_ids[symbol], self.orders[symbol]
        recent = (orders[ids[at]] for at in range(bisect_left(ids, order_id), len(ids)))
        shelf = history.orders_of(self.name, symbol)
        wanted = Wanted(shelf=shelf, first=order_id, limit=limit, now=now)
        return history.page(self.past, Order, wanted, recent)

    def orders_between(
        self, symbol: str, start: int, end: int, limit: int, *, newest: bool, prefix: str = "", now: int = 0
    ) -> list[Order]:
        """Orders created in a window, its newest or its oldest `limit`, ascending; `prefix` of client ids."""
        ids, orders = self.order_ids[symbol], self.orders[symbol]
        first = bisect_left(ids, start, key=lambda each: orders[each].created)
        last = bisect_right(ids, end, key=lambda each: orders[each].created)
        found = (orders[ids[at]] for at in _directed(first, last, newest=newest))
        recent = (order for order in found if order.client_order_id.startswith(prefix))
        wanted = Wanted(
            shelf=history.orders_of(self.name, symbol),
            window=(start, end),
            limit=limit,
            newest=newest,
            ref_prefix=prefix or None,
            now=now,
        )
        return history.page(self.past, Order, wanted, recent)

    def trades_from(
        self, symbol: str, trade_id: int, limit: int, *, order_id: int | None, now: int = 0
    ) -> list[Trade]:
        """Trades of a symbol, or of one order, from an id on, ascending."""
        trades = self.trades[symbol] if order_id is None else self._recent_of(symbol, order_id)
        start = bisect_left(trades, trade_id, key=lambda trade: trade.trade_id)
        recent = (trades[at] for at in range(start, len(trades)))
        wanted = Wanted(
            shelf=history.trades_of(self.name, symbol),
            first=trade_id,
            limit=limit,
            ref=None if order_id is None else str(order_id),
            now=now,
        )
        return history.page(self.past, Trade, wanted, recent)

    def trades_between(
        self,
        symbol: str,
        start: int,
        end: int,
        limit: int,
        *,
        newest: bool,
        order_id: int | None,
        now: int = 0,
    ) -> list[Trade]:
        """Trades made in a window, ascending: its newest or its oldest `limit`."""
        trades = self.trades[symbol] if order_id is None else self._recent_of(symbol, order_id)
        first = bisect_left(trades, start, key=lambda trade: trade.time)
        last = bisect_right(trades, end, key=lambda trade: trade.time)
        recent = (trades[at] for at in _directed(first, last, newest=newest))
        wanted = Wanted(
            shelf=history.trades_of(self.name, symbol),
            window=(start, end),
            limit=limit,
            newest=newest,
            ref=None if order_id is None else str(order_id),
            now=now,
        )
        return history.page(self.past, Trade, wanted, recent)

    def _recent_of(self, symbol: str, order_id: int) -> list[Trade]:
        """What memory has of an order's trades: it holds an order for as long as any of them."""
        order = self.orders[symbol].get(order_id)
        if order is None:
            return []
        trades = self.trades[symbol]
        first = bisect_left(trades, order.created, key=lambda trade: trade.time)
        last = bisect_right(trades, order.updated, key=lambda trade: trade.time)
        return [trade for trade in trades[first:last] if trade.order_id == order_id]

    def incomes_between(
        self,
        start: int,
        end: int,
        *,
        symbol: str | None = None,
        type_: str | None = None,
        limit: int,
        offset: int = 0,
        now: int = 0,
    ) -> list[Income]:
        """Income of a window, ascending, from a row on.

        The past is asked for what is before memory's first: ids ascend, and what both have is memory's.
        """
        start = max(start, now - history.KEPT_MS)
        first = bisect_left(self.incomes, start, key=lambda income: income.time)
        last = bisect_right(self.incomes, end, key=lambda income: income.time)
        wanted = Wanted(
            shelf=history.incomes_of(self.name),
            window=(start, end),
            symbol=symbol,
            ref=type_,
            before=self.incomes[0].transaction_id if self.incomes else None,
            limit=limit,
            offset=offset,
        )
        if symbol is None and type_ is None:
            rows, skipped = self._counted_incomes(wanted)
        else:
            rows = self.past.rows(Income, wanted)
            skipped = 0 if rows else max(0, offset - self.past.count(wanted))
        recent = (
            each
            for each in islice(self.incomes, first, last)
            if symbol in (None, each.symbol) and type_ in (None, each.type)
        )
        return rows + list(islice(recent, skipped, skipped + limit - len(rows)))

    def _counted_incomes(self, wanted: Wanted) -> tuple[list[Income], int]:
        """A page of the past, and how many of memory's rows come before it; ids have no gaps to count."""
        begin = self.past.rows(Income, replace(wanted, limit=1, offset=0))
        if not begin:
            return [], wanted.offset
        at = begin[0].transaction_id + wanted.offset
        rows = self.past.rows(Income, replace(wanted, window=None, first=at, offset=0))
        rows = [each for each in rows if wanted.window is None or each.time <= wanted.window[1]]
        return rows, 0 if rows or wanted.before is None else max(0, at - wanted.before)

    def forget(self, before: int) -> Iterator[None]:
        """Leave what was over earlier to the past, which has it; stops now and then for others to go on.

        Trap: nothing of the same moment is forgotten, it may have come after what the past knows.
        """
        for trades in list(self.trades.values()):
            del trades[: bisect_left(trades, before, key=lambda trade: trade.time)]
        del self.incomes[: bisect_left(self.incomes, before, key=lambda income: income.time)]
        for symbol, orders in list(self.orders.items()):
            ids, at = self.order_ids[symbol], 0
            while chunk := ids[at : at + FORGET_CHUNK]:
                kept = [each for each in chunk if orders[each].open or orders[each].updated >= before]
                for each in set(chunk).difference(kept):
                    self._forget(orders[each])
                ids[at : at + len(chunk)] = kept
                at += len(kept)
                yield

    def _forget(self, order: Order) -> None:
        del self.orders[order.symbol][order.order_id]
        name = order.symbol, order.client_order_id
        if self.latest_by_client_id.get(name) is order:
            del self.latest_by_client_id[name]


def _directed(first: int, last: int, *, newest: bool) -> range:
    return range(last - 1, first - 1, -1) if newest else range(first, last)


def retained(order: Order, now: int) -> bool:
    """Whether queries still know an order: 3 days for a closed one without fill, 90 for all."""
    return order.open or history.place(order).leaves >= now
