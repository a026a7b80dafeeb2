"""The book that is usually written by hand: two sorted dictionaries of decimals, typed decoding."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from sortedcontainers import SortedDict

from benchmarks.peers.rounds import Gap, Start, serve


class Diff(msgspec.Struct):
    """What such a book needs of a diff."""

    u: int
    pu: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class Frame(msgspec.Struct):
    """A diff as the combined stream wraps it."""

    data: Diff


def follow(frames: list[bytes], start: Start) -> list[tuple[Any, Any]]:
    bids = SortedDict({Decimal(price): Decimal(quantity) for price, quantity in start.bids})
    asks = SortedDict({Decimal(price): Decimal(quantity) for price, quantity in start.asks})
    decode = msgspec.json.Decoder(Frame).decode
    last, tops = start.previous_id, []
    for frame in frames:
        event = decode(frame).data
        if event.pu != last:
            raise Gap(last)
        last = event.u
        for side, levels in ((bids, event.b), (asks, event.a)):
            for price, quantity in levels:
                if amount := Decimal(quantity):
                    side[Decimal(price)] = amount
                else:
                    side.pop(Decimal(price), None)
        tops.append((bids.peekitem(-1)[0], asks.peekitem(0)[0]))
    return tops


if __name__ == "__main__":
    serve(follow)
