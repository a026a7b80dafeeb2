"""A symbol's rules: the one place where prices and quantities are judged and put on their steps.

Binance's filters: PRICE_FILTER, LOT_SIZE, MARKET_LOT_SIZE, MIN_NOTIONAL, PERCENT_PRICE (USDⓈ-M docs,
"Common definition"). Trap: `pricePrecision` and `quantityPrecision` are not tick and step.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal

from pms.contract.money import plain
from pms.domain.brackets import UNKNOWN, Bracket

SNAP = Decimal("1e-9")
"""How far off a step a value may be and still be meant to lie on it."""

_WIDE = Context(prec=80)
"""Room for any command's digits: a quotient rounded to 28 of them could be rounded up to a step."""


class InstrumentError(ValueError):
    """A value breaks a rule of the symbol: which field, which limit, what it was."""

    def __init__(self, code: str, text: str, *, field: str, limit: Decimal, actual: Decimal) -> None:
        super().__init__(text)
        self.code = code
        self.field = field
        self.limit = plain(limit)
        self.actual = plain(actual)


@dataclass(frozen=True, slots=True)
class Instrument:
    """What the exchange says of one symbol; a limit of zero is switched off."""

    symbol: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    status: str
    tick: Decimal
    min_price: Decimal
    max_price: Decimal
    step: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    market_step: Decimal
    market_min_quantity: Decimal
    market_max_quantity: Decimal
    min_notional: Decimal
    multiplier_up: Decimal
    multiplier_down: Decimal
    max_leverage: int | None = None
    brackets: tuple[Bracket, ...] = UNKNOWN
    contract: str = "PERPETUAL"

    @property
    def perpetual(self) -> bool:
        """Whether it has fundings and no end: TRADIFI_PERPETUAL does, CURRENT_QUARTER does not."""
        return "PERPETUAL" in self.contract

    def check_range(self, price: Decimal, *, field: str = "price") -> None:
        """Refuse a price that no order could have: PRICE_RANGE."""
        if price < self.min_price or (self.max_price and price > self.max_price) or price <= 0:
            limit = self.max_price if self.max_price and price > self.max_price else self.min_price
            raise InstrumentError(
                "PRICE_RANGE",
                f"{field} must be between {plain(self.min_price)} and {plain(self.max_price)}",
                field=field,
                limit=limit,
                actual=price,
            )

    def snap_price(self, price: Decimal) -> Decimal:
        """The price on its tick; raises PRICE_TICK or PRICE_RANGE."""
        self.check_range(price)
        snapped = _snap(price, self.tick)
        if snapped is None:
            raise InstrumentError(
                "PRICE_TICK",
                f"price must be a multiple of {plain(self.tick)}",
                field="price",
                limit=self.tick,
                actual=price,
            )
        return snapped

    def snap_quantity(self, quantity: Decimal, *, market: bool) -> Decimal:
        """The quantity on its step; raises QUANTITY_STEP, QUANTITY_MIN or QUANTITY_MAX."""
        step = self.market_step if market else self.step
        least = self.market_min_quantity if market else self.min_quantity
        most = self.market_max_quantity if market else self.max_quantity
        for code, wrong, limit, text in (
            ("QUANTITY_MIN", quantity < least, least, "at least"),
            ("QUANTITY_MAX", bool(most) and quantity > most, most, "at most"),
        ):
            if wrong:
                raise InstrumentError(
                    code,
                    f"quantity must be {text} {plain(limit)}",
                    field="quantity",
                    limit=limit,
                    actual=quantity,
                )
        return _on_step(quantity, step)

    def snap_step(self, quantity: Decimal) -> Decimal:
        """The quantity on its step, however large; raises QUANTITY_STEP or QUANTITY_MIN."""
        if quantity < self.min_quantity:
            raise InstrumentError(
                "QUANTITY_MIN",
                f"quantity must be at least {plain(self.min_quantity)}",
                field="quantity",
                limit=self.min_quantity,
                actual=quantity,
            )
        return _on_step(quantity, self.step)

    def floor_quantity(self, quantity: Decimal, *, market: bool) -> Decimal:
        """The largest quantity on the step that is not above; zero below the least."""
        step = self.market_step if market else self.step
        least = self.market_min_quantity if market else self.min_quantity
        floored = _WIDE.multiply(_WIDE.divide_int(quantity, step), step) if step else quantity
        return floored if floored >= least else Decimal(0)

    def check_collar(self, price: Decimal, *, side: str, reference: Decimal) -> None:
        """PERCENT_PRICE: a buy not too far above the market, a sell not too far below."""
        limit = reference * (self.multiplier_up if side == "BUY" else self.multiplier_down)
        if limit and (price > limit if side == "BUY" else price < limit):
            word = "above" if side == "BUY" else "below"
            raise InstrumentError(
                "PRICE_COLLAR",
                f"a {side} may not be priced {word} {plain(limit)}",
                field="price",
                limit=limit,
                actual=price,
            )

    def check_notional(self, price: Decimal, quantity: Decimal, *, reduce_only: bool) -> None:
        """MIN_NOTIONAL; what only reduces is exempt."""
        notional = price * quantity
        if notional < self.min_notional and not reduce_only:
            raise InstrumentError(
                "MIN_NOTIONAL",
                f"price times quantity must be at least {plain(self.min_notional)}",
                field="quantity",
                limit=self.min_notional,
                actual=notional,
            )


def _on_step(quantity: Decimal, step: Decimal) -> Decimal:
    snapped = _snap(quantity, step)
    if snapped is None:
        raise InstrumentError(
            "QUANTITY_STEP",
            f"quantity must be a multiple of {plain(step)}",
            field="quantity",
            limit=step,
            actual=quantity,
        )
    return snapped


def _snap(value: Decimal, step: Decimal) -> Decimal | None:
    """The step nearest to a value, if the value was meant to lie on it; never nothing for something."""
    if not step:
        return value
    nearest = (value / step).to_integral_value() * step
    return nearest if abs(nearest - value) <= SNAP and bool(nearest) is bool(value) else None
