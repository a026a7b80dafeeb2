"""BTCUSDT depth diffs a second on one core: decoded, chained, L1 in a mailbox; beside decoding alone.

Beside it also other Python order books on the same frames, each in a process and an environment of its
own. Rounds take turns, and the median round counts: another process on the machine slows all alike.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from benchmarks import clients
from benchmarks.beside import Best, Peer
from benchmarks.samples import Progress, ratio, turns
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
    progress.say(f"{len(frames)} diffs of {levels:.0f} levels ({source})")
    peers = _peers()
    series = await _beside(peers, frames, snapshot, progress)
    rate, floor = round(median(series["path"])), round(median(series["floor"]))
    return {
        "name": "ticks",
        "n": len(frames) * len(series["path"]),
        "planned": len(frames) * ROUNDS,
        "unit": "diffs/s",
        "rate": rate,
        "floor_rate": floor,
        "ratio": ratio(floor, rate),
        "levels_per_diff": round(levels),
        "source": source,
        "peers": {peer.name: peer.figures() for peer in peers},
    }


def _peers() -> list[Peer]:
    """The libraries of `.clients/`, and the book one writes by hand, which needs no more than we do."""
    ours = Peer("sortedcontainers", version=version("sortedcontainers"), python=Path(sys.executable))
    others = (
        Peer(name, version=clients.version(name), python=clients.python(name)) for name in clients.BOOKS
    )
    return [ours, *others]


async def _beside(
    peers: list[Peer], frames: list[bytes], snapshot: Any, progress: Progress
) -> dict[str, list[float]]:
    """Our rates, round by round; the peers keep theirs."""
    bests = _bests(frames, snapshot)
    series: dict[str, list[float]] = {"floor": [], "path": []}
    works = {"floor": _decode_all, "path": _follow}
    with tempfile.TemporaryDirectory(prefix="pms-ticks-") as home:
        recording = Path(home) / "frames"
        recording.write_bytes(_recording(frames, snapshot))
        try:
            await asyncio.gather(*(peer.start(recording) for peer in peers))
            for peer in peers:
                progress.say(f"{peer.name} {peer.reason or 'ready'}")
            for number in turns(ROUNDS, progress.spent_s):
                progress.say(f"round {number} of {ROUNDS}")
                for name, work in works.items():
                    series[name].append(_rate(work, frames, snapshot))
                for peer in peers:
                    await peer.round(bests)
        finally:
            await asyncio.gather(*(peer.end() for peer in peers))
    return series


def _recording(frames: list[bytes], snapshot: Any) -> bytes:
    """The snapshot as one line, then each frame as it came."""
    last_update_id, bids, asks = snapshot
    start = msgspec.json.encode({"lastUpdateId": last_update_id, "bids": bids, "asks": asks})
    return b"\n".join([start, *frames])


def _bests(frames: list[bytes], snapshot: Any) -> list[Best]:
    """Our book's best bid and ask after each diff; raises if the frames do not follow each other."""
    book = LocalBook("BTCUSDT")
    book.snapshot(*snapshot)
    bests: list[Best] = []
    for frame in frames:
        top = book.apply(_decoded(frame))
        if top is None:
            raise RuntimeError(f"diff {len(bests) + 1} of the recording left the book {book.state.value}")
        bests.append((Decimal(top.bid), Decimal(top.ask)))
    return bests


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
