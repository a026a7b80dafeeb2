"""Leverage brackets: how much notional a leverage allows, and the maintenance margin of each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Bracket:
    """One step. Maintenance margin in it is notional x ratio - cum."""

    number: int
    leverage: int
    floor: Decimal
    cap: Decimal
    ratio: Decimal
    cum: Decimal


def ladder(steps: Sequence[tuple[int, int, str]]) -> tuple[Bracket, ...]:
    """Brackets from (leverage, notional cap, maintenance ratio); cum follows from continuity."""
    brackets: list[Bracket] = []
    floor = cum = ratio = Decimal(0)
    for number, (leverage, cap, text) in enumerate(steps, start=1):
        cum += floor * (Decimal(text) - ratio) if brackets else Decimal(0)
        ratio = Decimal(text)
        brackets.append(Bracket(number, leverage, floor, Decimal(cap), ratio, cum))
        floor = Decimal(cap)
    return tuple(brackets)


# Binance's figures of September 2026 for the two majors; smaller symbols share one modest ladder.
_MAJOR = [
    (150, 300_000, "0.004"),
    (100, 800_000, "0.005"),
    (75, 3_000_000, "0.0065"),
    (50, 12_000_000, "0.01"),
]
BRACKETS = {
    "BTCUSDT": ladder(
        [*_MAJOR, (25, 70_000_000, "0.02"), (20, 100_000_000, "0.025"), (10, 230_000_000, "0.05")]
    ),
    "ETHUSDT": ladder(
        [*_MAJOR, (25, 50_000_000, "0.02"), (20, 65_000_000, "0.025"), (10, 150_000_000, "0.05")]
    ),
}
OTHERS = ladder(
    [(50, 50_000, "0.01"), (25, 500_000, "0.02"), (10, 2_000_000, "0.05"), (5, 10_000_000, "0.1")]
)


def brackets_of(symbol: str) -> tuple[Bracket, ...]:
    """The ladder of a symbol."""
    return BRACKETS.get(symbol, OTHERS)


def max_leverage(symbol: str) -> int:
    """The most a symbol allows."""
    return brackets_of(symbol)[0].leverage


def max_notional(symbol: str, leverage: int) -> Decimal:
    """The largest position at a leverage: the cap of the last bracket that still allows it."""
    return max(
        (bracket.cap for bracket in brackets_of(symbol) if bracket.leverage >= leverage), default=Decimal(0)
    )


def maintenance_margin(symbol: str, notional: Decimal) -> Decimal:
    """notional x ratio - cum of the bracket it falls into; beyond the last one, the last one's."""
    ladder_ = brackets_of(symbol)
    bracket = next((each for each in ladder_ if notional <= each.cap), ladder_[-1])
    return notional * bracket.ratio - bracket.cum
