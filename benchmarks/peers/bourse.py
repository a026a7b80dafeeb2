"""bourse: a book in Rust; one call a command, its trades read at the end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bourse.core import OrderBook

from benchmarks.peers.tapes import Command, Trade, serve


def play(commands: list[Command]) -> Any:
    book = OrderBook(0, 1)
    place, cancel, at = book.place_order, book.cancel_order, book.set_time
    for time, (order_id, owner, side, price, quantity) in enumerate(commands):
        if quantity:
            # Orders of one time and price would replace each other in its queue
            at(time)
            place(side > 0, quantity, owner, price=price)
        else:
            cancel(order_id - 1)
    return book.get_trades()


def trades(commands: list[Command], done: Any) -> Iterable[Trade]:
    """Its ids are counted from 0."""
    for _, _, price, quantity, taker, maker in done:
        yield taker + 1, maker + 1, price, quantity


if __name__ == "__main__":
    serve(play, trades)
