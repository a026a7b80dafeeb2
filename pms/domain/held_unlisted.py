"""A symbol that is held and that the exchange lists no more: corrections go on, as finely as what is held.

Its rules are gone with the restart since. No order can be made of it, and without a price its holder is
neither judged nor paid out: an operator's word is the only way out, and must not want for a tick.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.money import canonical
from pms.domain.desk import Desk
from pms.domain.instrument import Instrument
from pms.domain.treasury import WALLET

ZERO = Decimal(0)
PLACES = 8
"""Decimals that are booked: a quantity's and a price's together."""


def rules_of_held(desk: Desk, symbol: str) -> Instrument | None:
    """Steps and ticks by which what is held can be moved; None where nobody holds the symbol."""
    quantities = [
        position.quantity for held in desk.held.values() for (of, _), position in held.items() if of == symbol
    ]
    if not quantities:
        return None
    decimals = max(_decimals(quantity) for quantity in quantities)
    step, tick = Decimal(1).scaleb(-decimals), Decimal(1).scaleb(min(decimals - PLACES, 0))
    return Instrument(
        symbol=symbol,
        base_asset="",
        quote_asset=WALLET,
        margin_asset=WALLET,
        status="",
        tick=tick,
        min_price=tick,
        max_price=ZERO,
        step=step,
        min_quantity=step,
        max_quantity=ZERO,
        market_step=step,
        market_min_quantity=step,
        market_max_quantity=ZERO,
        min_notional=ZERO,
        multiplier_up=ZERO,
        multiplier_down=ZERO,
    )


def _decimals(quantity: Decimal) -> int:
    exponent = canonical(quantity).as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0
