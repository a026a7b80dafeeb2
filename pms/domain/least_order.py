"""The smallest order of a symbol: what is less is dust, and nobody can send it."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from pms.domain.instrument import Instrument


def least_quantity(instrument: Instrument, price: Decimal | None, *, market: bool) -> Decimal:
    """The smallest order that a symbol takes at a price, on its step."""
    least = instrument.market_min_quantity if market else instrument.min_quantity
    step = instrument.market_step if market else instrument.step
    if not price or not step:
        return least
    steps = (instrument.min_notional / price / step).to_integral_value(ROUND_CEILING)
    return max(least, steps * step)
