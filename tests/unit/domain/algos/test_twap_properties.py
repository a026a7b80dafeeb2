"""Whatever happens to a TWAP: never a lot too much, never a burst, and always over in the end."""

from __future__ import annotations

from contextlib import suppress

from any_order import step, steps
from hypothesis import given, settings
from hypothesis import strategies as st
from market_world import D
from twap_world import MODES, TERMS, TOTALS, Judge, algo_of, amend, calm_down, started

from pms.contract.codes import Refusal
from pms.domain.algos.algo import Status


@settings(max_examples=250, deadline=None)
@given(
    steps=steps,
    mode=st.sampled_from(sorted(MODES)),
    terms=TERMS,
    acts=st.lists(st.tuples(st.integers(0, 12), st.sampled_from([*TOTALS, 7_000, 16_000])), max_size=4),
)
def test_never_beyond_its_target_nor_a_slice_beyond_its_most_and_always_over_in_the_end(
    steps: list[tuple[str, int]], mode: str, terms: dict[str, object], acts: list[tuple[int, str | int]]
) -> None:
    world, algo_id = started(**MODES[mode], **terms)
    judge = Judge(world, algo_id, D(str(terms["mostCatchUp"])))
    for turn, (op, number) in enumerate(steps):
        for act in [act for at, act in acts if at == turn]:
            # An outage, or another total
            if isinstance(act, int):
                world.pass_time(act)
                continue
            with suppress(Refusal):
                amend(world, algo_id, totalSize=act)
        step(world, algo_id, op, number)
        world.conduct(algo_id)
        judge.look()
    if algo_of(world, algo_id).status is Status.PAUSED:
        world.ask("pms.algo", None, algoId=algo_id, action="resume")
    calm_down(world, algo_id, judge)
    algo = algo_of(world, algo_id)
    assert algo.status.over
    assert world.exposed(algo_id) == world.told(algo_id) == algo.filled <= algo.target
    if algo.status is Status.FINISHED and "its time is over" not in (algo.reason or ""):
        assert algo.target - algo.filled < D("0.001")


@settings(max_examples=60, deadline=None)
@given(mode=st.sampled_from(sorted(MODES)), away=st.integers(0, 55_000), terms=TERMS)
def test_an_outage_of_less_than_the_overtime_strands_nothing(
    mode: str, away: int, terms: dict[str, object]
) -> None:
    world, algo_id = started(**MODES[mode], **{**terms, "onMissed": "catch_up", "mostCatchUp": "5"})
    world.restart()
    world.pass_time(away)
    calm_down(world, algo_id, Judge(world, algo_id, D(5)))
    algo = algo_of(world, algo_id)
    assert (algo.status, algo.filled) == (Status.FINISHED, D("0.05"))
