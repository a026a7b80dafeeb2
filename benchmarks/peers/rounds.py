"""What every peer does around its book: read the frames, wait to be asked, tell its pace and its bests."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Start(NamedTuple):
    """The REST snapshot that the first frame joins, and the `pu` that this frame carries."""

    last_update_id: int
    previous_id: int
    bids: list[list[str]]
    asks: list[list[str]]


class Gap(Exception):
    """A diff does not follow the one before."""


Follow = Callable[[list[bytes], Start], list[tuple[Any, Any]]]
"""Apply every frame to a new book; returns its best bid and best ask after each."""


def serve(follow: Follow) -> None:
    """Follow the frames of the file named on the command line, once for every line on stdin."""
    start, frames = _read(Path(sys.argv[1]))
    _tell({"ready": len(frames)})
    for _ in sys.stdin:
        began = time.perf_counter()
        tops = follow(frames, start)
        took = time.perf_counter() - began
        bests = [(str(bid), str(ask)) for bid, ask in tops]
        last_bid, last_ask = bests[-1]
        _tell({"rate": len(frames) / took, "last_bid": last_bid, "last_ask": last_ask, "bests": bests})


def _read(recording: Path) -> tuple[Start, list[bytes]]:
    """The snapshot is the first line, each frame one more, as it came off the socket."""
    first, *frames = recording.read_bytes().splitlines()
    snapshot, joining = json.loads(first), json.loads(frames[0])["data"]
    if not joining["U"] <= snapshot["lastUpdateId"] <= joining["u"]:
        raise Gap("the first diff does not join the snapshot")
    return Start(snapshot["lastUpdateId"], joining["pu"], snapshot["bids"], snapshot["asks"]), frames


def _tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
