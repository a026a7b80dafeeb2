"""Maintenance margin and liquidation prices, against the exchange's own figures (PROTOCOL 9.1)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pms.domain.brackets import UNKNOWN, Bracket, BracketError, bracket_of, ladder, maintenance
from pms.domain.margin import Exposure, Weight, liquidation_prices, weigh

D = Decimal
BTC = ladder(
    [
        (150, D(0), D(300_000), D("0.004")),
        (100, D(300_000), D(800_000), D("0.005")),
        (75, D(800_000), D(3_000_000), D("0.0065")),
        (50, D(3_000_000), D(12_000_000), D("0.01")),
        (25, D(12_000_000), D(70_000_000), D("0.02")),
        (20, D(70_000_000), D(100_000_000), D("0.025")),
        (10, D(100_000_000), D(230_000_000), D("0.05")),
    ]
)
CENT = D("0.01")


def price_of(
    balance: Decimal, held: list[Exposure], prices: dict[str, Decimal], symbol: str
) -> Decimal | None:
    return liquidation_prices(balance, held, prices).get(symbol)


def test_the_amounts_that_make_it_continuous_are_the_exchanges() -> None:
    assert [step.cum for step in BTC] == [0, 300, 1500, 12000, 132000, 482000, 2982000]


@pytest.mark.parametrize(
    ("quantity", "entry", "wallet", "expected", "left"),
    [
        ("0.1", "65000", "1000", "55220.88353414", "22.088353"),
        ("-20", "65000", "100000", "69622.45404868", "7550.919026"),
        ("10", "3500", "5000", "3012.04819277", "120.481928"),
    ],
)
def test_the_worked_liquidation_prices(
    quantity: str, entry: str, wallet: str, expected: str, left: str
) -> None:
    symbol = "BTCUSDT"  # ETHUSDT, of which the last is, has the same first three steps
    held = Exposure(symbol, D(quantity), D(quantity) * D(entry), BTC)
    price = price_of(D(wallet), [held], {symbol: D(entry)}, symbol)
    assert price is not None
    assert price.quantize(D("1e-8")) == D(expected)
    there = weigh(D(wallet), [held], {symbol: price})
    assert there.equity.quantize(D("1e-6")) == there.maintenance.quantize(D("1e-6")) == D(left)


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [(10, D(5), D(10), D("0.1"))],
        [(10, D(0), D(10), D("0.1")), (5, D(11), D(20), D("0.2"))],
        [(10, D(0), D(10), D("0.2")), (5, D(10), D(20), D("0.1"))],
        [(10, D(0), D(10), D(1))],
        [(10, D(0), D(10), D(0))],
        [(10, D(0), D(0), D("0.1"))],
    ],
)
def test_steps_that_are_none_are_refused(steps: list[tuple[int, Decimal, Decimal, Decimal]]) -> None:
    with pytest.raises(BracketError):
        ladder(steps)


def test_a_position_that_outgrew_the_last_step_still_needs_its_margin() -> None:
    assert bracket_of(BTC, D("1e12")).ratio == D("0.05")
    assert maintenance(BTC, D("1e12")) == D("1e12") * D("0.05") - 2982000


@given(st.decimals("0.01", "400000000", places=2), st.decimals("0.01", "1000000", places=2))
def test_maintenance_grows_with_the_notional_and_ever_faster(notional: Decimal, more: Decimal) -> None:
    first = maintenance(BTC, notional + more) - maintenance(BTC, notional)
    second = maintenance(BTC, notional + 2 * more) - maintenance(BTC, notional + more)
    assert 0 < first <= second


def test_an_account_without_positions_is_never_liquidated() -> None:
    assert not Weight(D(-5), D(0)).crossed(D(1))
    assert Weight(D(-5), D(0)).ratio == 0


def test_an_account_under_water_has_crossed_every_tier_and_has_no_ratio() -> None:
    assert Weight(D(-5), D(1)).crossed(D("0.7"))
    assert Weight(D(-5), D(1)).ratio is None


quantities = st.decimals("-50", "50", places=3).filter(bool)
entries = st.decimals("1000", "100000", places=1)
balances = st.decimals("1", "5000000", places=2)


@given(balances, quantities, entries, quantities, entries)
def test_at_the_liquidation_price_nothing_is_left(
    balance: Decimal, quantity: Decimal, price: Decimal, other: Decimal, other_price: Decimal
) -> None:
    held = [
        Exposure("BTCUSDT", quantity, quantity * price, BTC),
        Exposure("XUSDT", other, other * other_price, UNKNOWN),
    ]
    prices = {"BTCUSDT": price, "XUSDT": other_price}
    found = price_of(balance, held, prices, "BTCUSDT")
    if found is None:
        # Safe at every price, or at none.
        anywhere = (D("1e-9"), price / 2, price, price * 2, D("1e9"))
        assert len({weigh(balance, held, {**prices, "BTCUSDT": p}).slack(D(1)) > 0 for p in anywhere}) == 1
        return
    assume(found > D("1e-6"))
    slack = weigh(balance, held, {**prices, "BTCUSDT": found}).slack(D(1))
    assert abs(slack) < D("1e-9")


def test_both_sides_of_a_hedged_account_count() -> None:
    held = [
        Exposure("BTCUSDT", D(2), D(2) * 60_000, (Bracket(20, D(0), D("Infinity"), D("0.01")),)),
        Exposure("BTCUSDT", D(-1), D(-1) * 61_000, (Bracket(20, D(0), D("Infinity"), D("0.01")),)),
    ]
    price = price_of(D(10_000), held, {"BTCUSDT": D(60_500)}, "BTCUSDT")
    # 10,000 + 2 (p - 60,000) + (61,000 - p) = 0.03 p
    assert price is not None
    assert price.quantize(CENT) == (D(49_000) / D("0.97")).quantize(CENT)
