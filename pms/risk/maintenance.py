"""Maintenance margin by notional brackets, as a ladder of straight lines.

In bracket n it is notional x ratio_n - cum_n, and cum makes the lines meet at the floors. With rising
ratios the line of the right bracket is the highest one, so no bracket is looked for: many positions
are weighed at once. It is `pms.domain.brackets.maintenance` in another form, to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from pms.domain.brackets import UNKNOWN, Bracket

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Ladder:
    """The brackets of a symbol: (maintenance ratio, cum), the smallest notional first."""

    steps: tuple[tuple[Decimal, Decimal], ...]

    def __post_init__(self) -> None:
        ratios = [ratio for ratio, _ in self.steps]
        if not self.steps or ratios != sorted(ratios) or not all(0 < ratio < 1 for ratio in ratios):
            raise ValueError("maintenance ratios must rise between 0 and 1")

    @classmethod
    def of(cls, brackets: Sequence[Bracket]) -> Ladder:
        """The ladder of the domain's brackets."""
        return cls(tuple((each.ratio, each.cum) for each in brackets))

    def margin(self, notional: Decimal) -> Decimal:
        """What must be kept for a position of this size."""
        highest = ZERO
        for ratio, cum in self.steps:
            highest = max(highest, notional * ratio - cum)
        return highest


Ladders: TypeAlias = Mapping[str, Ladder]
_UNKNOWN = Ladder.of(UNKNOWN)


def ladder_of(ladders: Ladders, symbol: str) -> Ladder:
    """A symbol's ladder; without one that of an unknown symbol, as liquidation takes it too."""
    return ladders.get(symbol, _UNKNOWN)
