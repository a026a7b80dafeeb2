"""From an account's slack to the prices between which it surely stays where it is.

The slack to a tier is a sum of one function a symbol, each concave and zero at the price it was weighed at
(`Exposure.change`). The slack is shared out among the symbols: as long as each symbol has used up less than
its share, the sum cannot have used up all. One symbol alone gets the whole, and its bound is the very line.

The same the other way for an account that may come back to a better tier: as long as each symbol has brought
less than its share of what is missing, it has not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from pms.domain.margin import Exposure, Weight
from pms.domain.triggers import Between

ZERO = Decimal(0)
ENDLESS = Decimal("Infinity")
_GRAIN = Decimal("1e-12")
_FAR = Decimal("1e12")
"""Beyond any price: a bound further away stands here, so that it can be put on the grain."""


def bounds(
    exposures: Sequence[Exposure],
    prices: Mapping[str, Decimal],
    weight: Weight,
    *,
    worse: Decimal | None,
    better: Decimal | None,
) -> dict[str, Between]:
    """For each symbol the prices between which neither `worse` is crossed nor `better` uncrossed.

    `worse` is a ratio that the account has not crossed, `better` one that it has; None: no such tier.
    """
    whole = sum((abs(e.quantity) * prices[e.symbol] for e in exposures), ZERO)
    found: dict[str, Between] = {}
    for exposure in exposures:
        before = prices[exposure.symbol]
        share = abs(exposure.quantity) * before / whole
        low, high = ZERO, ENDLESS
        if worse is not None:
            low, high = _until(exposure, worse, before, -weight.slack(worse) * share)
        if better is not None:
            back_low, back_high = _until(exposure, better, before, -weight.slack(better) * share)
            low, high = max(low, back_low), min(high, back_high)
        known = found.get(exposure.symbol)
        # Both sides of a hedged account have a share each; the nearer bound of the two counts.
        if known is not None:
            low, high = max(low, known.low), min(high, known.high)
        found[exposure.symbol] = Between(_up(low), _down(high))
    return found


def _until(exposure: Exposure, ratio: Decimal, before: Decimal, change: Decimal) -> tuple[Decimal, Decimal]:
    """The nearest prices below and above `before` at which the slack has changed by `change`."""
    low, high = ZERO, ENDLESS
    size = abs(exposure.quantity)
    for step in exposure.brackets:
        begin, end = step.floor / size, step.cap / size
        # On this piece the change is offset + slope x price.
        slope = ratio * exposure.quantity - size * step.ratio
        if not slope:
            continue
        offset = exposure.maintenance(before) + step.cum - ratio * exposure.quantity * before
        price = (change - offset) / slope
        if not begin <= price <= end:
            continue
        if price <= before:
            low = max(low, price)
        if price >= before:
            high = min(high, price)
    return low, high


def _up(price: Decimal) -> Decimal:
    """Rounded towards the price that it was derived at, and a grain more: sooner, never later."""
    return price.quantize(_GRAIN, rounding=ROUND_CEILING) + _GRAIN if price > 0 else ZERO


def _down(price: Decimal) -> Decimal:
    return min(price, _FAR).quantize(_GRAIN, rounding=ROUND_FLOOR) - _GRAIN if price < ENDLESS else ENDLESS
