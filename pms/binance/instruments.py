"""exchangeInfo and leverage brackets, read into instruments.

Unknown filters and fields are passed over; a filter that is missing is one that is switched off. A
symbol that cannot be read is left out with a warning: nobody can trade it, everybody else can trade on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import structlog

from pms.domain.brackets import UNKNOWN, Bracket, BracketError, ladder
from pms.domain.instrument import Instrument

log = structlog.get_logger()
ZERO = Decimal(0)
Row = Mapping[str, Any]


def parse_instruments(exchange_info: Row, brackets: Sequence[Row] = ()) -> dict[str, Instrument]:
    """Read the instruments of an exchange, by symbol, with the leverage brackets of each."""
    return {instrument.symbol: instrument for instrument in each_instrument(exchange_info, brackets)}


def each_instrument(exchange_info: Row, brackets: Sequence[Row] = ()) -> Iterator[Instrument]:
    """The same one by one: hundreds take a tenth of a second, and a busy loop can breathe between."""
    ladders = {row["symbol"]: row for row in brackets}
    for row in exchange_info["symbols"]:
        try:
            instrument = parse_symbol(row, ladders.get(row["symbol"]))
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            log.warning("symbol_unreadable", symbol=str(row)[:60], error=repr(error))
        else:
            yield instrument


def parse_symbol(row: Row, brackets: Row | None = None) -> Instrument:
    """Read one symbol of exchangeInfo. Raises ValueError, or what a missing or misshapen field raises."""
    filters: dict[str, Row] = {each["filterType"]: each for each in row["filters"]}
    price = filters.get("PRICE_FILTER", {})
    lot = filters["LOT_SIZE"]
    market = filters.get("MARKET_LOT_SIZE", lot)
    collar = filters.get("PERCENT_PRICE", {})
    return Instrument(
        symbol=str(row["symbol"]),
        base_asset=row["baseAsset"],
        quote_asset=row["quoteAsset"],
        margin_asset=row["marginAsset"],
        status=row["status"],
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
        multiplier_up=_number(collar, "multiplierUp"),
        multiplier_down=_number(collar, "multiplierDown"),
        max_leverage=most_leverage(brackets) if brackets else None,
        brackets=brackets_of(brackets) if brackets else UNKNOWN,
        # Some pending symbols name none; they do not trade yet.
        contract=str(row.get("contractType") or "PERPETUAL"),
    )


def brackets_of(row: Row) -> tuple[Bracket, ...]:
    """A symbol's brackets; those of an unknown symbol where they make no sense.

    Trap: they come as JSON numbers, which may have been read as binary floats; their shortest text is exact.
    """
    steps = [
        (
            int(bracket["initialLeverage"]),
            Decimal(str(bracket["notionalFloor"])),
            Decimal(str(bracket["notionalCap"])),
            Decimal(str(bracket["maintMarginRatio"])),
        )
        for bracket in row["brackets"]
    ]
    try:
        return ladder(steps)
    except BracketError as error:
        log.warning("brackets_unreadable", symbol=str(row["symbol"])[:60], error=str(error))
        return UNKNOWN


def most_leverage(row: Row) -> int | None:
    """The most leverage that a symbol's brackets permit; None where they name none."""
    return max((int(bracket["initialLeverage"]) for bracket in row["brackets"]), default=None)


def _number(row: Row, name: str) -> Decimal:
    """A limit; one that the filter does not name is switched off."""
    value = Decimal(str(row.get(name, ZERO)))
    if not value.is_finite() or value < 0:
        raise ValueError(f"{name} is {value}")
    return value
