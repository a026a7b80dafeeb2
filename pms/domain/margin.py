"""Equity against maintenance margin: how near an account is to liquidation, and at which price it is.

An account is weighed at prices: equity is its balance and what its positions would bring, maintenance the
sum of what its positions need to be kept. A tier of ratio r is crossed when maintenance >= r x equity;
written without a division, so that no rounding moves the line and an equity below zero is no case apart.

Source: Binance Futures FAQ, "Liquidation price"; the formula there is `liquidation_prices` with r = 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from pms.domain.brackets import Bracket, bracket_of, maintenance

ZERO = Decimal(0)
ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Exposure:
    """A position as it is weighed: signed quantity, signed cost, and its symbol's brackets."""

    symbol: str
    quantity: Decimal
    cost: Decimal
    brackets: tuple[Bracket, ...]

    def profit(self, price: Decimal) -> Decimal:
        """What closing all of it at a price would bring."""
        return self.quantity * price - self.cost

    def maintenance(self, price: Decimal) -> Decimal:
        """What it needs at a price to be kept."""
        return maintenance(self.brackets, abs(self.quantity) * price)

    def change(self, ratio: Decimal, before: Decimal, price: Decimal) -> Decimal:
        """By how much the slack to a tier of this ratio changes when the price goes from `before`.

        A concave function of the price, for maintenance is convex: what the triggers are derived from.
        """
        moved = self.quantity * (price - before)
        return ratio * moved - (self.maintenance(price) - self.maintenance(before))


@dataclass(frozen=True, slots=True)
class Weight:
    """Equity and maintenance margin of an account at some prices."""

    equity: Decimal
    maintenance: Decimal

    def slack(self, ratio: Decimal) -> Decimal:
        """What is left before a tier is crossed; zero or less: it is."""
        return ratio * self.equity - self.maintenance

    def crossed(self, ratio: Decimal) -> bool:
        """Whether maintenance is at least `ratio` of equity; an account without positions crosses nothing."""
        return bool(self.maintenance) and self.slack(ratio) <= 0

    @property
    def ratio(self) -> Decimal | None:
        """Maintenance over equity, for people; None where equity does not cover anything."""
        if not self.maintenance:
            return ZERO
        return (self.maintenance / self.equity).quantize(Decimal("0.0001")) if self.equity > 0 else None


def weigh(balance: Decimal, exposures: Iterable[Exposure], prices: Mapping[str, Decimal]) -> Weight:
    """Weigh an account; raises KeyError where a price is missing."""
    equity, needed = balance, ZERO
    for exposure in exposures:
        price = prices[exposure.symbol]
        equity += exposure.profit(price)
        needed += exposure.maintenance(price)
    return Weight(equity, needed)


def liquidation_prices(
    balance: Decimal, exposures: Sequence[Exposure], prices: Mapping[str, Decimal], *, ratio: Decimal = ONE
) -> dict[str, Decimal]:
    """By symbol the price at which a tier is crossed, all other prices as they are; none where it is at none.

    For an account that has crossed it already, the price at which it would not have. A hedged account holds
    both sides of a symbol: brackets are each side's own, the slack is the sum of both.
    """
    slack = weigh(balance, exposures, prices).slack(ratio)
    by_symbol: dict[str, list[Exposure]] = {}
    for exposure in exposures:
        by_symbol.setdefault(exposure.symbol, []).append(exposure)
    found = {}
    for symbol, mine in by_symbol.items():
        rest = slack - weigh(ZERO, mine, prices).slack(ratio)
        price = _crossing(mine, rest, ratio, prices[symbol])
        if price is not None:
            found[symbol] = price
    return found


def _crossing(exposures: Sequence[Exposure], rest: Decimal, ratio: Decimal, now: Decimal) -> Decimal | None:
    """Where the slack is zero: nearly always on the straight piece that the price is on now."""
    low, high = ZERO, Decimal("Infinity")
    for exposure in exposures:
        size = abs(exposure.quantity)
        step = bracket_of(exposure.brackets, size * now)
        low, high = max(low, step.floor / size), min(high, step.cap / size)
    near = _root(exposures, rest, ratio, low=low, high=high)
    if near is not None:
        return near
    pieces = (_root(exposures, rest, ratio, low=low, high=high) for low, high in _pieces(exposures))
    # The slack is concave: it has two roots at most, one on either side.
    return min((root for root in pieces if root is not None), key=lambda root: abs(root - now), default=None)


def _pieces(exposures: Sequence[Exposure]) -> list[tuple[Decimal, Decimal]]:
    """The ranges of the price on which maintenance is one straight line."""
    borders = {ZERO, Decimal("Infinity")}
    for exposure in exposures:
        borders.update(step.cap / abs(exposure.quantity) for step in exposure.brackets)
    return list(pairwise(sorted(borders)))


def _root(
    exposures: Sequence[Exposure], rest: Decimal, ratio: Decimal, *, low: Decimal, high: Decimal
) -> Decimal | None:
    """Where the slack is zero on one straight piece, or None."""
    inside = low + 1 if high.is_infinite() else (low + high) / 2
    slope, level = ZERO, rest
    for exposure in exposures:
        step = bracket_of(exposure.brackets, abs(exposure.quantity) * inside)
        slope += ratio * exposure.quantity - abs(exposure.quantity) * step.ratio
        level += step.cum - ratio * exposure.cost
    if not slope:
        return None
    price = -level / slope
    return price if low <= price <= high and price > 0 else None
