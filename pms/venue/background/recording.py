"""Recorded Binance frames, read into steps of whole ticks and lots.

A file is NDJSON, gzip'd or not; each line wraps one verbatim frame: {"recv_ns": …, "frame": {…}} or
{"recv": seconds, "frame": {…}}. A REST depth snapshot may stand among them, or in a file beside it named
depth…_SYMBOL_….json(.gz).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import msgspec

from pms.venue.matching import BUY, SELL
from pms.venue.symbols import Symbol, SymbolTable

Levels = list[tuple[int, int]]
TextLevels = list[tuple[str, str]]


class RecordingError(Exception):
    """A recording cannot be replayed; the message says which file and why."""


class Snapshot(msgspec.Struct):
    """A REST depth answer."""

    last_update_id: int = msgspec.field(name="lastUpdateId")
    bids: TextLevels
    asks: TextLevels


class _Payload(msgspec.Struct):
    """The fields of depthUpdate, trade and aggTrade that a replay needs."""

    event: str = msgspec.field(name="e")
    symbol: str = msgspec.field(name="s", default="")
    last: int = msgspec.field(name="u", default=0)
    bids: msgspec.Raw = msgspec.field(name="b", default_factory=msgspec.Raw)
    asks: msgspec.Raw = msgspec.field(name="a", default_factory=msgspec.Raw)
    price: str = msgspec.field(name="p", default="0")
    quantity: str = msgspec.field(name="q", default="0")
    buyer_is_maker: bool = msgspec.field(name="m", default=False)
    kind: str = msgspec.field(name="X", default="MARKET")


class _Line(msgspec.Struct):
    frame: msgspec.Raw
    recv_ns: int = 0
    recv: float = 0.0


class _Combined(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    last_update_id: int = msgspec.field(name="lastUpdateId", default=0)


@dataclass(frozen=True, slots=True)
class DiffStep:
    """One recorded depth diff."""

    at_ns: int
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class TradeStep:
    """One recorded trade as the aggressor it was."""

    at_ns: int
    side: int
    price: int
    lots: int


@dataclass(slots=True)
class Recording:
    """One symbol's part of a recording: the book it starts from, then what happened."""

    symbol: str
    bids: Levels
    asks: Levels
    steps: list[DiffStep | TradeStep]


@dataclass(slots=True)
class _Raw:
    """One symbol's frames as read."""

    diffs: list[tuple[int, _Payload]] = field(default_factory=list)
    trades: list[tuple[int, _Payload]] = field(default_factory=list)
    aggregates: list[tuple[int, _Payload]] = field(default_factory=list)


_line = msgspec.json.Decoder(_Line)
_combined = msgspec.json.Decoder(_Combined)
_payload = msgspec.json.Decoder(_Payload)
_snapshot = msgspec.json.Decoder(Snapshot)
_levels = msgspec.json.Decoder(TextLevels)
OFF_BOOK = ("INSURANCE_FUND", "ADL")
"""Rows that met no order, at prices between two ticks for instance (dev.binance.vision, topic 18342)."""
REPLAYED = {"depthUpdate": "diffs", "trade": "trades", "aggTrade": "aggregates"}


def load(path: Path, symbols: SymbolTable, snapshots: Mapping[str, Path] | None = None) -> list[Recording]:
    """Read a recording; symbols the venue does not list are refused. Raises RecordingError."""
    try:
        frames, inline = _read(path)
        found = []
        for name, raw in frames.items():
            if not raw.diffs:
                continue
            if name not in symbols.by_name:
                raise RecordingError(f"{path}: {name} is not in the symbols file")
            start = inline if inline is not None and len(frames) == 1 else None
            start = start or _beside(path, name, snapshots or {})
            found.append(_recording(symbols[name], raw, start))
    except (OSError, EOFError, ValueError) as error:
        raise RecordingError(f"{path} cannot be replayed: {error}") from None
    if not found:
        raise RecordingError(f"{path} holds no depth diffs")
    return found


