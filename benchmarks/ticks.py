"""BTCUSDT depth diffs a second on one core: decoded, chained, L1 in a mailbox; beside decoding alone.

Blocks take turns, and the median block counts: another process on the machine slows both alike. Other
Python books run the same frames in interpreters of their own, between our blocks; one that ends at
another best bid or ask than ours has no figure.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from benchmarks.peers.environments import PEERS, Peer
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
    peers: dict[str, int | str] = {}
    best = _follow(frames, snapshot)
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
        file.write(b"\n".join([json.dumps(_snapshot(snapshot)).encode(), *frames]))
        file.flush()
        for turn in range(ROUNDS):
            series["floor"].append(_rate(_decode_all, frames, snapshot))
            series["path"].append(_rate(_follow, frames, snapshot))
            if turn < len(PEERS):
                progress.say(PEERS[turn].title)
                peers[PEERS[turn].title] = await _peer(PEERS[turn], file.name, best)
    for _ in range(3):
        series["sorted_dict"].append(_rate(_naive, frames, snapshot))
    peers["sortedcontainers and Decimal, decoded by msgspec"] = round(median(series["sorted_dict"]))
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
        "peers": peers,
    }


async def _peer(peer: Peer, frames: str, best: tuple[Decimal, Decimal]) -> int | str:
    """A peer's diffs a second, or in words why there is no figure."""
    if not peer.ready:
        return "not installed: make clients"
    running = await asyncio.create_subprocess_exec(
        peer.python,
        peer.lock.with_suffix(".py"),
        frames,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await running.communicate()
    if running.returncode:
        return f"failed: {err.decode().strip().splitlines()[-1]}"
    return judged(json.loads(out), best)


def judged(told: dict[str, Any], best: tuple[Decimal, Decimal]) -> int | str:
    """The rate a peer told, if its book ends where ours does."""
    theirs = Decimal(told["bid"]), Decimal(told["ask"])
    if theirs != best:
        return f"its book is another: {theirs[0]} / {theirs[1]}, ours {best[0]} / {best[1]}"
    return int(told["rate"])


def _snapshot(snapshot: Any) -> dict[str, Any]:
    last, bids, asks = snapshot
    return {"lastUpdateId": last, "bids": bids, "asks": asks}


def _rate(work: Callable[[list[bytes], Any], object], frames: list[bytes], snapshot: Any) -> float:
    began = time.perf_counter()
    work(frames, snapshot)
    return len(frames) / (time.perf_counter() - began)


def _decode_all(frames: list[bytes], snapshot: Any) -> None:
    for frame in frames:
        decode_market(frame)


def _follow(frames: list[bytes], snapshot: Any) -> tuple[Decimal, Decimal]:
    """What the streamer's depth handler does with each frame; returns the last best bid and ask."""
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
    assert told is not None
    return told.bid, told.ask


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
