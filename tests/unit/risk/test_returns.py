"""Closes laid side by side: what is missing is filled by rule or left out by name, never zero."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from makers import DAY, D, closes, walk

from pms.risk.returns import Closes, align

UP_AND_DOWN = ["0.10", "-0.10", "0.20", "-0.05", "0.02", "-0.04"]


def test_relative_changes_of_the_last_bars() -> None:
    found = align({"BTCUSDT": closes("50", "100", "110", "99")}, count=2, least=1, reference="BTCUSDT")
    assert found.matrix[:, 0] == pytest.approx([0.1, -0.1])
    assert (found.count, found.observed, found.filled("BTCUSDT")) == (2, {"BTCUSDT": 2}, 0)


def test_the_bar_behind_a_gap_carries_the_whole_move_and_the_gap_is_filled() -> None:
    market = walk(UP_AND_DOWN)
    gapped = closes("100", "110", None, "55", "55", "55", "55")
    found = align({"BTCUSDT": market, "ETHUSDT": gapped}, count=6, least=3, reference="BTCUSDT")
    column = found.matrix[:, found.symbols.index("ETHUSDT")]
    assert column[[0, 2, 3, 4, 5]] == pytest.approx([0.1, -0.5, 0, 0, 0])
    assert found.observed["ETHUSDT"] == 5
    assert found.filled("ETHUSDT") == 1
    assert column[1] != 0


def test_a_young_symbol_is_filled_by_beta_and_its_own_residuals() -> None:
    """It moves 1.5 times the market, plus 1 % and minus 1 % in turn: so does what is filled."""
    ours = ["0.29", "-0.065"]  # 1.5 x 0.20 - 0.01; 1.5 x -0.05 + 0.01
    market = walk(UP_AND_DOWN[:4])
    young = walk(ours, start=2)
    found = align({"BTCUSDT": market, "NEWUSDT": young}, count=4, least=2, reference="BTCUSDT")
    column = found.matrix[:, found.symbols.index("NEWUSDT")]
    assert column[2:] == pytest.approx([0.29, -0.065])
    beta = (0.29 * 0.20 + -0.065 * -0.05) / (0.20**2 + 0.05**2)
    newest, older = -0.065 - beta * -0.05, 0.29 - beta * 0.20
    assert column[:2] == pytest.approx([beta * 0.10 + older, beta * -0.10 + newest])
    assert found.filled("NEWUSDT") == 2


def test_a_symbol_with_too_few_returns_is_left_out_by_name() -> None:
    found = align(
        {"BTCUSDT": walk(UP_AND_DOWN), "NEWUSDT": walk(["0.5"], start=5), "GONEUSDT": Closes((), ())},
        count=6,
        least=2,
        reference="BTCUSDT",
    )
    assert found.symbols == ("BTCUSDT",)
    assert found.observed == {"BTCUSDT": 6, "NEWUSDT": 1, "GONEUSDT": 0}
    assert found.filled("NEWUSDT") == 0


def test_without_the_reference_the_longest_history_takes_its_place() -> None:
    found = align({"AUSDT": walk(UP_AND_DOWN), "BUSDT": walk(["0.1"])}, count=9, least=2, reference="BTCUSDT")
    assert (found.reference, found.symbols, found.count) == ("AUSDT", ("AUSDT",), 6)


def test_no_history_at_all_is_no_matrix() -> None:
    for nothing in ({}, {"BTCUSDT": closes("100")}):
        found = align(nothing, count=5, least=1, reference="BTCUSDT")
        assert (found.count, found.symbols, found.matrix.shape) == (0, (), (0, 0))


def test_what_is_filled_has_the_variance_of_what_was_seen() -> None:
    """Against zeros in its place: half the history missing would halve it."""
    rng = np.random.default_rng(3)
    market = rng.normal(0, 0.02, 800)
    ours = 1.2 * market + rng.normal(0, 0.01, 800)
    young = [f"{each:.12f}" for each in ours[400:]]
    found = align(
        {"BTCUSDT": walk([f"{each:.12f}" for each in market]), "NEWUSDT": walk(young, start=400)},
        count=800,
        least=100,
        reference="BTCUSDT",
    )
    column = found.matrix[:, found.symbols.index("NEWUSDT")]
    assert found.filled("NEWUSDT") == 400
    # The variance of 400 normal draws has a standard error of √(2/400) of itself: 7 %, four of them 28 %.
    assert abs(column[:400].var() / ours.var() - 1) < 4 * (2 / 400) ** 0.5


BARS = st.dictionaries(st.integers(0, 30), st.integers(1, 1000), max_size=31)


@given(st.dictionaries(st.sampled_from(["AUSDT", "BTCUSDT", "CUSDT"]), BARS), st.integers(1, 20))
def test_whatever_is_missing_the_matrix_has_no_hole_and_what_was_seen_stands(
    drawn: dict[str, dict[int, int]], least: int
) -> None:
    past = {
        symbol: Closes(tuple(n * DAY for n in sorted(bars)), tuple(D(bars[n]) for n in sorted(bars)))
        for symbol, bars in drawn.items()
    }
    found = align(past, count=25, least=least, reference="BTCUSDT")
    assert set(found.observed) == set(drawn)
    assert found.matrix.shape == (found.count, len(found.symbols))
    assert np.isfinite(found.matrix).all()
    assert (found.matrix >= -1).all()
    for column, symbol in enumerate(found.symbols):
        assert found.observed[symbol] >= least
        bars = past[symbol]
        for (_, before), (time, price) in pairwise(zip(bars.times, bars.prices, strict=True)):
            if time in found.times:
                row = found.times.index(time)
                assert found.matrix[row, column] == pytest.approx(float(price / before - 1))


def test_bars_out_of_order_or_without_a_price_are_refused() -> None:
    for times, prices in (((2, 1), (1, 1)), ((1, 1), (1, 1)), ((1,), (0,)), ((1, 2), (1,))):
        with pytest.raises(ValueError, match=r"bar|close"):
            Closes(times, tuple(D(price) for price in prices))
