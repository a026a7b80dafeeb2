"""exchangeInfo as the exchange really writes it, read into instruments."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from pms.binance.instruments import parse_instruments, parse_symbol
from pms.domain.brackets import UNKNOWN, maintenance

ETH: dict[str, Any] = msgspec.json.decode("""
{"symbol":"ETHUSDT","pair":"ETHUSDT","contractType":"PERPETUAL","status":"TRADING","baseAsset":"ETH",
 "quoteAsset":"USDT","marginAsset":"USDT","pricePrecision":2,"quantityPrecision":3,"settlePlan":0,"filters":[
  {"tickSize":"0.01","maxPrice":"306177","filterType":"PRICE_FILTER","minPrice":"39.86"},
  {"filterType":"LOT_SIZE","minQty":"0.001","maxQty":"10000","stepSize":"0.001"},
  {"filterType":"MARKET_LOT_SIZE","minQty":"0.002","maxQty":"2000","stepSize":"0.002"},
  {"filterType":"MAX_NUM_ORDERS","limit":10000},{"filterType":"MIN_NOTIONAL","notional":"20"},
  {"filterType":"PERCENT_PRICE","multiplierUp":"1.0500","multiplierDown":"0.9500","multiplierDecimal":"4"},
  {"filterType":"POSITION_RISK_CONTROL","positionControlSide":"NONE"},{"filterType":"OF_TOMORROW","x":[1]}]}
""")


def bracket(number: int, leverage: int, floor: int, cap: int, ratio: float) -> dict[str, Any]:
    return {
        "bracket": number,
        "initialLeverage": leverage,
        "notionalFloor": floor,
        "notionalCap": cap,
        "maintMarginRatio": ratio,
    }


BRACKETS = [
    {
        "symbol": "ETHUSDT",
        "notionalCoef": Decimal("1.50"),
        "brackets": [bracket(2, 50, 10_000, 50_000, 0.01), bracket(1, 75, 0, 10_000, 0.0065)],
    }
]


def test_maintenance_margin_is_read_by_its_steps() -> None:
    eth = parse_instruments({"symbols": [ETH]}, BRACKETS)["ETHUSDT"]
    assert maintenance(eth.brackets, Decimal(10_000)) == 65
    assert maintenance(eth.brackets, Decimal(20_000)) == 165


def test_brackets_that_make_no_sense_are_those_of_an_unknown_symbol() -> None:
    torn = {**BRACKETS[0], "brackets": [bracket(2, 50, 10_000, 50_000, 0.01)]}
    eth = parse_instruments({"symbols": [ETH]}, [torn])["ETHUSDT"]
    assert eth.brackets == UNKNOWN
    assert eth.max_leverage == 50


def without(filter_type: str) -> dict[str, Any]:
    row = copy.deepcopy(ETH)
    row["filters"] = [each for each in row["filters"] if each["filterType"] != filter_type]
    return row


def test_every_limit_is_read() -> None:
    eth = parse_instruments({"symbols": [ETH]}, BRACKETS)["ETHUSDT"]
    assert (eth.base_asset, eth.quote_asset, eth.margin_asset, eth.status) == (
        "ETH",
        "USDT",
        "USDT",
        "TRADING",
    )
    assert (eth.tick, eth.min_price, eth.max_price) == (Decimal("0.01"), Decimal("39.86"), Decimal(306177))
    assert (eth.step, eth.min_quantity, eth.max_quantity) == (
        Decimal("0.001"),
        Decimal("0.001"),
        Decimal(10000),
    )
    market = (eth.market_step, eth.market_min_quantity, eth.market_max_quantity)
    assert market == (Decimal("0.002"), Decimal("0.002"), Decimal(2000))
    assert (eth.min_notional, eth.multiplier_up, eth.multiplier_down) == (
        20,
        Decimal("1.05"),
        Decimal("0.95"),
    )
    assert eth.max_leverage == 75


def test_market_orders_use_the_lot_size_where_they_have_none_of_their_own() -> None:
    eth = parse_symbol(without("MARKET_LOT_SIZE"))
    assert (eth.market_step, eth.market_max_quantity) == (eth.step, eth.max_quantity)


@pytest.mark.parametrize("filter_type", ["PRICE_FILTER", "MIN_NOTIONAL", "PERCENT_PRICE"])
def test_a_missing_filter_is_switched_off(filter_type: str) -> None:
    eth = parse_symbol(without(filter_type))
    assert eth.snap_quantity(Decimal("0.001"), market=False) == Decimal("0.001")
    eth.snap_price(Decimal("1000"))
    eth.check_notional(Decimal(1000), Decimal(1), reduce_only=False)
    eth.check_collar(Decimal(1000), side="BUY", reference=Decimal(1000))


def test_the_leverage_is_unknown_without_brackets() -> None:
    assert parse_symbol(ETH).max_leverage is None


@pytest.mark.parametrize(
    "broken",
    [
        without("LOT_SIZE"),
        {**ETH, "filters": None},
        {**ETH, "filters": [{"filterType": "LOT_SIZE", "stepSize": "NaN"}]},
        {**ETH, "filters": [{"filterType": "LOT_SIZE", "stepSize": "-1"}]},
        {**ETH, "filters": [{"filterType": "LOT_SIZE", "stepSize": "much"}]},
        {key: value for key, value in ETH.items() if key != "status"},
        {},
    ],
)
def test_a_symbol_that_cannot_be_read_is_left_out_alone(broken: dict[str, Any]) -> None:
    other = {**ETH, "symbol": "牛来USDT"}
    assert list(parse_instruments({"symbols": [broken, other]})) == ["牛来USDT"]


@pytest.mark.parametrize(
    ("contract", "perpetual"),
    [
        ("PERPETUAL", True),
        ("TRADIFI_PERPETUAL", True),
        ("PERPETUAL_DELIVERING", True),
        ("", True),
        ("CURRENT_QUARTER", False),
        ("CURRENT_QUARTER DELIVERING", False),
        ("NEXT_MONTH", False),
    ],
)
def test_contracts_that_end_by_delivery_are_told_from_perpetual_ones(contract: str, perpetual: bool) -> None:
    assert parse_symbol({**ETH, "contractType": contract}).perpetual is perpetual
