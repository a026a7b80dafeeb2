"""Headroom: what the one exchange account can still carry, and whether it is set up as we reckon.

A sub-account's margin is ours to judge; the exchange judges the net. What it last said is available is
kept less the orders that it has not yet counted. It is an estimate on the cautious side for orders that
open, and its own check (-2019) stands behind it: it spares a trader a certain refusal, no more.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal

from pms.contract.codes import Code, Refusal
from pms.contract.money import booked, plain

ZERO = Decimal(0)
CROSSED = "CROSSED"


@dataclass(frozen=True, slots=True)
class SymbolSetting:
    """How the exchange account is set up in a symbol."""

    margin_type: str
    leverage: int


@dataclass(slots=True)
class Headroom:
    """The exchange account's own limits, as last told."""

    available: Decimal | None = None
    #: None before the exchange has spoken: nothing is refused for it
    settings: dict[str, SymbolSetting] = field(default_factory=dict)
    wanted_leverage: int | None = None
    #: what the exchange account's leverage must be everywhere; None takes it as it is
    uncounted: dict[str, Decimal] = field(default_factory=dict)
    #: margin of orders that `available` does not hold yet, by client order id

    @property
    def free(self) -> Decimal | None:
        """What is available less what is on its way."""
        return None if self.available is None else self.available - sum(self.uncounted.values(), ZERO)

    def told(self, available: Decimal, *, counted: Collection[str]) -> None:
        """Take the exchange's word; `counted` are the orders that it knew before it was asked."""
        self.available = available
        for order in counted:
            self.uncounted.pop(order, None)

    def need(self, symbol: str, *, net: Decimal, quantity: Decimal, price: Decimal) -> Decimal:
        """The margin that a signed quantity takes there: only what goes beyond closing the net does."""
        opening = abs(quantity) - (min(abs(net), abs(quantity)) if net * quantity < 0 else ZERO)
        setting = self.settings.get(symbol)
        return booked(opening * price / (setting.leverage if setting else 1)) if setting else ZERO

    def require(self, needed: Decimal) -> None:
        """Raise EXCHANGE_MARGIN if the exchange account cannot carry that much more."""
        free = self.free
        if free is not None and needed > free:
            raise Refusal(
                Code.EXCHANGE_MARGIN,
                f"the order needs {plain(needed)} of the exchange account's margin; "
                f"{plain(free)} is available",
                field="quantity",
                limit=plain(free),
                actual=plain(needed),
            )

    def closed_because(self, symbol: str) -> str | None:
        """Why nothing may be opened in a symbol, or None."""
        setting = self.settings.get(symbol)
        if setting is None:
            return None
        if setting.margin_type.upper() not in (CROSSED, "CROSS"):
            return f"the exchange account's margin type in {symbol} is {setting.margin_type}, not {CROSSED}"
        if self.wanted_leverage is not None and setting.leverage != self.wanted_leverage:
            return (
                f"the exchange account's leverage in {symbol} is {setting.leverage}, "
                f"not {self.wanted_leverage}"
            )
        return None

    def closed(self) -> dict[str, str]:
        """The symbols in which nothing may be opened, and why."""
        found = {symbol: self.closed_because(symbol) for symbol in self.settings}
        return {symbol: reason for symbol, reason in found.items() if reason is not None}
