"""From closing prices to one complete matrix of returns, with every hole accounted for.

Returns are relative changes of the close, as in Hull, "Options, Futures, and Other Derivatives",
chapter on value at risk: profit of a linear contract is exposure x return, exactly.

What is missing is never taken for zero:

a gap            the first bar behind it carries the whole move, as a holder saw it
a missing return the reference's of that bar x beta, plus one of the symbol's own residuals in turn:
                 its variance and its share of the market's move stay what they were where it was seen
too few seen     the symbol has no statistic; whoever holds it is told how much of his exposure that is
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from pms.risk.boundary import FloatArray, floats


@dataclass(frozen=True, slots=True)
class Closes:
    """Closing prices of a symbol's finished bars, ascending by the time at which each bar opened, ms."""

    times: tuple[int, ...]
    prices: tuple[Decimal, ...]

    def __post_init__(self) -> None:
        if len(self.times) != len(self.prices):
            raise ValueError("each bar has one close")
        if any(later <= earlier for earlier, later in zip(self.times, self.times[1:], strict=False)):
            raise ValueError("bars must ascend")
        if any(price <= 0 for price in self.prices):
            raise ValueError("a close must be above zero")


@dataclass(frozen=True, slots=True)
class Returns:
    """One row a bar, oldest first, one column a covered symbol; no hole in it."""

    symbols: tuple[str, ...] = ()
    times: tuple[int, ...] = ()
    matrix: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    reference: str | None = None
    #: whose bars are the rows, and whose moves stand in for what others lack
    observed: Mapping[str, int] = field(default_factory=dict)
    #: of every symbol that was asked for, how many returns were seen on these rows

    @property
    def count(self) -> int:
        return len(self.times)

    def filled(self, symbol: str) -> int:
        """How many returns of a covered symbol were made up; 0 for one that is not covered."""
        return self.count - self.observed[symbol] if symbol in self.symbols else 0


def align(closes: Mapping[str, Closes], *, count: int, least: int, reference: str) -> Returns:
    """Lay the last `count` returns of all symbols side by side.

    A symbol with fewer than `least` is left out. If the reference is such a one, that with the most
    returns takes its place.
    """
    by_time = {symbol: _by_time(each) for symbol, each in closes.items()}
    if len(by_time.get(reference, ())) < least:
        reference = max(sorted(by_time), key=lambda symbol: len(by_time[symbol]), default=reference)
    grid = sorted(by_time.get(reference, ()))[-count:]
    observed = {symbol: sum(time in seen for time in grid) for symbol, seen in by_time.items()}
    if len(grid) < least:
        return Returns(observed=observed)
    market = _on(grid, by_time[reference])
    symbols = tuple(symbol for symbol in sorted(by_time) if observed[symbol] >= least)
    columns = [_filled(_on(grid, by_time[symbol]), market) for symbol in symbols]
    return Returns(
        symbols=symbols,
        times=tuple(grid),
        matrix=np.column_stack(columns),
        reference=reference,
        observed=observed,
    )


def _by_time(closes: Closes) -> dict[int, float]:
    """Each bar's return against the last bar before it, however long ago that was."""
    prices = floats(closes.prices)
    changes = prices[1:] / prices[:-1] - 1.0
    return dict(zip(closes.times[1:], changes.tolist(), strict=True))


def _on(grid: list[int], seen: Mapping[int, float]) -> FloatArray:
    return np.array([seen.get(time, np.nan) for time in grid])


def _filled(column: FloatArray, market: FloatArray) -> FloatArray:
    """The column with its holes filled: beta x market, plus the residuals in turn, the newest first."""
    holes = np.isnan(column)
    if not holes.any():
        return column
    seen, beside = column[~holes], market[~holes]
    spread = np.dot(beside, beside)
    beta = np.dot(seen, beside) / spread if spread > 0 else 0.0
    residuals = (seen - beta * beside)[::-1]
    newest_first = np.flatnonzero(holes)[::-1]
    whole = column.copy()
    whole[newest_first] = beta * market[newest_first] + np.resize(residuals, newest_first.size)
    # A made-up loss cannot be more than all there is.
    return np.maximum(whole, -1.0)
