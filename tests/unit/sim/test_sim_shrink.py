"""Shrinking: what is left breaks, and none of it can be left out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from pms.contract.names import Queue
from pms.sim.faults import KINDS, LEAST, Fault, beside, draw
from pms.sim.shrink import minimal


@given(st.sets(st.integers(0, 11), min_size=1, max_size=4))
def test_exactly_the_faults_that_it_takes_are_left(needed: set[int]) -> None:
    plan = [Fault(at_ms=at, kind="killed") for at in range(12)]

    def breaks(faults: Sequence[Fault]) -> bool:
        return needed <= {fault.at_ms for fault in faults}

    assert {fault.at_ms for fault in minimal(plan, breaks)} == needed


def test_what_breaks_without_any_fault_takes_none() -> None:
    assert minimal(draw(1), lambda _: True) == []


def test_every_kind_is_drawn_and_each_seed_has_enough() -> None:
    plans = [draw(seed) for seed in range(1500)]
    drawn_apart = [fault for seed in range(1500) for fault in beside(seed)]
    assert {fault.kind for fault in (*drawn_apart, *chain(*plans))} == set(KINDS)
    assert {fault.target for fault in drawn_apart} >= {"exchange", "market", "beat", "bridge", Queue.ORDERS}
    assert min(map(len, plans)) >= LEAST
    assert draw(7) == draw(7)
