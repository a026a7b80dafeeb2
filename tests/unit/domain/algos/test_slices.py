"""Slices: they add up to the total, lie on the step, and are due when the algo's id says."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pms.domain.algos.slices import moments, spread

D = Decimal
STEP, LEAST = D("0.001"), D("0.004")
totals = st.integers(4, 10**9).map(lambda steps: steps * STEP)
weights = st.lists(st.decimals("0.001", "1000", places=3), min_size=1, max_size=60)


@settings(deadline=None)
@given(totals, weights)
def test_slices_add_up_to_the_total_and_none_is_below_the_least(
    total: Decimal, weights: list[Decimal]
) -> None:
    parts = spread(total, weights, step=STEP, least=LEAST)
    assert len(parts) == len(weights)
    assert sum(parts) == total
    assert all(part % STEP == 0 and (not part or part >= LEAST) for part in parts)


@settings(deadline=None)
@given(totals, st.integers(1, 200))
def test_even_slices_differ_by_one_step_at_most(total: Decimal, count: int) -> None:
    parts = spread(total, [D(1)] * count, step=STEP, least=D(0))
    assert max(parts) - min(parts) <= STEP


def test_slices_follow_their_weights() -> None:
    parts = spread(D("1"), [D(1), D(3), D(4)], step=STEP, least=LEAST)
    assert parts == [D("0.125"), D("0.375"), D("0.5")]


@pytest.mark.parametrize(
    ("total", "parts"),
    [
        ("0.010", ["0", "0.005", "0", "0.005"]),  # each waits for the next
        ("0.009", ["0", "0.004", "0", "0.005"]),
        ("0.003", ["0", "0", "0", "0.003"]),  # not even one: all of it, in the last
    ],
)
def test_slices_that_are_too_small_are_merged(total: str, parts: list[str]) -> None:
    found = spread(D(total), [D(1)] * 4, step=STEP, least=LEAST)
    assert found == [D(part) for part in parts]


@settings(deadline=None)
@given(st.uuids(), st.integers(1, 10**9), st.integers(1, 500), st.integers(0, 100))
def test_moments_keep_their_order_and_their_turn(
    algo_id: UUID, duration: int, count: int, jitter: int
) -> None:
    found = moments(str(algo_id), start=7, duration_ms=duration, count=count, jitter=D(jitter))
    turns = [7 + duration * number // count for number in range(count)]
    assert found == sorted(found)
    most = duration // count * jitter // 100
    assert all(0 <= at - turn <= most for at, turn in zip(found, turns, strict=True))


def test_jitter_is_of_the_algo_and_of_nothing_else() -> None:
    one, other = (
        moments(each, start=0, duration_ms=60_000, count=6, jitter=D(50)) for each in ("one", "other")
    )
    assert one != other
    assert one == moments("one", start=0, duration_ms=60_000, count=6, jitter=D(50))
    assert moments("one", start=0, duration_ms=60_000, count=3, jitter=D(0)) == [0, 20_000, 40_000]
