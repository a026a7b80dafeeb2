"""pyorderbook: decimals, a UUID for each order, a heap of levels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyorderbook.book import Book
from pyorderbook.order import ask, bid

from benchmarks.peers.tapes import Command, Trade, serve


def play(commands: list[Command]) -> Any:
    book, orders, done = Book(), {}, []
    match, cancel = book.match, book.cancel
    for order_id, _, side, price, quantity in commands:
        if quantity:
            order = orders[order_id] = bid("X", price, quantity) if side > 0 else ask("X", price, quantity)
            blotter = match(order)
            if blotter.trades:
                done.append(blotter.trades)
        else:
            order = orders[order_id]
            # It raises, and logs a line, for an order that is gone
            if order.id in book.order_map:
                cancel(order)
    return orders, done


def trades(commands: list[Command], done: Any) -> Iterable[Trade]:
    orders, groups = done
    ids = {order.id: order_id for order_id, order in orders.items()}
    for group in groups:
        for each in group:
            maker, taker = ids[each.standing_order_id], ids[each.incoming_order_id]
            yield taker, maker, int(each.fill_price), each.fill_quantity


if __name__ == "__main__":
    serve(play, trades)
