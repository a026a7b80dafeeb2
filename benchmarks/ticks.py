"""BTCUSDT depth diffs a second on one core: decoded, chained, L1 in a mailbox; beside decoding alone.

Blocks take turns, and the median block counts: another process on the machine slows both alike.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from benchmarks.samples import Progress, ratio
from pms.binance.book import LocalBook
from pms.binance.frames import DepthUpdate, decode_market
from pms.domain.desk import Top
from pms.streamer.mailbox import Mailbox

RECORDING = (
    Path(__file__).parents[2] / "shared" / "data" / "hftbacktest" / "btcusdt_20240808_first60s.ndjson.gz"
)
ROUNDS = 15


async def run() -> dict[str, Any]:
    """Measure; returns the figures."""
    progress = Progress()
    frames, snapshot, source = _frames()
    levels = sum(len(decoded.bids) + len(decoded.asks) for decoded in map(_decoded, frames)) / len(frames)
    progress.say(f"{len(frames)} diffs of {levels:.0f} levels ({source}), {ROUNDS} rounds")
    series: dict[str, list[float]] = {"path": [], "floor": [], "sorted_dict": []}
    for _ in range(ROUNDS):
        series["floor"].append(_rate(_decode_all, frames, snapshot))
        series["path"].append(_rate(_follow, frames, snapshot))
    for _ in range(3):
        series["sorted_dict"].append(_rate(_naive, frames, snapshot))
    rate, floor = round(median(series["path"])), round(median(series["floor"]))
    return {
        "name": "ticks",
        "n": len(frames) * ROUNDS,
        "unit": "diffs/s",
        "rate": rate,
        "floor_rate": floor,
        "ratio": ratio(floor, rate),
        "levels_per_diff": round(levels),
        "source": source,
        "peers": {"sortedcontainers and Decimal, msgspec decode": round(median(series["sorted_dict"]))},
    }


def _rate(work: Callable[[list[bytes], Any], None], frames: list[bytes], snapshot: Any) -> float:
    began = time.perf_counter()
    work(frames, snapshot)
    return len(frames) / (time.perf_counter() - began)


def _decode_all(frames: list[bytes], snapshot: Any) -> None:
    for frame in frames:
        decode_market(frame)


def _follow(frames: list[bytes], snapshot: Any) -> None:
    """What the streamer's depth handler does with each frame."""
    book, mailbox = LocalBook("BTCUSDT"), Mailbox[Top]()
    book.snapshot(*snapshot)
    best, told = None, None
    for frame in frames:
        update = decode_market(frame)
        assert isinstance(update, DepthUpdate)
        top = book.apply(update)
        if top is None:
            continue
        if top is best and told is not None:
            told = Top(told.bid, told.bid_qty, told.ask, told.ask_qty, update.time)
        else:
            told = Top(
                Decimal(top.bid), Decimal(top.bid_qty), Decimal(top.ask), Decimal(top.ask_qty), update.time
            )
        best = top
        mailbox.put(told)


def _naive(frames: list[bytes], snapshot: Any) -> None:
    """The book that is usually written: two sorted dictionaries of decimals."""
    from sortedcontainers import SortedDict

    _, bids, asks = snapshot
    sides = [SortedDict({Decimal(p): Decimal(q) for p, q in side}) for side in (bids, asks)]
    for frame in frames:
        update = decode_market(frame)
        assert isinstance(update, DepthUpdate)
        for side, levels in zip(sides, (update.bids, update.asks), strict=True):
            for price, quantity in levels:
                if amount := Decimal(quantity):
                    side[Decimal(price)] = amount
                else:
                    side.pop(Decimal(price), None)
        best = (sides[0].peekitem(-1), sides[1].peekitem(0))
    assert best


def _decoded(frame: bytes) -> DepthUpdate:
    update = decode_market(frame)
    assert isinstance(update, DepthUpdate)
    return update


def _frames() -> tuple[list[bytes], Any, str]:
    """The diffs as bytes and the snapshot they start from: recorded, or made up where nothing is."""
    if not RECORDING.is_file():
        return (*_made_up(), "made up: no recording beside the checkout")
    with gzip.open(RECORDING) as file:
        lines = [json.loads(line)["frame"] for line in file]
    start = next(frame for frame in lines if "lastUpdateId" in frame)
    snapshot = (
        start["lastUpdateId"],
        [tuple(level) for level in start["bids"]],
        [tuple(level) for level in start["asks"]],
    )
    diffs = [
        msgspec.json.encode(frame)
        for frame in lines
        if frame.get("data", {}).get("e") == "depthUpdate" and frame["data"]["u"] >= start["lastUpdateId"]
    ]
    return diffs, snapshot, "recorded"


def _made_up() -> tuple[list[bytes], Any]:
    """Two thousand diffs of 68 levels around a fixed price."""
    bids = [(f"{60000 - n / 10:.1f}", "1.000") for n in range(500)]
    asks = [(f"{60000.1 + n / 10:.1f}", "1.000") for n in range(500)]
    frames = []
    for turn in range(2000):
        near = (turn * 7) % 400
        event = {
            "e": "depthUpdate",
            "E": turn,
            "T": turn,
            "s": "BTCUSDT",
            "U": turn + 1,
            "u": turn + 1,
            "pu": turn,
            "b": [[price, f"{1 + turn % 9}.000"] for price, _ in bids[near : near + 34]],
            "a": [[price, f"{1 + turn % 9}.000"] for price, _ in asks[near : near + 34]],
        }
        frames.append(msgspec.json.encode({"stream": "btcusdt@depth", "data": event}))
    return frames, (1, bids, asks)
