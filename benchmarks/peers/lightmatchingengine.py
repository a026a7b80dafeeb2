"""lightmatchingengine: an order is an object, a level a list, the best price the least of all keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lightmatchingengine.lightmatchingengine import LightMatchingEngine, Side

from benchmarks.peers.tapes import Command, Trade, serve


def play(commands: list[Command]) -> Any:
    engine, done = LightMatchingEngine(), []
    add, cancel, buy, sell = engine.add_order, engine.cancel_order, Side.BUY, Side.SELL
    for order_id, _, side, price, quantity in commands:
        if quantity:
            trades = add("X", price, quantity, buy if side > 0 else sell)[1]
            if trades:
                done.append(trades)
        else:
            cancel(order_id, "X")
    return done


def trades(commands: list[Command], done: Any) -> Iterable[Trade]:
    """Ids are counted from 1, as the tape's are; the taker's own row stands before those of its makers."""
    for group in done:
        taker = group[0]
        for each in group:
            if each.trade_side == taker.trade_side:
                taker = each
            else:
                yield taker.order_id, each.order_id, each.trade_price, each.trade_qty


if __name__ == "__main__":
    serve(play, trades)
