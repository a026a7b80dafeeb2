"""Where money becomes statistics and comes back: the only place in which the two meet.

Returns, covariances and quantiles are estimates, so they are binary floats. What they are made of and
what comes of them is money: exposures go in here, and results come out rounded to cents. Everything
that is known and not estimated (exposure, equity, margin, the loss of a named shock) never comes here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
CENT = Decimal("0.01")


def floats(amounts: Iterable[Decimal]) -> FloatArray:
    """Amounts as the nearest binary floats."""
    return np.fromiter(amounts, dtype=np.float64)


def cents(estimate: float) -> Decimal:
    """An estimate in cents; raises ValueError for one that is no number, for nothing may hide behind it."""
    if not np.isfinite(estimate):
        raise ValueError(f"an estimate came out as {estimate}")
    # Nothing is never minus nothing.
    return Decimal(estimate).quantize(CENT, rounding=ROUND_HALF_EVEN) + 0


def cents_of_parts(parts: Sequence[float] | FloatArray) -> list[Decimal]:
    """Parts in cents that add up to the cents of their sum: each is the step of the rounded running sum."""
    steps: list[Decimal] = []
    before = Decimal(0)
    for running in np.cumsum(np.asarray(parts, dtype=np.float64)):
        now = cents(running)
        steps.append(now - before)
        before = now
    return steps
