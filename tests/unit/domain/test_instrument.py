"""Prices and quantities are judged in one place, exactly, and every refusal names field and limit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pms.domain.instrument import SNAP, Instrument, InstrumentError

BTC = Instrument(
    symbol="BTCUSDT",
    base_asset="BTC",
    quote_asset="USDT",
    margin_asset="USDT",
    status="TRADING",
    tick=Decimal("0.10"),
    min_price=Decimal("556.80"),
    max_price=Decimal(4529764),
    step=Decimal("0.001"),
    min_quantity=Decimal("0.001"),
    max_quantity=Decimal(1000),
    market_step=Decimal("0.002"),
    market_min_quantity=Decimal("0.004"),
    market_max_quantity=Decimal(120),
    min_notional=Decimal(100),
    multiplier_up=Decimal("1.05"),
    multiplier_down=Decimal("0.95"),
    max_leverage=125,
)
ticks = st.integers(5568, 45_297_640).map(lambda count: count * BTC.tick)
steps = st.integers(1, 1_000_000).map(lambda count: count * BTC.step)
near = st.decimals(-SNAP, SNAP, places=12)
off = st.decimals(SNAP * 2, Decimal("0.0004"), places=12)


@given(ticks, near)
def test_a_price_near_its_tick_is_put_on_it(price: Decimal, error: Decimal) -> None:
    if BTC.min_price <= price + error <= BTC.max_price:
        assert BTC.snap_price(price + error) == price


@given(ticks, off)
def test_a_price_between_ticks_is_refused(price: Decimal, error: Decimal) -> None:
    if price + error <= BTC.max_price:
        with pytest.raises(InstrumentError) as raised:
            BTC.snap_price(price + error)
        assert (raised.value.code, raised.value.field, raised.value.limit) == ("PRICE_TICK", "price", "0.1")


@given(steps, near)
def test_a_quantity_near_its_step_is_put_on_it(quantity: Decimal, error: Decimal) -> None:
    if BTC.min_quantity <= quantity + error <= BTC.max_quantity:
        assert BTC.snap_quantity(quantity + error, market=False) == quantity


@given(st.decimals(0, 5000, places=8) | st.decimals(0, 5000, places=34), st.booleans())
@example(Decimal("1.9999999999999999999999999999999999"), False)
def test_a_floored_quantity_is_legal_or_zero(quantity: Decimal, market: bool) -> None:
    floored = BTC.floor_quantity(quantity, market=market)
    assert floored <= quantity
    most = BTC.market_max_quantity if market else BTC.max_quantity
    if floored and floored <= most:
        assert BTC.snap_quantity(floored, market=market) == floored
        assert floored + (BTC.market_step if market else BTC.step) > quantity


def test_next_to_nothing_is_not_put_on_zero() -> None:
    unlimited = replace(BTC, min_price=Decimal(0), min_quantity=Decimal(0))
    for snap in (unlimited.snap_price, lambda value: unlimited.snap_quantity(value, market=False)):
        with pytest.raises(InstrumentError):
            snap(Decimal("1e-10"))


@pytest.mark.parametrize(
    ("quantity", "market", "code", "limit"),
    [
        ("0", False, "QUANTITY_MIN", "0.001"),
        ("0.0005", False, "QUANTITY_MIN", "0.001"),
        ("1000.001", False, "QUANTITY_MAX", "1000"),
        ("1.0005", False, "QUANTITY_STEP", "0.001"),
        ("0.002", True, "QUANTITY_MIN", "0.004"),
        ("120.002", True, "QUANTITY_MAX", "120"),
        ("1.001", True, "QUANTITY_STEP", "0.002"),
    ],
)
def test_a_quantity_that_breaks_a_rule(quantity: str, market: bool, code: str, limit: str) -> None:
    with pytest.raises(InstrumentError) as raised:
        BTC.snap_quantity(Decimal(quantity), market=market)
    error = raised.value
    assert (error.code, error.field, error.limit, error.actual) == (code, "quantity", limit, quantity)


@pytest.mark.parametrize(
    ("price", "limit"), [("556.7", "556.8"), ("0", "556.8"), ("-1", "556.8"), ("4529764.1", "4529764")]
)
def test_a_price_outside_its_range(price: str, limit: str) -> None:
    with pytest.raises(InstrumentError) as raised:
        BTC.snap_price(Decimal(price))
    assert (raised.value.code, raised.value.limit) == ("PRICE_RANGE", limit)


@pytest.mark.parametrize(
    ("side", "price", "legal"),
    [
        *(("BUY", "52500", True), ("BUY", "52500.1", False), ("BUY", "1000", True)),
        *(("SELL", "47500", True), ("SELL", "47499.9", False), ("SELL", "90000", True)),
    ],
)
def test_the_collar_binds_the_side_that_could_overpay(side: str, price: str, legal: bool) -> None:
    if legal:
        BTC.check_collar(Decimal(price), side=side, reference=Decimal(50000))
        return
    with pytest.raises(InstrumentError) as raised:
        BTC.check_collar(Decimal(price), side=side, reference=Decimal(50000))
    assert raised.value.code == "PRICE_COLLAR"


def test_the_least_notional_spares_what_only_reduces() -> None:
    BTC.check_notional(Decimal(50000), Decimal("0.002"), reduce_only=False)
    BTC.check_notional(Decimal(50000), Decimal("0.001"), reduce_only=True)
    with pytest.raises(InstrumentError) as raised:
        BTC.check_notional(Decimal(50000), Decimal("0.001"), reduce_only=False)
    assert (raised.value.code, raised.value.limit, raised.value.actual) == ("MIN_NOTIONAL", "100", "50")