def under_other_names(
    recordings: list[Recording], names: Mapping[str, str], symbols: SymbolTable
) -> list[Recording]:
    """The same frames again, each under another listed symbol. Raises RecordingError.

    Whoever trades in one of them meets nobody who trades in the others.
    """
    recorded = {each.symbol: each for each in recordings}
    found = []
    for name, source in names.items():
        if source not in recorded:
            raise RecordingError(f"{name} is to be played as {source}, of which there is no recording")
        if name not in symbols.by_name or name in recorded:
            why = "has a recording of its own" if name in recorded else "is not in the symbols file"
            raise RecordingError(f"{name} is to be played as {source}, but {why}")
        if not _same_scale(symbols[name], symbols[source]):
            raise RecordingError(f"{name} is to be played as {source}, but has another tickSize or stepSize")
        found.append(replace(recorded[source], symbol=name))
    return found


def _same_scale(one: Symbol, other: Symbol) -> bool:
    return (one.tick, one.step) == (other.tick, other.step)


def _read(path: Path) -> tuple[dict[str, _Raw], Snapshot | None]:
    frames: dict[str, _Raw] = {}
    snapshot: Snapshot | None = None
    for text in _lines(path):
        line = _line.decode(text)
        at_ns = line.recv_ns or int(line.recv * 1e9)
        wrapper = _combined.decode(line.frame)
        if wrapper.last_update_id:
            snapshot = snapshot or _snapshot.decode(line.frame)
            continue
        payload = _payload.decode(wrapper.data if wrapper.stream else line.frame)
        kind = REPLAYED.get(payload.event)
        if kind is not None:
            getattr(frames.setdefault(payload.symbol, _Raw()), kind).append((at_ns, payload))
    return frames, snapshot


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as probe:
        zipped = probe.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if zipped else path.open("rb") as file:
        for line in file:
            if line.strip():
                yield line


def _beside(path: Path, symbol: str, given: Mapping[str, Path]) -> Snapshot | None:
    """The snapshot named for a symbol, or lying beside the recording; None if there is none."""
    found = given.get(symbol)
    if found is None:
        matches = sorted(path.parent.glob(f"depth*_{symbol}[_.]*"))
        found = matches[0] if matches else None
    return None if found is None else _snapshot.decode(b"".join(_lines(found)))


def _recording(symbol: Symbol, raw: _Raw, start: Snapshot | None) -> Recording:
    """Drop what the snapshot already holds (u < lastUpdateId), and the trades before the first diff."""
    last = start.last_update_id if start is not None else 0
    diffs = [(at, each) for at, each in raw.diffs if each.last >= last]
    if not diffs:
        raise RecordingError(f"{symbol.name}: no diff follows the snapshot")
    first = diffs[0][0]
    steps: list[DiffStep | TradeStep] = [
        DiffStep(at, _whole(symbol, _levels.decode(each.bids)), _whole(symbol, _levels.decode(each.asks)))
        for at, each in diffs
    ]
    for at, each in raw.trades or raw.aggregates:
        if each.kind in OFF_BOOK:
            continue
        price, lots = Decimal(each.price), Decimal(each.quantity)
        # Rows of type NA carry zeros: no trade
        if at >= first and price and lots:
            side = SELL if each.buyer_is_maker else BUY
            steps.append(TradeStep(at, side, _ticks(symbol, price), _lots(symbol, lots)))
    steps.sort(key=lambda step: step.at_ns)
    return Recording(
        symbol=symbol.name,
        bids=_whole(symbol, start.bids if start is not None else []),
        asks=_whole(symbol, start.asks if start is not None else []),
        steps=steps,
    )


def _whole(symbol: Symbol, levels: TextLevels) -> Levels:
    return [(_ticks(symbol, Decimal(price)), _lots(symbol, Decimal(lots))) for price, lots in levels]


def _ticks(symbol: Symbol, price: Decimal) -> int:
    ticks, rest = divmod(price, symbol.tick)
    if rest:
        raise RecordingError(f"{symbol.name}: price {price} is no multiple of tickSize {symbol.tick}")
    return int(ticks)


def _lots(symbol: Symbol, quantity: Decimal) -> int:
    lots, rest = divmod(quantity, symbol.step)
    if rest:
        raise RecordingError(f"{symbol.name}: quantity {quantity} is no multiple of stepSize {symbol.step}")
    return int(lots)
