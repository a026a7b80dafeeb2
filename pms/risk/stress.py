"""Stress: what a scenario costs, and which accounts it would liquidate or bankrupt.

An account is liquidated where its equity is not above its maintenance margin, bankrupt where it is
below zero. All are judged at the shocked price, at once: on the way there nobody is closed, no order
trades and no fee is paid. Orders that rest are not filled.

Many accounts times many scenarios are sorted in binary floats, and only where those cannot be wrong:
whoever comes near a line is judged in decimals, so the verdicts are exact. Of the amounts only the
shortfall of all together is a float's, in cents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pms.risk.book import ZERO, Account, Prices, Scope, exposure_of
from pms.risk.boundary import FloatArray, IntArray, cents, floats
from pms.risk.maintenance import Ladders, ladder_of
from pms.risk.scenarios import Scenario

NEAR = 1e-9
"""How near the line floats are not believed, as a part of all amounts that were added: a float holds
sixteen digits, and an account adds some hundred of them."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a scenario leaves of one account."""

    equity: Decimal
    maintenance: Decimal

    @property
    def liquidated(self) -> bool:
        return self.equity <= self.maintenance

    @property
    def word(self) -> Literal["kept", "liquidated", "bankrupt"]:
        return "bankrupt" if self.equity < 0 else "liquidated" if self.liquidated else "kept"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scenario for all accounts; the house is never liquidated, for it has nobody to liquidate it."""

    scenario: Scenario
    liquidated: tuple[str, ...]
    bankrupt: tuple[str, ...]
    shortfall: Decimal
    #: what the bankrupt cannot pay


class Loss(NamedTuple):
    """What the worst scenario costs, exactly."""

    scenario: Scenario
    amount: Decimal


def change(scope: Scope, scenario: Scenario) -> Decimal:
    """What a scenario adds to a scope's equity."""
    return sum((each.exposure * scenario.move(symbol) for symbol, each in scope.held.items()), ZERO)


def worst(scopes: Sequence[Scope], scenarios: Sequence[Scenario]) -> list[Loss | None]:
    """The scenario that costs each scope most, and what; None where none costs anything.

    Floats choose among the scenarios: where two cost the same, either is the worst.
    """
    symbols = sorted({symbol for scope in scopes for symbol in scope.held})
    if not symbols or not scenarios:
        return [None] * len(scopes)
    moves = np.stack([floats(each.move(symbol) for symbol in symbols) for each in scenarios])
    chosen = (exposures(scopes, symbols) @ moves.T).argmin(axis=1)
    found: list[Loss | None] = []
    for scope, n in zip(scopes, chosen, strict=True):
        loss = -change(scope, scenarios[n])
        found.append(Loss(scenarios[n], loss) if loss > 0 else None)
    return found


def exposures(scopes: Sequence[Scope], symbols: Sequence[str]) -> FloatArray:
    """One row a scope, one column a symbol."""
    column = {symbol: n for n, symbol in enumerate(symbols)}
    held = [
        (row, column[symbol], each.exposure)
        for row, scope in enumerate(scopes)
        for symbol, each in scope.held.items()
        if symbol in column
    ]
    matrix = np.zeros((len(scopes), len(symbols)))
    if held:
        rows, columns, amounts = zip(*held, strict=True)
        matrix[list(rows), list(columns)] = floats(amounts)
    return matrix


def judge(account: Account, scenario: Scenario, prices: Prices, ladders: Ladders) -> Verdict:
    """One account after a scenario, in decimals."""
    equity, maintenance = account.balance, ZERO
    for position in account.positions:
        exposure = exposure_of(position, prices) * (1 + scenario.move(position.symbol))
        equity += exposure - position.cost
        maintenance += ladder_of(ladders, position.symbol).margin(abs(exposure))
    return Verdict(equity, maintenance)


class Stress:
    """All accounts with positions, laid out once and shaken often."""

    def __init__(self, accounts: Sequence[Account], prices: Prices, ladders: Ladders) -> None:
        self._accounts = [each for each in accounts if each.positions and not each.is_house]
        self._prices, self._ladders = prices, ladders
        held = [position for each in self._accounts for position in each.positions]
        self._symbols = sorted({position.symbol for position in held})
        column = {symbol: n for n, symbol in enumerate(self._symbols)}
        self._owner: IntArray = np.repeat(
            np.arange(len(self._accounts)), [len(each.positions) for each in self._accounts]
        )
        self._symbol: IntArray = np.array([column[position.symbol] for position in held], dtype=np.int64)
        self._exposure = floats(exposure_of(position, prices) for position in held)
        self._start = floats(each.balance for each in self._accounts) - self._by_owner(
            floats(position.cost for position in held)
        )
        sizes = np.abs(floats(position.cost for position in held)) + np.abs(self._exposure)
        self._scale = 1.0 + np.abs(floats(each.balance for each in self._accounts)) + self._by_owner(sizes)
        self._ratios, self._cums = self._steps()

    def shake(self, scenario: Scenario) -> Outcome:
        """Judge every account in a scenario."""
        moved = 1.0 + floats(scenario.move(symbol) for symbol in self._symbols)
        exposure = self._exposure * moved[self._symbol]
        equity = self._start + self._by_owner(exposure)
        margin = np.zeros_like(exposure)
        for ratios, cums in zip(self._ratios, self._cums, strict=True):
            margin = np.maximum(margin, np.abs(exposure) * ratios[self._symbol] - cums[self._symbol])
        band = NEAR * self._scale * moved.max(initial=1.0)
        above_margin, above_zero = equity - self._by_owner(margin), equity
        near = (np.abs(above_margin) <= band) | (np.abs(above_zero) <= band)
        liquidated, bankrupt = above_margin <= 0, above_zero < 0
        for n in np.flatnonzero(near):
            verdict = judge(self._accounts[n], scenario, self._prices, self._ladders)
            liquidated[n], bankrupt[n] = verdict.liquidated, verdict.equity < 0
        return Outcome(
            scenario,
            liquidated=self._names(liquidated),
            bankrupt=self._names(bankrupt),
            shortfall=cents(-equity[bankrupt].sum()),
        )

    def _names(self, chosen: NDArray[np.bool_]) -> tuple[str, ...]:
        return tuple(self._accounts[n].id for n in np.flatnonzero(chosen))

    def _by_owner(self, amounts: FloatArray) -> FloatArray:
        sums = np.bincount(self._owner, weights=amounts, minlength=len(self._accounts))
        return sums.astype(np.float64)

    def _steps(self) -> tuple[FloatArray, FloatArray]:
        """The ladders as arrays, one row a step; zeros where a ladder is shorter."""
        ladders = [ladder_of(self._ladders, symbol).steps for symbol in self._symbols]
        shape = (max((len(steps) for steps in ladders), default=0), len(self._symbols))
        ratios, cums = np.zeros(shape), np.zeros(shape)
        for n, steps in enumerate(ladders):
            ratios[: len(steps), n] = floats(ratio for ratio, _ in steps)
            cums[: len(steps), n] = floats(cum for _, cum in steps)
        return ratios, cums
