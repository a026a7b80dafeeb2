"""What live orders may still trade, and what that holds back."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pms.contract.money import booked

ZERO = Decimal(0)


def beyond(quantity: Decimal, notional: Decimal, allowance: Decimal) -> Decimal:
    """The notional of what exceeds an allowance, at the orders' average price."""
    if quantity <= allowance:
        return ZERO
    return notional * (quantity - allowance) / quantity


@dataclass(slots=True)
class Pending:
    """What the live orders for one position may still trade, by side."""

    buy_qty: Decimal = ZERO
    buy_notional: Decimal = ZERO
    sell_qty: Decimal = ZERO
    sell_notional: Decimal = ZERO
    orders: int = 0

    def add(self, *, side: str, quantity: Decimal, notional: Decimal) -> None:
        if side == "BUY":
            self.buy_qty += quantity
            self.buy_notional += notional
        else:
            self.sell_qty += quantity
            self.sell_notional += notional

    def margin(self, position: Decimal, leverage: int) -> Decimal:
        """The worse side's margin; what only reduces the position reserves nothing."""
        buys = beyond(self.buy_qty, self.buy_notional, max(-position, ZERO))
        sells = beyond(self.sell_qty, self.sell_notional, max(position, ZERO))
        return booked(max(buys, sells) / leverage)
