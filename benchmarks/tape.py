"""Recordings that many trade on at once, each in a book of his own: the same frames under other names.

Orders of one exchange account would expire each other where they meet, and wait behind each other where they
do not. In books of their own they do neither, and all see the same market at the same moment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pms.venue.background.recording import TradeStep, load
from pms.venue.symbols import SHIPPED, SymbolTable

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "hftbacktest"
RECORDED = ("btcusdt_20240808_first60s.ndjson.gz", "ethusdt_20240808_first35s.ndjson.gz")
PULSE = "SOLUSDT"
"""A made-up market beside the recordings: while they are held, the feed is not silent."""


@dataclass(frozen=True, slots=True)
class Tape:
    """One symbol's recording, and what is known of it before it is played."""

    symbol: str
    path: Path
    seconds: float
    volume: Decimal
    #: of all recorded trades, in the base asset
    tick: Decimal
    step: Decimal

    def part(self, percent: Decimal) -> Decimal:
        """So many percent of what trades, in whole steps."""
        lots = self.volume * percent / 100 // self.step
        return lots * self.step


def tapes() -> list[Tape]:
    """All recordings; raises RuntimeError where they are not beside the checkout."""
    if not FOLDER.is_dir():
        raise RuntimeError(f"no ../shared: recorded market data is absent ({FOLDER})")
    symbols = SymbolTable.load(SHIPPED)
    found = []
    for path in (FOLDER / name for name in RECORDED):
        for recording in load(path, symbols):
            symbol, steps = symbols[recording.symbol], recording.steps
            lots = sum(step.lots for step in steps if isinstance(step, TradeStep))
            seconds = (steps[-1].at_ns - steps[0].at_ns) / 1e9
            volume = symbol.quantity(lots)
            found.append(Tape(symbol.name, path, seconds, volume, symbol.tick, symbol.step))
    return found


def venue_options(home: Path, played: Sequence[Tape], books: Mapping[str, str], *, speed: float) -> list[str]:
    """What the venue is started with: the tapes held, and each book's name with the symbol that it plays."""
    shipped = json.loads(SHIPPED.read_text())
    entries = {entry["symbol"]: entry for entry in shipped["symbols"]}
    listed = [entries[PULSE], *(entries[tape.symbol] for tape in played)]
    for name, symbol in books.items():
        entry = deepcopy(entries[symbol])
        listed.append(entry | {"symbol": name, "pair": name, "baseAsset": name.removesuffix("USDT")})
    path = home / "symbols.json"
    path.write_text(json.dumps(shipped | {"symbols": listed}))
    options = ["--symbols", str(path), "--replay-wait", "hold", "--speed", str(speed)]
    for tape in played:
        options += ["--replay", str(tape.path)]
    for name, symbol in books.items():
        options += ["--replay-as", f"{name}={symbol}"]
    return options
