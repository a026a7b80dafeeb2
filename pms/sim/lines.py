"""The lines of liquidation in arithmetic of the simulator's own: what must fire at which weight.

Nothing here is the domain's, or a mistake in it would be judged by itself. The brackets are the exchange's.

    equity       balance + Σ quantity x mid - cost
    maintenance  Σ of each position's notional x ratio - cum, of the bracket that holds it
    1 warn 0.70 · 2 cancel 0.80 · 3 deleverage 0.90 · 4 takeover 1.00; armed again 0.05 below; a group's own
    lines are set as warn, cancel, deleverage, back to, takeover, rearm
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache

from pms.venue.brackets import maintenance_margin

ZERO = Decimal(0)
LEVELS = {"WARN": 1, "CANCEL": 2, "DELEVERAGE": 3, "TAKEOVER": 4}
MARK_COUNTS_MS = 3_000
MOST_OFF = Decimal("0.05")
maintenance = maintenance_margin


@dataclass(frozen=True, slots=True)
class Held:
    """A position: quantity and cost, signed alike."""

    quantity: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Lines:
    """Where an account's lines are."""

    fires: tuple[Decimal, ...]
    armed: tuple[Decimal, ...]
    back_to: Decimal


@cache
def read_lines(text: str) -> Lines:
    """Lines as they are set."""
    warn, cancel, deleverage, back_to, takeover, rearm = map(Decimal, text.split(","))
    fires = warn, cancel, deleverage, takeover
    return Lines(fires, tuple(line - rearm for line in fires), back_to)


EVERYBODYS = "0.70,0.80,0.90,0.75,1.00,0.05"


@dataclass(frozen=True, slots=True)
class Weight:
    """An account against its lines."""

    equity: Decimal
    need: Decimal
    lines: Lines

    def crossed(self, line: Decimal) -> bool:
        """Whether maintenance is at a part of the equity, or beyond; no equity is beyond all."""
        return bool(self.need) and self.need >= line * self.equity

    def level(self, before: int) -> int:
        """The level that an account belongs in that was in `before`."""
        level = before
        while level and not self.crossed(self.lines.armed[level - 1]):
            level -= 1
        return max(level, sum(self.crossed(line) for line in self.lines.fires))

    def __str__(self) -> str:
        return f"maintenance {self.need}, equity {self.equity}"


def weigh(
    balance: Decimal, held: Iterable[tuple[str, Held]], mids: Mapping[str, Decimal], lines: Lines
) -> Weight:
    """An account at these prices; raises KeyError where one is missing."""
    equity, need = balance, ZERO
    for symbol, each in held:
        value = each.quantity * mids[symbol]
        equity += value - each.cost
        need += maintenance_margin(symbol, abs(value))
    return Weight(equity, need, lines)


def cents(value: Decimal) -> Decimal:
    """An amount as it is booked."""
    return value.quantize(Decimal("0.00000001"), rounding=ROUND_HALF_EVEN)
