"""exchangeInfo and leverage brackets, read into instruments; unknown filters and fields are passed over."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pms.domain.instrument import Instrument

ZERO = "0"


def parse_instruments(
    exchange_info: dict[str, Any], brackets: list[dict[str, Any]] | None = None
) -> dict[str, Instrument]:
    """The instruments of an exchange, by symbol."""
    leverage = {
        row["symbol"]: max((int(bracket["initialLeverage"]) for bracket in row["brackets"]), default=None)
        for row in brackets or []
    }
    return {
        symbol["symbol"]: parse_symbol(symbol, max_leverage=leverage.get(symbol["symbol"]))
        for symbol in exchange_info["symbols"]
    }


def parse_symbol(symbol: dict[str, Any], *, max_leverage: int | None = None) -> Instrument:
    """One symbol; a missing filter is one that is switched off."""
    filters = {row["filterType"]: row for row in symbol.get("filters", [])}
    price = filters.get("PRICE_FILTER", {})
    lot = filters.get("LOT_SIZE", {})
    market = filters.get("MARKET_LOT_SIZE", lot)
    percent = filters.get("PERCENT_PRICE", {})
    return Instrument(
        symbol=symbol["symbol"],
        base_asset=symbol.get("baseAsset", ""),
        quote_asset=symbol.get("quoteAsset", ""),
        margin_asset=symbol.get("marginAsset", ""),
        status=symbol.get("status", ""),
        tick=_number(price, "tickSize"),
        min_price=_number(price, "minPrice"),
        max_price=_number(price, "maxPrice"),
        step=_number(lot, "stepSize"),
        min_quantity=_number(lot, "minQty"),
        max_quantity=_number(lot, "maxQty"),
        market_step=_number(market, "stepSize"),
        market_min_quantity=_number(market, "minQty"),
        market_max_quantity=_number(market, "maxQty"),
        min_notional=_number(filters.get("MIN_NOTIONAL", {}), "notional"),
        multiplier_up=_number(percent, "multiplierUp"),
        multiplier_down=_number(percent, "multiplierDown"),
        max_leverage=max_leverage,
    )


def _number(row: dict[str, Any], name: str) -> Decimal:
    return Decimal(str(row.get(name, ZERO)))
