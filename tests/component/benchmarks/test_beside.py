"""A peer's process: its figure when its book agrees with ours, otherwise a reason, and never a failure."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import msgspec

from benchmarks.beside import Best, Peer

HERE = Path(sys.executable)
BESTS: list[Best] = [(Decimal(99), Decimal(101)), (Decimal(100), Decimal(101)), (Decimal(100), Decimal(103))]


def recording(home: Path, *, last_pu: int = 12) -> Path:
    """A snapshot at 10, a diff that joins it, a better bid, the best ask gone."""
    snapshot = {"lastUpdateId": 10, "bids": [["99", "1"]], "asks": [["101", "1"], ["103", "1"]]}
    diffs = [
        {"U": 9, "u": 11, "pu": 8, "b": [["99", "2"]], "a": []},
        {"U": 12, "u": 12, "pu": 11, "b": [["100", "1"]], "a": []},
        {"U": 13, "u": 13, "pu": last_pu, "b": [], "a": [["101", "0"]]},
    ]
    frames = [{"stream": "btcusdt@depth", "data": {"e": "depthUpdate", **diff}} for diff in diffs]
    file = home / "frames"
    file.write_bytes(b"\n".join(map(msgspec.json.encode, [snapshot, *frames])))
    return file


@asynccontextmanager
async def peer(
    frames: Path, name: str = "sortedcontainers", python: Path | None = HERE
) -> AsyncIterator[Peer]:
    each = Peer(name, version="1.0", python=python)
    await each.start(frames)
    try:
        yield each
    finally:
        await each.end()


async def test_a_book_that_agrees_has_a_figure_for_every_round(tmp_path: Path) -> None:
    async with peer(recording(tmp_path)) as each:
        await each.round(BESTS)
        await each.round(BESTS)
        figures = each.figures()
    assert (figures["version"], figures["rounds"]) == ("1.0", 2)
    assert figures["rate"] > 0


async def test_one_round_that_disagrees_takes_the_figure_away(tmp_path: Path) -> None:
    async with peer(recording(tmp_path)) as each:
        await each.round(BESTS)
        await each.round([*BESTS[:2], (Decimal(100), Decimal(102))])
        await each.round(BESTS)
        figures = each.figures()
    assert figures["rate"] is None
    assert figures["reason"] == "after diff 3 its best is 100 / 103, ours 100 / 102"


async def test_a_gap_in_the_frames_is_seen(tmp_path: Path) -> None:
    async with peer(recording(tmp_path, last_pu=11)) as each:
        await each.round(BESTS)
        assert each.figures()["rate"] is None
        assert "Gap" in each.figures()["reason"]


async def test_a_library_that_does_not_import_is_a_reason(tmp_path: Path) -> None:
    async with peer(recording(tmp_path), "order_book") as each:
        await each.round(BESTS)
        assert each.figures()["rate"] is None
        assert "No module named" in each.figures()["reason"]


async def test_what_is_not_installed_is_told_with_the_command(tmp_path: Path) -> None:
    async with peer(recording(tmp_path), "ccxt", None) as each:
        await each.round(BESTS)
        assert each.figures() == {"version": "1.0", "rate": None, "reason": "not installed: make clients"}
