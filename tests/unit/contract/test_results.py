"""A result is read back as it was given, to its last digit."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pms.contract.money import encode
from pms.contract.results import Result, read_result


@given(st.decimals("-1e15", "1e15", places=12))
def test_a_result_keeps_every_digit(quantity: Decimal) -> None:
    told = Result(success=True, request_id="r", command="pms.trade", quantity=quantity)
    assert read_result(encode(told)).quantity == quantity
