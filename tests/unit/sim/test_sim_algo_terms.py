"""What an algo may come to: at its bound nothing is wrong, and a step beyond it is told."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest

from pms.domain.algos.ids import child_id, slot_of
from pms.sim.judges.algo_terms import BOUNDS, PLANS, Asked, Leg, Traded
from pms.sim.judges.algos import slot_in
from pms.sim.traffic.algo_kinds import KINDS
from pms.sim.traffic.algo_scene import OPENS
from pms.sim.traffic.errands import draw, works
from pms.sim.traffic.storm import stormy

D = Decimal
STEP = D("0.001")


def asked(volume: str = "0", amends: list[dict[str, Any]] | None = None, **terms: Any) -> Asked:
    return Asked(terms, STEP, D(60_000), lambda: D(volume), amends or [])


def basket(amends: list[dict[str, Any]] | None = None, **terms: Any) -> Asked:
    """A chase for 0.5 with its unwinding, and an order at market for 0.2 with its own."""
    legs = [
        Leg("chase", asked(quantity=D("0.5")), range(1)),
        Leg("market", asked(quantity=D("0.2")), range(2, 3)),
    ]
    return Asked(terms, STEP, D(0), lambda: D(0), amends or [], legs=legs)


def traded(**slots: tuple[str, str]) -> dict[int, Traded]:
    """By slot, what is executed and what is open."""
    return {int(name[1:]): Traded(D(executed), D(leaves)) for name, (executed, leaves) in slots.items()}


SCALPER = {"layers": 2, "quantity": D("0.1"), "sizeFactor": 2, "maxExposure": D("0.25")}
CASES: dict[str, tuple[str, Asked, dict[int, Traded], dict[int, Traded]]] = {
    "a chase's total": (
        "chase",
        asked(quantity=D("0.5"), amends=[{"quantity": D("0.7")}, {"quantity": D("0.1")}]),
        traded(s0=("0.3", "0.4")),
        traded(s0=("0.3", "0.401")),
    ),
    "a TWAP's total": (
        "twap",
        asked(totalSize=D(1), mostCatchUp=100),
        traded(s0=("0.6", "0"), s1=("0.1", "0.3")),
        traded(s0=("0.6", "0"), s1=("0.1", "0.301")),
    ),
    "a slice: twice an even one, and what was too little for an order": (
        "twap",
        asked(totalSize=D(1), mostCatchUp=2),
        traded(s0=("0.4", "0.003")),
        traded(s0=("0.4", "0.004")),
    ),
    "a part of what traded": (
        "twap",
        asked(volume="2", totalSize=D(1), mostCatchUp=100, profile="participation", participation=30),
        traded(s0=("0.5", "0.1")),
        traded(s0=("0.5", "0.101")),
    ),
    "what a bracket enters": (
        "bracket",
        asked(quantity=D(1)),
        traded(s0=("0.5", "0.5")),
        traded(s0=("0.5", "0.501")),
    ),
    "a bracket's exits: what was entered, not what may be": (
        "bracket",
        asked(quantity=D(1)),
        traded(s0=("0.5", "0.5"), s1=("0.2", "0.1"), s2=("0", "0.2")),
        traded(s0=("0.5", "0.5"), s1=("0.2", "0.1"), s2=("0", "0.201")),
    ),
    "an OCO's exits: its quantity": (
        "bracket",
        asked(positionId="p", quantity=D("0.4")),
        traded(s1=("0.1", "0.1"), s2=("0.2", "0")),
        traded(s1=("0.1", "0.101"), s2=("0.2", "0")),
    ),
    "a layer's size, by its factor": (
        "scalper",
        asked(**SCALPER),
        traded(s2=("0.5", "0"), s3=("0.3", "0")),
        traded(s2=("0.5", "0.001"), s3=("0.3", "0")),
    ),
    "a layer's exit: what it has entered": (
        "scalper",
        asked(**SCALPER),
        traded(s4=("0.1", "0"), s5=("0.05", "0.05")),
        traded(s4=("0.1", "0"), s5=("0.05", "0.051")),
    ),
    "a scalper's exposure, over both legs": (
        "scalper",
        asked(**SCALPER),
        traded(s0=("0", "0.1"), s6=("0.1", "0.05")),
        traded(s0=("0", "0.1"), s6=("0.1", "0.051")),
    ),
    "what a leg is for, by the bound of its kind": (
        "basket",
        basket(),
        traded(s0=("0.3", "0.2"), s2=("0.1", "0.1")),
        traded(s0=("0.3", "0.2"), s2=("0.1", "0.101")),
    ),
    "what unwinds a leg: what it has filled": (
        "basket",
        basket(onLegFailure="unwind"),
        traded(s0=("0.3", "0.2"), s1=("0.1", "0.2")),
        traded(s0=("0.3", "0.2"), s1=("0.1", "0.201")),
    ),
    "a basket that was never to be unwound": (
        "basket",
        basket(amends=[{"onLegFailure": "finish"}]),
        traded(s0=("0.3", "0.2")),
        traded(s0=("0.3", "0.2"), s1=("0", "0.1")),
    ),
    "a sequence: an order before, and one behind it": (
        "basket",
        basket(mode="sequence", onLegFailure="finish"),
        traded(s0=("0.3", "0"), s2=("0", "0.1")),
        traded(s0=("0.3", "0.001"), s2=("0", "0.1")),
    ),
    "a sequence that does not go on: all but what is too little for an order": (
        "basket",
        basket(mode="sequence", onLegFailure="hold"),
        traded(s0=("0.497", "0"), s2=("0", "0.1")),
        traded(s0=("0.496", "0"), s2=("0", "0.1")),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bound_holds_up_to_its_last_step(name: str) -> None:
    kind, terms, within, beyond = CASES[name]
    terms.plan = dict.fromkeys(range(5), D("0.2"))
    assert list(BOUNDS[kind](terms, within)) == []
    assert len(list(BOUNDS[kind](terms, beyond))) == 1


def test_all_slices_together_are_planned_for_the_total() -> None:
    terms = asked(totalSize=D(1))
    assert PLANS["twap"](terms, {0: D("0.4"), 1: D("0.6")}) is None
    assert PLANS["twap"](terms, {0: D("0.4"), 1: D("0.601")}) is not None


def test_no_leg_is_planned_or_unwound_for_more_than_was_asked() -> None:
    terms = basket()
    assert PLANS["basket"](terms, {0: D("0.5"), 1: D("0.5"), 2: D("0.2"), 3: D("0")}) is None
    assert PLANS["basket"](terms, {0: D("0.501"), 1: D("0"), 2: D("0.2")}) is not None
    assert PLANS["basket"](terms, {0: D("0.5"), 1: D("0"), 2: D("0.2"), 3: D("0.201")}) is not None


def test_a_leg_of_slices_is_held_to_the_plan_that_it_begins_with() -> None:
    leg = Leg("twap", asked(totalSize=D("0.4"), mostCatchUp=1), range(3, 7))
    leg.planned({3: D(0), 4: D(0), 5: D(0), 6: D(0), 7: D("0.1")})
    assert leg.asked.plan == {}
    leg.planned({3: D("0.2"), 4: D("0.2"), 5: D(0), 6: D(0), 7: D(0)})
    leg.planned({3: D("0.1"), 4: D("0.3"), 5: D(0), 6: D(0), 7: D(0)})
    assert leg.asked.plan == {0: D("0.2"), 1: D("0.2")}
    assert list(BOUNDS["twap"](leg.asked, leg.of({5: Traded(D("0.203")), 7: Traded(D(1))}))) == []
    assert len(list(BOUNDS["twap"](leg.asked, leg.of({5: Traded(D("0.204"))})))) == 1


def test_a_slot_is_read_from_an_orders_id_as_it_was_written() -> None:
    for slot in (0, 9, 35, 36, 1295):
        coid = child_id("alice", "T", "an algo", slot, 3, started_at=1)
        assert slot_in(coid) == slot_of(coid) == slot


def test_every_kind_is_started_in_every_way_and_guarded_positions_have_one_direction() -> None:
    errands = [errand for seed in range(400) if works(seed) for errand in draw(seed)]
    assert {errand.kind for errand in errands} == KINDS.keys()
    assert {(e.kind, e.leave) for e in errands} == {(n, each) for n, k in KINDS.items() for each in k.leaves}
    guarded = [errand for errand in errands if errand.account in ("ivan", "judy")]
    assert guarded
    assert all(KINDS[errand.kind].guards and errand.side == OPENS[errand.symbol] for errand in guarded)


def test_algos_run_in_calm_worlds_and_in_storms() -> None:
    seeds = [seed for seed in range(60) if works(seed)]
    assert (len(seeds), sum(stormy(seed) for seed in seeds)) == (30, 10)
    assert draw(7) == draw(7)
    assert Random(draw(7)[0].key).random() != Random(draw(7)[-1].key).random()
