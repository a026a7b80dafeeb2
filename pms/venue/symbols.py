"""Symbols from an exchangeInfo file: scales between decimals and whole ticks and lots, and filters."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

from pms.venue import errors

SHIPPED = Path(__file__).with_name("symbols.json")
ZERO = Decimal(0)


class SymbolFileError(Exception):
    """The exchangeInfo file cannot be used; the message says which symbol and why."""


@dataclass(frozen=True, slots=True)
class LotFilter:
    """LOT_SIZE or MARKET_LOT_SIZE in lots."""

    least: Decimal
    most: Decimal
    step: Decimal


@dataclass(frozen=True, slots=True)
class Symbol:
    """One tradable symbol. Prices inside the venue are ticks, quantities lots, both int."""

    name: str
    base_asset: str
    quote_asset: str
    status: str
    tick: Decimal
    step: Decimal
    price_precision: int
    quantity_precision: int
    min_price: Decimal
    max_price: Decimal
    lot: LotFilter
    market_lot: LotFilter
    min_notional: Decimal
    multiplier_up: Decimal
    multiplier_down: Decimal
    market_take_bound: Decimal
    trigger_protect: Decimal
    max_orders: int
    tick_unit: Decimal
    # A tick and a lot in units of the last printed digit: printing a level is integer work
    tick_digits: int
    lot_digits: int

    @property
    def lower(self) -> str:
        """The name as stream names spell it."""
        return self.name.lower()

    def price(self, ticks: int) -> Decimal:
        """Ticks as a price."""
        return self.tick * ticks

    def quantity(self, lots: int) -> Decimal:
        """Lots as a quantity of the base asset."""
        return self.step * lots

    def notional(self, ticks: int, lots: int) -> Decimal:
        """Exact value in the quote asset."""
        return self.tick * self.step * (ticks * lots)

    def price_text(self, ticks: int) -> str:
        """A price padded to pricePrecision, as REST and the depth feed print it."""
        return _padded(ticks * self.tick_digits, self.price_precision)

    def quantity_text(self, lots: int) -> str:
        """A quantity padded to quantityPrecision."""
        return _padded(lots * self.lot_digits, self.quantity_precision)

    def quote_text(self, ticks_by_lots: int) -> str:
        """A sum of price x quantity with the digits of both, as klines print it."""
        return _padded(
            ticks_by_lots * self.tick_digits * self.lot_digits, self.price_precision + self.quantity_precision
        )

    def quantity_text_signed(self, lots: int) -> str:
        """A padded quantity that may be short."""
        return f"-{self.quantity_text(-lots)}" if lots < 0 else self.quantity_text(lots)

    def ticks(self, price: Decimal) -> int:
        """A price as ticks; raises the refusals of PRICE_FILTER, precision first."""
        if price <= 0:
            raise errors.refusal(-4001)
        if decimals(price) > self.price_precision:
            raise errors.refusal(-1111)
        if price > self.max_price:
            raise errors.refusal(-4002)
        if price < self.min_price:
            raise errors.refusal(-4013)
        if price % self.tick:
            raise errors.refusal(-4014)
        return int(price / self.tick)

    def lots(self, quantity: Decimal, *, market: bool) -> int:
        """A quantity as lots; raises the refusals of (MARKET_)LOT_SIZE, precision first."""
        limits = self.market_lot if market else self.lot
        if quantity <= 0:
            raise errors.refusal(-4003)
        if decimals(quantity) > self.quantity_precision:
            raise errors.refusal(-1111)
        if quantity < limits.least:
            raise errors.refusal(-4004)
        if quantity > limits.most:
            raise errors.refusal(-4005)
        if quantity % limits.step:
            raise errors.refusal(-4023)
        return int(quantity / self.step)

    def nearest_ticks(self, price: Decimal) -> int:
        """The tick at or below a price that need not fit: marks, caps."""
        return int((price / self.tick).to_integral_value(rounding=ROUND_FLOOR))

    def check_percent_price(self, side: int, ticks: int, mark: Decimal) -> None:
        """PERCENT_PRICE against the mark price: a buy not too high, a sell not too low."""
        price = self.price(ticks)
        cap, floor = mark * self.multiplier_up, mark * self.multiplier_down
        if side > 0 and price > cap:
            raise errors.price_too_high(plain(cap.quantize(self.tick_unit)))
        if side < 0 and price < floor:
            raise errors.price_too_low(plain(floor.quantize(self.tick_unit)))

    def check_notional(self, price: Decimal, lots: int, *, amended: bool = False) -> None:
        """MIN_NOTIONAL, which has a code of its own for amendments; skipped for reduce-only orders."""
        if price * self.quantity(lots) < self.min_notional:
            least = plain(self.min_notional)
            raise errors.amended_notional_too_small(least) if amended else errors.notional_too_small(least)


def decimals(value: Decimal) -> int:
    """Digits after the point that matter; trailing zeros do not."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def plain(value: Decimal) -> str:
    """A decimal without exponent and without trailing zeros; zero is "0"."""
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _padded(digits: int, precision: int) -> str:
    if not precision:
        return str(digits)
    text = str(digits).zfill(precision + 1)
    return f"{text[:-precision]}.{text[-precision:]}"


