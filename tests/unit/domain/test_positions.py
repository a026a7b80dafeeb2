"""A position's cost basis is exact: realised P&L plus what is open is what was paid and received."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pms.domain.positions import Position

D = Decimal
lots = st.integers(-500, 500).filter(bool).map(lambda n: D(n) / 1000)
prices = st.integers(1, 10_000_000).map(lambda n: D(n) / 100)


@given(st.lists(st.tuples(lots, prices), min_size=1, max_size=40))
def test_no_money_appears_or_vanishes(trades: list[tuple[Decimal, Decimal]]) -> None:
    position = Position("a", "BTCUSDT", leverage=10)
    paid = realized = D(0)
    for quantity, price in trades:
        paid += quantity * price
        realized += position.trade(quantity, price).realized
    assert position.quantity == sum(quantity for quantity, _ in trades)
    assert position.cost - realized == paid
    if not position.quantity:
        assert position.cost == 0


@given(st.lists(st.tuples(lots, prices), min_size=1, max_size=40))
def test_cost_has_the_sign_of_the_quantity(trades: list[tuple[Decimal, Decimal]]) -> None:
    position = Position("a", "BTCUSDT", leverage=10)
    for quantity, price in trades:
        position.trade(quantity, price)
        assert position.quantity * position.cost >= 0


def test_a_flip_closes_and_opens() -> None:
    position = Position("a", "BTCUSDT", leverage=10)
    position.trade(D("1"), D("100"))
    move = position.trade(D("-3"), D("110"))
    assert (move.realized, move.closed, move.opened) == (D("10"), D("1"), True)
    assert (position.quantity, position.entry_price) == (D("-2"), D("110"))


def test_a_reduction_keeps_the_entry_price() -> None:
    position = Position("a", "BTCUSDT", leverage=10)
    position.trade(D("3"), D("100"))
    move = position.trade(D("-1"), D("90"))
    assert (move.realized, move.closed, move.opened) == (D("-10"), D("1"), False)
    assert position.entry_price == D("100")
