"""Leverage brackets: the maintenance margin of a notional (Binance, "Leverage and margin").

Maintenance margin is notional x ratio - cum, by the step that the notional falls into. `cum` makes it
continuous from step to step, so it is a convex, piecewise straight line of the price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

ZERO = Decimal(0)
ENDLESS = Decimal("Infinity")


@dataclass(frozen=True, slots=True)
class Bracket:
    """One step: the notional from `floor` up to `cap`, and the most leverage that it permits."""

    leverage: int
    floor: Decimal
    cap: Decimal
    ratio: Decimal
    cum: Decimal = ZERO
    end: Decimal | None = None
    #: of the last step, which has no cap: the notional beyond which nobody may open anything

    @property
    def opens_to(self) -> Decimal:
        """Up to which notional its leverage may be had."""
        return self.cap if self.end is None else self.end


class BracketError(ValueError):
    """Steps that do not follow one another, or whose ratios fall."""


UNKNOWN = (Bracket(20, ZERO, ENDLESS, Decimal("0.025")),)
"""A symbol whose brackets the exchange did not tell: those of a small one, on the cautious side."""


def ladder(steps: Sequence[tuple[int, Decimal, Decimal, Decimal]]) -> tuple[Bracket, ...]:
    """Brackets from (most leverage, floor, cap, ratio); raises BracketError.

    `cum` follows from continuity, by Binance's own formula:
    cum_n = floor_n x (ratio_n - ratio_n-1) + cum_n-1.

    Trap: beyond the last cap nobody may open anything, but a position can grow past it by its price; so
    the last step has no end.
    """
    found: list[Bracket] = []
    for leverage, floor, cap, ratio in sorted(steps, key=lambda step: step[1]):
        below = found[-1] if found else Bracket(leverage, ZERO, ZERO, ZERO)
        if floor != below.cap or cap <= floor:
            raise BracketError(f"a bracket ends at {below.cap}, the next goes from {floor} to {cap}")
        if not below.ratio <= ratio < 1 or not ratio:
            raise BracketError(f"the ratio goes from {below.ratio} to {ratio}")
        cum = below.cum + floor * (ratio - below.ratio)
        found.append(Bracket(leverage, floor, cap, ratio, cum))
    if not found:
        raise BracketError("there are no brackets")
    return (*found[:-1], replace(found[-1], cap=ENDLESS, end=found[-1].cap))


def bracket_of(brackets: tuple[Bracket, ...], notional: Decimal) -> Bracket:
    """The step of a notional; at a border the lower one, which says the same."""
    for step in brackets:
        if notional <= step.cap:
            return step
    return brackets[-1]


def maintenance(brackets: tuple[Bracket, ...], notional: Decimal) -> Decimal:
    """The margin below which a position of this notional is not kept."""
    step = bracket_of(brackets, notional)
    return notional * step.ratio - step.cum


def most_notional(brackets: tuple[Bracket, ...], leverage: int) -> Decimal:
    """How much a leverage may carry: up to the end of the last step that permits it (Binance's -2027)."""
    for step in reversed(brackets):
        if leverage <= step.leverage:
            return step.opens_to
    return ZERO


def permitted_leverage(brackets: tuple[Bracket, ...], notional: Decimal) -> int:
    """The most leverage that may carry a notional; 0 where none may, beyond the last step."""
    return max((step.leverage for step in brackets if notional <= step.opens_to), default=0)
