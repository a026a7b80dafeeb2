"""What of a recording is replayed."""

from __future__ import annotations

import json
from pathlib import Path

from pms.venue.background.recording import TradeStep, load
from pms.venue.matching import BUY, SELL
from pms.venue.symbols import SHIPPED, SymbolTable

SYMBOLS = SymbolTable.load(SHIPPED)


def frame(at_ns: int, **event: object) -> str:
    return json.dumps({"recv_ns": at_ns, "frame": {"s": "BTCUSDT", **event}})


def test_only_trades_that_met_the_book_are_replayed(tmp_path: Path) -> None:
    rows = [
        ("100.10", "0.003", True, {"X": "MARKET"}),
        # No order has such a price
        ("99.1234567", "0.005", False, {"X": "INSURANCE_FUND"}),
        ("90.00", "0.004", True, {"X": "ADL"}),
        ("0", "0", True, {"X": "NA"}),
        ("100.20", "0.002", False, {"X": "RPI"}),
        # As recorded before there was the field
        ("100.30", "0.001", False, {}),
    ]
    lines = [frame(1, e="depthUpdate", u=1, b=[["100.00", "5"]], a=[["101.00", "5"]])]
    lines += [
        frame(number, e="trade", p=price, q=quantity, m=sold, **more)
        for number, (price, quantity, sold, more) in enumerate(rows, start=2)
    ]
    path = tmp_path / "recorded.ndjson"
    path.write_text("\n".join(lines))
    (recording,) = load(path, SYMBOLS)
    trades = [step for step in recording.steps if isinstance(step, TradeStep)]
    assert [(each.at_ns, each.side, each.price, each.lots) for each in trades] == [
        (2, SELL, 1001, 3),
        (6, BUY, 1002, 2),
        (7, BUY, 1003, 1),
    ]
