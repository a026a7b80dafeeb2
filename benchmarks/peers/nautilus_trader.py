"""NautilusTrader: the book in Rust, fed by the decoder and the parser of its own Binance adapter."""

from __future__ import annotations

from typing import Any

import msgspec
from nautilus_trader.adapters.binance.common.schemas.market import BinanceOrderBookData, BinanceOrderBookMsg
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.identifiers import InstrumentId

from benchmarks.peers.rounds import Gap, Start, serve

INSTRUMENT = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")


def follow(frames: list[bytes], start: Start) -> list[tuple[Any, Any]]:
    book = OrderBook(INSTRUMENT, BookType.L2_MBP)
    book.apply_deltas(_snapshot(start).parse_to_order_book_deltas(INSTRUMENT, 0, snapshot=True))
    decode = msgspec.json.Decoder(BinanceOrderBookMsg).decode
    last, tops = start.previous_id, []
    for frame in frames:
        event = decode(frame).data
        if event.pu != last:
            raise Gap(last)
        last = event.u
        book.apply_deltas(event.parse_to_order_book_deltas(INSTRUMENT, 0))
        tops.append((book.best_bid_price(), book.best_ask_price()))
    return tops


def _snapshot(start: Start) -> BinanceOrderBookData:
    """The snapshot in the form that the parser takes."""
    depth = {"e": "", "E": 0, "s": "BTCUSDT", "U": 0, "u": start.last_update_id}
    return msgspec.convert({**depth, "b": start.bids, "a": start.asks}, BinanceOrderBookData)


if __name__ == "__main__":
    serve(follow)
