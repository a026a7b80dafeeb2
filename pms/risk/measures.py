"""Value at risk and expected shortfall of linear books, for many books at once.

A book is a row of exposures, one a column of the returns; losses are positive.

historical   Each past bar happens once more to today's book, all equally likely (Hull, "historical
             simulation"). VaR is the n-th worst loss, n = (1 - confidence) x bars rounded up; of 500
             bars at 99 % the fifth worst. Expected shortfall is the mean of that worst part, the bar at
             its edge by the fraction that belongs to it (Acerbi and Tasche, "On the coherence of expected
             shortfall", 2002; what Basel's "Minimum capital requirements for market risk" reckons at
             97.5 %).
parametric   Normal with mean zero and the exponentially weighted covariance of J.P. Morgan's RiskMetrics
             Technical Document (1996): the weight of a bar is `decay` times that of the next.
components   Euler: exposure x how the measure changes with it; they add up to the measure.
horizon      x the square root of the bars: true of independent normal returns, an assumption for others.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from pms.risk.boundary import FloatArray

_NORMAL = NormalDist()
AT_ONCE = 4096


class Tail(NamedTuple):
    """The worst part of the bars at a confidence: `size` of them, the last one by `edge` of its weight."""

    size: int
    edge: float
    mass: float


class Measured(NamedTuple):
    """VaR and expected shortfall of each book."""

    var: FloatArray
    es: FloatArray


def tail_of(confidence: Decimal, bars: int) -> Tail:
    """Reckoned in decimals: 1 - 0.99 of 500 is five, not five and a bit."""
    if not 0 < confidence < 1 or bars < 1:
        raise ValueError(f"no tail at confidence {confidence} of {bars} bars")
    mass = (1 - confidence) * bars
    size = int(mass.to_integral_value(ROUND_CEILING))
    return Tail(size, np.float64(mass - (size - 1)), np.float64(mass))


def historical(books: FloatArray, returns: FloatArray, confidence: Decimal) -> Measured:
    """Historical simulation, one row a book; so many at a time, for each has a loss in every bar."""
    tail = tail_of(confidence, len(returns))
    parts = [_simulated(books[n : n + AT_ONCE], returns, tail) for n in range(0, max(len(books), 1), AT_ONCE)]
    return Measured(np.concatenate([part.var for part in parts]), np.concatenate([part.es for part in parts]))


def _simulated(books: FloatArray, returns: FloatArray, tail: Tail) -> Measured:
    size, edge, mass = tail
    losses = -(books @ returns.T)
    worst = np.partition(losses, -size, axis=1)[:, -size:] if size < losses.shape[1] else losses
    var = worst.min(axis=1, initial=np.inf)
    es = (worst.sum(axis=1) - (1.0 - edge) * var) / mass
    # Equal losses summed and divided come out a rounding below themselves.
    return Measured(var, np.maximum(es, var))


def historical_parts(book: FloatArray, returns: FloatArray, confidence: Decimal) -> FloatArray:
    """The components of one book's expected shortfall: what each symbol lost in the worst bars."""
    size, edge, mass = tail_of(confidence, len(returns))
    losses = -(returns @ book)
    worst_first = np.argsort(-losses, kind="stable")[:size]
    weights = np.ones(size)
    weights[-1] = edge
    return -book * (weights @ returns[worst_first]) / mass


def ewma_weights(bars: int, decay: Decimal) -> FloatArray:
    """The weights of the bars, oldest first; they add up to one."""
    if not 0 < decay <= 1:
        raise ValueError(f"decay must be above 0 and at most 1, was {decay}")
    powers = np.power(np.float64(decay), np.arange(bars - 1, -1, -1, dtype=np.float64))
    weights: FloatArray = powers / powers.sum()
    return weights


def covariance(returns: FloatArray, decay: Decimal) -> FloatArray:
    """The exponentially weighted covariance about zero.

    Positive semi-definite by its making: it is A'A of the weighted returns, which have no holes.
    """
    weighted = returns * np.sqrt(ewma_weights(len(returns), decay))[:, None]
    covariances: FloatArray = weighted.T @ weighted
    return covariances


def parametric(books: FloatArray, covariances: FloatArray, confidence: Decimal) -> Measured:
    """The normal's VaR and expected shortfall, one row a book."""
    sigma = _sigma(books, books @ covariances)
    z = _NORMAL.inv_cdf(np.float64(confidence))
    return Measured(z * sigma, _NORMAL.pdf(z) / np.float64(1 - confidence) * sigma)


def parametric_parts(book: FloatArray, covariances: FloatArray, confidence: Decimal) -> FloatArray:
    """The components of one book's parametric VaR."""
    pull = covariances @ book
    sigma = _sigma(book, pull)
    if sigma == 0:
        return np.zeros_like(book)
    return _NORMAL.inv_cdf(np.float64(confidence)) * book * pull / sigma


def undiversified(books: FloatArray, covariances: FloatArray, confidence: Decimal) -> FloatArray:
    """Parametric VaR if every correlation went to one against the book: each position by itself, added."""
    z = _NORMAL.inv_cdf(np.float64(confidence))
    return z * (np.abs(books) @ np.sqrt(np.diag(covariances)))


def _sigma(books: FloatArray, pull: FloatArray) -> FloatArray:
    """The standard deviation; a perfect hedge may come out a rounding below zero."""
    sigma: FloatArray = np.sqrt(np.maximum((books * pull).sum(axis=-1), 0.0))
    return sigma
