"""What an algo may be for, and where its orders may rest, on its symbol's grid."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from pms.contract.codes import Code, Refusal
from pms.contract.money import plain
from pms.domain.instrument import Instrument, InstrumentError


def too_little(
    instrument: Instrument,
    quantity: Decimal,
    *,
    price: Decimal,
    reduce_only: bool,
    market: bool = False,
    note: str | None = None,
) -> bool:
    """Whether what is left can be no order any more.

    What only reduces needs no least notional where it reduces the exchange's net too. Whether it does is
    known from a refusal alone, the slot's `note`.
    """
    on_step = instrument.floor_quantity(quantity, market=market)
    judged = not reduce_only or too_little_by(note)
    return not on_step or (judged and on_step * price < instrument.min_notional)


def filled_but(left: Decimal) -> str:
    """What is told of an end at which nothing is left, or too little for an order."""
    return f"{plain(left)} is left, too little for an order" if left else "filled"


def too_little_by(note: str | None) -> bool:
    """Whether an order's refusal says that it was worth too little: ours, or the exchange's."""
    return (note or "").startswith((Code.MIN_NOTIONAL, "-4164"))


def check_target(
    instrument: Instrument,
    quantity: Decimal,
    *,
    price: Decimal,
    reduce_only: bool,
    field: str = "quantity",
    time_in_force: str | None = None,
) -> Decimal:
    """The quantity on its step; raises Refusal for one that no order could be for.

    Above the largest order it may be: an algo places it in parts. Not of a FOK: it is filled whole or not at
    all, and each of its parts would be by itself.
    """
    if quantity <= 0:
        raise Refusal(
            Code.QUANTITY_ZERO, f"{field} must be above zero", field=field, limit=0, actual=plain(quantity)
        )
    try:
        if time_in_force == "FOK":
            on_step = instrument.snap_quantity(quantity, market=False)
        else:
            on_step = instrument.snap_step(quantity)
        instrument.check_notional(price, on_step, reduce_only=reduce_only)
    except InstrumentError as error:
        raise Refusal(
            Code(error.code), str(error), field=field, limit=error.limit, actual=error.actual
        ) from None
    return on_step


def rounded(instrument: Instrument, price: Decimal, *, down: bool) -> Decimal:
    """A price of our own making on its tick, and never below the symbol's least."""
    rounding = ROUND_FLOOR if down else ROUND_CEILING
    on_grid = (price / instrument.tick).to_integral_value(rounding) * instrument.tick
    return max(on_grid, instrument.min_price, instrument.tick)
