"""VaR and expected shortfall: by hand on a handful of bars, and what must hold of any book."""

from __future__ import annotations

from decimal import Decimal
from math import erf, exp, pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pms.risk.boundary import FloatArray
from pms.risk.measures import (
    AT_ONCE,
    covariance,
    ewma_weights,
    historical,
    historical_parts,
    parametric,
    parametric_parts,
    tail_of,
    undiversified,
)

D = Decimal
CONFIDENCES = st.decimals("0.5", "0.995", places=3)
RETURNS = arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(-0.5, 0.5))
BOOK = arrays(np.float64, 3, elements=st.floats(-1e6, 1e6))
ONE = np.array([[100.0]])


def bars(*percents: float) -> FloatArray:
    """The returns of one symbol."""
    return np.array(percents)[:, None] / 100


def test_of_five_hundred_bars_at_99_percent_it_is_the_fifth_worst() -> None:
    """Hull's own rule; in binary 1 - 0.99 of 500 is five and a bit, which would make it the sixth."""
    assert tail_of(D("0.99"), 500) == (5, 1.0, 5.0)
    losses = np.arange(500.0)  # 0 … 499 percent of the book
    var, es = historical(ONE, -losses[:, None] / 100, D("0.99"))
    assert (var[0], es[0]) == (495.0, 497.0)  # the fifth worst; the mean of 495 … 499


def test_the_bar_at_the_edge_counts_by_its_fraction() -> None:
    """75 % of ten bars leaves two and a half: (10 + 8 + ½ · 6) / 2.5."""
    var, es = historical(ONE, bars(1, 2, 3, -10, -8, -6, 4, 5, 6, 7), D("0.75"))
    assert var[0] == pytest.approx(6.0)
    assert es[0] == pytest.approx(8.4)


def test_many_books_are_measured_as_each_by_itself() -> None:
    rng = np.random.default_rng(9)
    returns, books = rng.normal(0, 0.02, (50, 3)), rng.normal(0, 1000, (AT_ONCE + 7, 3))
    together = historical(books, returns, D("0.9"))
    assert len(together.var) == len(books)
    for n in (0, AT_ONCE - 1, AT_ONCE, AT_ONCE + 6):
        alone = historical(books[n : n + 1], returns, D("0.9"))
        assert together.var[n] == pytest.approx(alone.var[0])
        assert together.es[n] == pytest.approx(alone.es[0])
    assert historical(books[:0], returns, D("0.9")).es.shape == (0,)


def test_fewer_bars_than_the_tail_asks_for_give_the_worst_of_them() -> None:
    var, es = historical(ONE, bars(-1, -3, 2), D("0.99"))
    assert var[0] == es[0] == pytest.approx(3.0)


def test_a_short_gains_where_a_long_loses() -> None:
    returns = bars(-10, 1, 2, 3)
    assert historical(ONE, returns, D("0.75")).var[0] == pytest.approx(10.0)
    assert historical(-ONE, returns, D("0.75")).var[0] == pytest.approx(3.0)


def test_ewma_by_hand() -> None:
    """With decay ½ the last three bars weigh 1/7, 2/7, 4/7: variance (1 · 1 + 2 · 4 + 4 · 9) / 7."""
    assert ewma_weights(3, D("0.5")) == pytest.approx([1 / 7, 2 / 7, 4 / 7])
    returns = np.array([[1.0], [2.0], [-3.0]])
    assert covariance(returns, D("0.5"))[0, 0] == pytest.approx(45 / 7)
    assert parametric(np.array([[1.0]]), np.array([[4.0]]), D("0.975")).var[0] == pytest.approx(
        2 * 1.959963984540054
    )


def test_riskmetrics_recursion_gives_the_same_covariance() -> None:
    """RiskMetrics' own form: tomorrow's = decay x today's + (1 - decay) x the last square."""
    returns = np.random.default_rng(7).normal(0, 0.02, (2000, 2))
    running = np.zeros((2, 2))
    for each in returns:
        running = 0.94 * running + 0.06 * np.outer(each, each)
    assert covariance(returns, D("0.94")) == pytest.approx(running, rel=1e-9)


def test_correlation_by_hand() -> None:
    """Hull's pattern of two assets: σ² = 1² + 2² + 2 · 0.3 · 1 · 2; at correlation one simply 1 + 2."""
    covariances = np.array([[0.01**2, 0.3 * 0.01 * 0.02], [0.3 * 0.01 * 0.02, 0.02**2]])
    book = np.array([[100.0, 100.0]])
    z = 2.3263478740408408
    assert parametric(book, covariances, D("0.99")).var[0] == pytest.approx(z * sqrt(6.2))
    assert undiversified(book, covariances, D("0.99"))[0] == pytest.approx(z * 3)
    assert undiversified(-book * [1, -1], covariances, D("0.99"))[0] == pytest.approx(z * 3)


def test_a_perfect_hedge_has_no_parametric_risk_and_no_root_of_less_than_nothing() -> None:
    """Rounded, the variance of such a hedge comes out below zero about every second time."""
    below = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        beta = rng.uniform(0.3, 3)
        covariances = covariance(rng.normal(0, 0.03, (100, 1)) @ np.array([[1.0, beta]]), D("0.94"))
        hedge = np.array([[1e6 * beta, -1e6]])
        below += int((hedge @ covariances @ hedge.T)[0, 0] < 0)
        assert parametric(hedge, covariances, D("0.99")).var[0] == pytest.approx(0.0, abs=1e-2)
        assert np.isfinite(parametric_parts(hedge[0], covariances, D("0.99"))).all()
    assert below


