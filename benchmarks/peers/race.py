"""What each peer runs: the recorded frames through its book, the best bid and ask after each.

Runs in the peer's own interpreter: nothing of the product and only the standard library is imported.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Protocol

ROUNDS = 3


class Book(Protocol):
    """A peer's order book, driven as its users drive it."""

    def start(self, bids: list[list[str]], asks: list[list[str]]) -> None:
        """Begin anew from a snapshot."""

    def apply(self, event: dict[str, Any]) -> None:
        """Apply one depthUpdate's `b` and `a`."""

    def top(self) -> tuple[object, object]:
        """The best bid and ask."""


def race(book: Book, decode: Callable[[bytes], Any]) -> None:
    """Measure, and print one JSON object: diffs a second and the last best bid and ask."""
    first, *frames = Path(sys.argv[1]).read_bytes().splitlines()
    snapshot = json.loads(first)
    rates = []
    for _ in range(ROUNDS):
        book.start(snapshot["bids"], snapshot["asks"])
        began = time.perf_counter()
        top = _follow(book, decode, frames)
        rates.append(len(frames) / (time.perf_counter() - began))
    print(json.dumps({"rate": round(median(rates)), "bid": str(top[0]), "ask": str(top[1])}))


def _follow(book: Book, decode: Callable[[bytes], Any], frames: list[bytes]) -> tuple[object, object]:
    before, top = None, None
    for frame in frames:
        event = decode(frame)["data"]
        if before is not None and event["pu"] != before:
            raise SystemExit(f"a diff is missing before {event['u']}")
        before = event["u"]
        book.apply(event)
        top = book.top()
    if top is None:
        raise SystemExit("there is not one frame")
    return top
