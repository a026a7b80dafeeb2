"""Recorded frames of the real exchange, which lie beside the checkout and are not part of it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest

DATA = Path(__file__).parents[4] / "shared" / "data"
FILES = [
    "hftbacktest/btcusdt_20240808_first60s.ndjson.gz",
    "hftbacktest/ethusdt_20240808_first35s.ndjson.gz",
    "cryptofeed/ws_20210722.ndjson.gz",
]
needs_recordings = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared")

Levels = list[tuple[str, str]]


class _Line(msgspec.Struct):
    frame: msgspec.Raw


class Snapshot(msgspec.Struct, rename={"last_update_id": "lastUpdateId"}):
    """A REST depth snapshot."""

    last_update_id: int
    bids: Levels
    asks: Levels


class _Wrapper(msgspec.Struct):
    stream: str = ""


_line = msgspec.json.Decoder(_Line)
_snapshot = msgspec.json.Decoder(Snapshot)
_wrapper = msgspec.json.Decoder(_Wrapper)


@cache
def frames(file: str) -> list[bytes]:
    """All stream frames of a file, verbatim and in order of arrival; snapshots are left out."""
    return [frame for frame in _verbatim(file) if b'"lastUpdateId"' not in frame[:20]]


def depth_frames(symbol: str) -> list[bytes]:
    """The depth diffs of one symbol."""
    wanted = f"{symbol.lower()}@depth"
    return [frame for frame in frames(_file_of(symbol)) if _wrapper.decode(frame).stream.startswith(wanted)]


def snapshot(symbol: str) -> Snapshot:
    """The REST snapshot that the recording of a symbol starts from."""
    if symbol in {"BTCUSDT", "ETHUSDT"}:
        raw = next(frame for frame in _verbatim(_file_of(symbol)) if b'"lastUpdateId"' in frame[:20])
    else:
        path = DATA / "cryptofeed" / f"depth1000_{symbol}_20210722.json.gz"
        raw = gzip.decompress(path.read_bytes())
    return _snapshot.decode(raw)


SYMBOLS = ["BTCUSDT", "ETHUSDT", "SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT"]


def _file_of(symbol: str) -> str:
    return {"BTCUSDT": FILES[0], "ETHUSDT": FILES[1]}.get(symbol, FILES[2])


def _verbatim(file: str) -> Iterator[bytes]:
    with gzip.open(DATA / file) as lines:
        for line in lines:
            yield bytes(_line.decode(line).frame)
