"""Position and wallet arithmetic of one fill (Binance support FAQ: entry price, realized profit, fees)."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from pms.venue.state import ZERO, Position

CENT = Decimal("0.00000001")


def to_cents(amount: Decimal) -> Decimal:
    """Money at the venue's eight decimals."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def apply_fill(
    position: Position, *, lots: int, price: Decimal, step: Decimal, commission: Decimal
) -> Decimal:
    """Move a position by signed lots at a price; returns the realized profit before the commission.

    Increasing averages the entry, reducing leaves it, crossing zero starts a new one at the fill's price.
    """
    held = position.lots
    after = held + lots
    realized = ZERO
    if held == 0 or (held > 0) == (lots > 0):
        cost = position.entry * abs(held) + price * abs(lots)
        position.entry = cost / abs(after)
    else:
        closed = min(abs(held), abs(lots))
        direction = 1 if held > 0 else -1
        realized = to_cents((price - position.entry) * direction * closed * step)
        if after == 0:
            position.entry = ZERO
        elif (after > 0) != (held > 0):
            position.entry = price
    position.lots = after
    position.accumulated += realized
    _carry(position, held=held, realized=realized, commission=commission)
    return realized


def _carry(position: Position, *, held: int, realized: Decimal, commission: Decimal) -> None:
    if position.lots == 0:
        position.carry = ZERO
    elif held == 0 or (held > 0) != (position.lots > 0):
        position.carry = commission
    else:
        position.carry += commission - realized


def break_even(position: Position, step: Decimal) -> Decimal:
    """The price at which closing earns back what the position has cost; 0 when flat."""
    if position.lots == 0:
        return ZERO
    return position.entry + position.carry / (step * position.lots)


def unrealized(position: Position, *, mark: Decimal, step: Decimal) -> Decimal:
    """Signed quantity x (mark - entry)."""
    return (mark - position.entry) * step * position.lots
