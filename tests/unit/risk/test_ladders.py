"""Brackets from the exchange: one row that makes no sense costs only its own symbol."""

from __future__ import annotations

from decimal import Decimal

from pms.flows.margin_ladders import ladders_from

D = Decimal
STEPS = [
    {
        "initialLeverage": 50,
        "notionalFloor": 0,
        "notionalCap": 50_000,
        "maintMarginRatio": D("0.01"),
        "cum": 0,
    },
    {"initialLeverage": 20, "notionalFloor": 50_000, "notionalCap": 900_000, "maintMarginRatio": D("0.02")},
]


def test_what_cannot_be_read_is_left_out() -> None:
    rows = [
        {"symbol": "BTCUSDT", "brackets": STEPS},
        {"symbol": "GAPUSDT", "brackets": STEPS[1:]},
        {"symbol": "BAREUSDT"},
        {"symbol": "ODDUSDT", "brackets": [{**STEPS[0], "maintMarginRatio": "much"}]},
        {"symbol": "NONEUSDT", "brackets": []},
    ]
    found = ladders_from(rows)
    assert set(found) == {"BTCUSDT"}
    assert found["BTCUSDT"].margin(D(100_000)) == 100_000 * D("0.02") - 500