class SymbolTable:
    """All symbols, and the exchangeInfo they came from."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        self.info = dict(info)
        self.by_name: dict[str, Symbol] = {}
        for entry in info["symbols"]:
            symbol = _symbol(entry)
            self.by_name[symbol.name] = symbol

    @classmethod
    def load(cls, path: Path) -> SymbolTable:
        """Read an exchangeInfo file, gzip'd or not; raises SymbolFileError with the reason."""
        try:
            raw = path.read_bytes()
            text = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
            return cls(json.loads(text))
        except (OSError, ValueError, KeyError, ArithmeticError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise SymbolFileError(f"{path} is not an exchangeInfo file: {reason}") from None

    def __getitem__(self, name: str) -> Symbol:
        symbol = self.by_name.get(name)
        if symbol is None:
            raise errors.refusal(-1121)
        return symbol


def _symbol(entry: Mapping[str, Any]) -> Symbol:
    filters = {each["filterType"]: each for each in entry["filters"]}
    price = filters["PRICE_FILTER"]
    percent = filters.get("PERCENT_PRICE", {"multiplierUp": "10", "multiplierDown": "0"})
    lot = _lot(filters["LOT_SIZE"])
    tick = Decimal(price["tickSize"]).normalize()
    price_precision = int(entry["pricePrecision"])
    quantity_precision = int(entry["quantityPrecision"])
    fits = decimals(tick) <= price_precision and decimals(lot.step) <= quantity_precision
    if tick <= 0 or lot.step <= 0 or not fits:
        raise ValueError(f"{entry['symbol']}: tickSize and stepSize must be positive and fit the precision")
    return Symbol(
        name=entry["symbol"],
        base_asset=entry["baseAsset"],
        quote_asset=entry["quoteAsset"],
        status=entry["status"],
        tick=tick,
        step=lot.step,
        price_precision=price_precision,
        quantity_precision=quantity_precision,
        min_price=Decimal(price["minPrice"]),
        max_price=Decimal(price["maxPrice"]),
        lot=lot,
        market_lot=_lot(filters.get("MARKET_LOT_SIZE", filters["LOT_SIZE"])),
        min_notional=Decimal(filters["MIN_NOTIONAL"]["notional"]) if "MIN_NOTIONAL" in filters else ZERO,
        multiplier_up=Decimal(percent["multiplierUp"]),
        multiplier_down=Decimal(percent["multiplierDown"]),
        market_take_bound=Decimal(entry.get("marketTakeBound", "0.05")),
        trigger_protect=Decimal(entry.get("triggerProtect", "0.05")),
        max_orders=int(filters.get("MAX_NUM_ORDERS", {}).get("limit", 200)),
        tick_unit=Decimal(1).scaleb(-price_precision),
        tick_digits=int(tick.scaleb(price_precision)),
        lot_digits=int(lot.step.scaleb(quantity_precision)),
    )


def _lot(entry: Mapping[str, str]) -> LotFilter:
    return LotFilter(
        least=Decimal(entry["minQty"]),
        most=Decimal(entry["maxQty"]),
        step=Decimal(entry["stepSize"]).normalize(),
    )
