"""The rules of liquidation as they are written down, in plain arithmetic: nothing here is the engine's.

equity       balance + Σ quantity x mid - cost
maintenance  Σ |quantity| x mid x ratio - cum, of the bracket that holds the notional
1 warn 0.70 · 2 cancel 0.80 · 3 deleverage 0.90, back to 0.75, largest loss first · 4 takeover 1.00
a tier that fired, and those below it, may fire again once maintenance / equity is 0.05 below it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from crash_books import Held, Standing

ZERO = Decimal(0)
LEVELS = {"WARN": 1, "CANCEL": 2, "DELEVERAGE": 3, "TAKEOVER": 4}
ACTIONS = {level: action for action, level in LEVELS.items()}
Prices = Mapping[str, tuple[Decimal, Decimal]]
"""By symbol, bid and ask."""


@dataclass(frozen=True, slots=True)
class Bracket:
    """A step of a symbol's ladder."""

    cap: Decimal
    ratio: Decimal
    cum: Decimal


@dataclass(frozen=True, slots=True)
class Weight:
    """An account against its line."""

    equity: Decimal
    maintenance: Decimal

    def crossed(self, ratio: Decimal) -> bool:
        """Whether maintenance / equity is at a ratio or beyond; no equity is beyond all."""
        return self.equity <= 0 or self.maintenance >= ratio * self.equity

    @property
    def ratio(self) -> Decimal | None:
        return self.maintenance / self.equity if self.equity > 0 else None

    def __str__(self) -> str:
        shown = "none" if self.ratio is None else f"{self.ratio:.4f}"
        return f"ratio {shown} (maintenance {self.maintenance}, equity {self.equity})"


@dataclass(frozen=True, slots=True)
class Rules:
    """What is looked up, and where the lines are."""

    brackets: Mapping[str, Sequence[Bracket]]
    steps: Mapping[str, Decimal]
    #: by symbol, the least change of a quantity
    fires: tuple[Decimal, ...] = (Decimal("0.70"), Decimal("0.80"), Decimal("0.90"), Decimal("1.00"))
    back_to: Decimal = Decimal("0.75")
    rearm: Decimal = Decimal("0.05")
    least: Mapping[str, Decimal] = field(default_factory=dict)
    #: by symbol, the notional below which no order is taken

    def weigh(self, balance: Decimal, held: Mapping[str, Held], prices: Prices) -> Weight:
        """An account at the middle of these prices."""
        equity, maintenance = balance, ZERO
        for symbol, position in held.items():
            bid, ask = prices[symbol]
            value = position.quantity * (bid + ask) / 2
            equity += value - position.cost
            maintenance += self.maintenance(symbol, abs(value))
        return Weight(equity, maintenance)

    def maintenance(self, symbol: str, notional: Decimal) -> Decimal:
        """What a notional must be covered by; beyond the last bracket, the last one's."""
        ladder = self.brackets[symbol]
        bracket = next((each for each in ladder if notional <= each.cap), ladder[-1])
        return notional * bracket.ratio - bracket.cum

    def reached(self, weight: Weight) -> int:
        """The worst level whose line is crossed; 0 is none."""
        return sum(weight.crossed(line) for line in self.fires)

    def level(self, before: int, weight: Weight, closing: int = 0) -> int:
        """The level an account belongs in that was in `before`; for one it may be being closed."""
        level = before
        while level and not weight.crossed(self.fires[level - 1] - self.rearm):
            level -= 1
        return max(level, self.reached(weight), closing)

    def by_loss(self, standing: Standing, prices: Prices) -> list[str]:
        """Its symbols, the largest loss at mid first."""
        gains = {
            symbol: position.quantity * sum(prices[symbol]) / 2 - position.cost
            for symbol, position in standing.held.items()
        }
        return sorted(gains, key=lambda symbol: gains[symbol])


def ladders(answer: Sequence[Mapping[str, Any]]) -> dict[str, list[Bracket]]:
    """Brackets from GET /fapi/v1/leverageBracket, its numbers read as decimals, lowest first."""
    found = {}
    for row in answer:
        steps = sorted(row["brackets"], key=lambda each: Decimal(str(each["notionalFloor"])))
        found[row["symbol"]] = [
            Bracket(*(Decimal(str(each[name])) for name in ("notionalCap", "maintMarginRatio", "cum")))
            for each in steps
        ]
    return found


def taking_price(quantity: Decimal, prices: tuple[Decimal, Decimal]) -> Decimal:
    """At what a position is taken over: the bid for a long, the ask for a short."""
    return prices[0] if quantity > 0 else prices[1]
