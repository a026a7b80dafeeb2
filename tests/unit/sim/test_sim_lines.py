"""The simulator's own arithmetic of liquidation: where each line is, and when it is left again."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from pms.sim.lines import EVERYBODYS, Held, Weight, read_lines, weigh
from pms.sim.machines.exchange import symbols
from pms.sim.traffic.storm import EXPOSED, TIGHT_LINES, draw
from pms.venue.background.synthetic import start_price

LINES, TIGHT = read_lines(EVERYBODYS), read_lines(TIGHT_LINES)


@pytest.mark.parametrize(
    ("need", "before", "level"),
    [
        ("69.99", 0, 0),
        ("70", 0, 1),
        ("65.01", 1, 1),
        ("64.99", 1, 0),
        ("80", 0, 2),
        ("76", 2, 2),
        ("74", 2, 1),
        ("90", 1, 3),
        ("100", 0, 4),
        ("0", 3, 0),
    ],
)
def test_a_line_is_crossed_at_its_ratio_and_left_below_it(need: str, before: int, level: int) -> None:
    assert Weight(D(100), D(need), LINES).level(before) == level


def test_no_equity_is_beyond_all_lines_and_no_position_beyond_none() -> None:
    assert Weight(D(-1), D(1), LINES).level(0) == 4
    assert Weight(D(0), D(0), LINES).level(2) == 0


def test_a_group_has_its_own() -> None:
    assert (Weight(D(100), D(60), LINES).level(0), Weight(D(100), D(60), TIGHT).level(0)) == (0, 1)
    assert Weight(D(100), D(94), TIGHT).level(0) == 4


def test_both_sides_need_their_margin() -> None:
    """1 BTC at 60,000 is in the first bracket: 0.4 percent a side; 6 more are in the second, of 0.5."""
    both = [("BTCUSDT", Held(D(1), D(60_000))), ("BTCUSDT", Held(D(-1), D(-61_000)))]
    weight = weigh(D(500), both, {"BTCUSDT": D(60_000)}, LINES)
    assert (weight.equity, weight.need) == (D(1500), D(480))
    large = weigh(D(0), [("BTCUSDT", Held(D(6), D(0)))], {"BTCUSDT": D(60_000)}, LINES)
    assert large.need == D(360_000) * D("0.005") - D(300)


@pytest.mark.parametrize("seed", range(20))
def test_a_storm_begins_beyond_nobodys_line_and_nets_to_nothing(seed: int) -> None:
    storm = draw(seed)
    assert storm is draw(seed)
    assert storm.shocks
    sums: dict[str, D] = {}
    prices = {symbol.name: symbol.price(start_price(symbol)) for symbol in symbols().by_name.values()}
    for account in EXPOSED:
        mine = [(symbol, held) for (owner, symbol, _), held in storm.held.items() if owner == account]
        lines = TIGHT if account in storm.tight else LINES
        assert weigh(storm.balances[account], mine, prices, lines).level(0) == 0
    for (account, symbol, side), held in storm.held.items():
        assert account in EXPOSED
        assert side == ("BOTH" if account != "felix" else "LONG" if held.quantity > 0 else "SHORT")
        sums[symbol] = sums.get(symbol, D(0)) + held.quantity
    assert sums
    assert not any(sums.values())
