"""bmoscon's order_book: sorted dictionaries in C, with decimals, as cryptofeed 2 fills them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
from order_book import OrderBook

from benchmarks.peers.rounds import Gap, Start, serve


def follow(frames: list[bytes], start: Start) -> list[tuple[Any, Any]]:
    book = OrderBook()
    book.bids = {Decimal(price): Decimal(quantity) for price, quantity in start.bids}
    book.asks = {Decimal(price): Decimal(quantity) for price, quantity in start.asks}
    bids, asks = book.bids, book.asks
    last, tops = start.previous_id, []
    for frame in frames:
        event = orjson.loads(frame)["data"]
        if event["pu"] != last:
            raise Gap(last)
        last = event["u"]
        for side, levels in ((bids, event["b"]), (asks, event["a"])):
            for text, amount in levels:
                price, quantity = Decimal(text), Decimal(amount)
                if quantity:
                    side[price] = quantity
                elif price in side:
                    del side[price]
        tops.append((bids.index(0)[0], asks.index(0)[0]))
    return tops


if __name__ == "__main__":
    serve(follow)
