"""Between money and statistics: nothing is lost on the way in, and cents add up on the way out."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.risk.boundary import cents, cents_of_parts, floats


def test_an_estimate_comes_back_in_cents_and_nothing_that_is_no_number_does() -> None:
    assert (cents(12.3456), cents(-0.005), cents(0.0)) == (Decimal("12.35"), Decimal("-0.01"), Decimal(0))
    assert str(cents(-0.0)) == str(cents(-0.004)) == "0.00"
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="estimate"):
            cents(bad)


@given(st.lists(st.floats(-1e9, 1e9), max_size=60))
def test_parts_in_cents_add_up_to_their_sum_in_cents(parts: list[float]) -> None:
    rounded = cents_of_parts(parts)
    assert len(rounded) == len(parts)
    total = 0.0
    for each in parts:
        total += each
    assert sum(rounded, Decimal(0)) == cents(total)


@given(st.lists(st.decimals("-1000000000", "1000000000", places=8)))
def test_amounts_become_the_nearest_floats(amounts: list[Decimal]) -> None:
    assert floats(amounts).tolist() == [float(each) for each in amounts]