def test_a_normal_sample_comes_near_the_analytic_figures() -> None:
    """Within four standard errors, which follow from n; the seed is fixed, so this cannot flicker.

    σ estimated from n normal draws has the standard error σ / √(2n). The p-quantile's is
    √(p (1 - p) / n) / density there; that of the tail's mean is less than σ / √(n (1 - p)).
    """
    n, sigma, p = 40_000, 0.02, 0.99
    returns = np.random.default_rng(20240101).normal(0.0, sigma, (n, 1))
    z = 2.3263478740408408
    density = exp(-z * z / 2) / sqrt(2 * pi)
    assert 0.5 * (1 + erf(z / sqrt(2))) == pytest.approx(p)
    flat = covariance(returns, D(1))
    measured = parametric(ONE, flat, D("0.99"))
    simulated = historical(ONE, returns, D("0.99"))
    for var in (measured.var[0], simulated.var[0]):
        error = sqrt(p * (1 - p) / n) / density * 100 * sigma
        assert abs(var - 100 * z * sigma) < 4 * error
    assert abs(measured.var[0] - 100 * z * sigma) < 4 * 100 * z * sigma / sqrt(2 * n)
    for es in (measured.es[0], simulated.es[0]):
        assert abs(es - 100 * sigma * density / (1 - p)) < 4 * 100 * sigma / sqrt(n * (1 - p))


@given(RETURNS, BOOK, CONFIDENCES, CONFIDENCES)
def test_var_and_shortfall_grow_with_the_confidence(
    returns: FloatArray, book: FloatArray, one: Decimal, other: Decimal
) -> None:
    low, high = sorted((one, other))
    for of in (historical, lambda books, seen, c: parametric(books, covariance(seen, D("0.94")), c)):
        below, above = of(book[None], returns, low), of(book[None], returns, high)
        slack = 1e-9 * np.abs(book).sum()
        assert below.var[0] <= above.var[0] + slack
        assert below.es[0] <= above.es[0] + slack
        assert above.es[0] >= above.var[0] - slack


@given(RETURNS, BOOK, CONFIDENCES, st.integers(1, 1000))
def test_twice_the_book_is_twice_the_risk(
    returns: FloatArray, book: FloatArray, confidence: Decimal, times: int
) -> None:
    covariances = covariance(returns, D("0.94"))
    slack = 1e-9 * times * (1 + np.abs(book).sum())
    for single, scaled in (
        (historical(book[None], returns, confidence), historical(times * book[None], returns, confidence)),
        (
            parametric(book[None], covariances, confidence),
            parametric(times * book[None], covariances, confidence),
        ),
    ):
        assert scaled.var == pytest.approx(times * single.var, abs=slack)
        assert scaled.es == pytest.approx(times * single.es, abs=slack)


@given(RETURNS, BOOK, CONFIDENCES)
def test_the_parts_add_up(returns: FloatArray, book: FloatArray, confidence: Decimal) -> None:
    covariances = covariance(returns, D("0.94"))
    slack = 1e-9 * (1 + np.abs(book).sum())
    whole = parametric(book[None], covariances, confidence).var[0]
    # A part is a quotient by σ: beside a hedge that is nearly perfect it has few digits left.
    digits = slack * np.abs(book).max() / max(whole, slack)
    assert parametric_parts(book, covariances, confidence).sum() == pytest.approx(whole, abs=slack + digits)
    tail = historical(book[None], returns, confidence).es[0]
    assert historical_parts(book, returns, confidence).sum() == pytest.approx(tail, abs=slack)


@given(RETURNS, CONFIDENCES)
def test_nothing_held_is_nothing_at_risk(returns: FloatArray, confidence: Decimal) -> None:
    flat = np.zeros((1, 3))
    covariances = covariance(returns, D("0.94"))
    for measured in (historical(flat, returns, confidence), parametric(flat, covariances, confidence)):
        assert (measured.var[0], measured.es[0]) == (0, 0)
    assert undiversified(flat, covariances, confidence)[0] == 0
    assert not parametric_parts(flat[0], covariances, confidence).any()
    assert not historical_parts(flat[0], returns, confidence).any()


@given(RETURNS, BOOK, BOOK, CONFIDENCES)
def test_two_books_together_risk_no_more_than_apart(
    returns: FloatArray, one: FloatArray, other: FloatArray, confidence: Decimal
) -> None:
    """Subadditive: expected shortfall always, the parametric figures for they are a standard deviation.

    Historical VaR is not, and is not claimed to be.
    """
    covariances = covariance(returns, D("0.94"))
    books = np.stack([one, other, one + other])
    slack = 1e-9 * (1 + np.abs(books).sum())
    es = historical(books, returns, confidence).es
    assert es[2] <= es[0] + es[1] + slack
    var = parametric(books, covariances, confidence).var
    assert var[2] <= var[0] + var[1] + slack + 1e-6 * np.abs(books).sum()
    assert var[2] <= undiversified(books, covariances, confidence)[2] + slack + 1e-6 * np.abs(books).sum()


@given(RETURNS)
def test_the_covariance_is_positive_semi_definite(returns: FloatArray) -> None:
    covariances = covariance(returns, D("0.94"))
    assert (covariances == covariances.T).all()
    assert np.linalg.eigvalsh(covariances).min() >= -1e-12 * max(np.trace(covariances), 1e-300)


def test_a_confidence_without_a_tail_is_refused() -> None:
    for confidence, count in ((D(1), 10), (D(0), 10), (D("0.99"), 0)):
        with pytest.raises(ValueError, match="no tail"):
            tail_of(confidence, count)
    with pytest.raises(ValueError, match="decay"):
        ewma_weights(5, D("1.01"))
