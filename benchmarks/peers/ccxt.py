"""ccxt.pro: the book of its binanceusdm, through that class's own handler; prices are binary floats."""

from __future__ import annotations

from typing import Any

import ccxt.pro
import orjson

from benchmarks.peers.rounds import Gap, Start, serve


def follow(frames: list[bytes], start: Start) -> list[tuple[Any, Any]]:
    exchange = ccxt.pro.binanceusdm()
    book = exchange.order_book(
        {
            "nonce": start.last_update_id,
            "bids": [[float(price), float(quantity)] for price, quantity in start.bids],
            "asks": [[float(price), float(quantity)] for price, quantity in start.asks],
        }
    )
    handle = exchange.handle_order_book_message
    last, tops = start.previous_id, []
    for frame in frames:
        event = orjson.loads(frame)["data"]
        if event["pu"] != last:
            raise Gap(last)
        last = event["u"]
        handle(None, event, book)
        tops.append((book["bids"][0][0], book["asks"][0][0]))
    return tops


if __name__ == "__main__":
    serve(follow)
