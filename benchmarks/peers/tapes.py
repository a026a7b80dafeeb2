"""What every matching engine does around its book: read the tape, wait to be asked, tell its trades."""

from __future__ import annotations

import gc
import hashlib
import json
import platform
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Command = tuple[int, int, int, int, int]
"""Id, owner, side (1 buys), price, quantity; quantity 0 cancels."""

Trade = tuple[int, int, int, int]
"""Taker's id, maker's id, price, quantity."""

Play = Callable[[list[Command]], Any]
Trades = Callable[[list[Command], Any], Iterable[Trade]]


def serve(play: Play, trades: Trades) -> None:
    """Play the tape named on the command line, once for every line on stdin.

    `play` is measured, in seconds of its processor; `trades` reads afterwards what came of it.
    """
    commands = [tuple(command) for command in json.loads(Path(sys.argv[1]).read_text())]
    _tell({"ready": len(commands)})
    for _ in sys.stdin:
        gc.collect()
        began = time.process_time()
        done = play(commands)
        took = time.process_time() - began
        figures = {"rate": len(commands) / took, "python": platform.python_version()}
        _tell(figures | summary(trades(commands, done)))


def summary(trades: Iterable[Trade]) -> dict[str, Any]:
    """How many trades and lots, and a fingerprint of all of them in order."""
    digest, count, lots = hashlib.sha256(), 0, 0
    for taker, maker, price, quantity in trades:
        digest.update(b"%d %d %d %d\n" % (taker, maker, price, quantity))
        count += 1
        lots += quantity
    return {"trades": count, "lots": lots, "digest": digest.hexdigest()}


def _tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
