"""Whole seeds: clean ones hold, a seed is the same run everywhere, and planted bugs are found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
from click.testing import CliRunner

from pms.cli.main import cli
from pms.domain.algos.machines import MACHINES
from pms.sim.campaign import run_chunk
from pms.sim.fingerprint import fingerprint
from pms.sim.judges.algos import BOUND, END, GUARD, MOMENT, OVER, TERMS
from pms.sim.judges.algos_settled import COUNTED, UNWOUND
from pms.sim.judges.income import BOOKED, SHARED
from pms.sim.judges.liquidations import ENTRY, ONCE, OWED, PAID
from pms.sim.judges.own_faults import OWN_FAULT
from pms.sim.judges.standing import KEPT
from pms.sim.judges.ticks import DEALT_WITH
from pms.sim.machines.redis.client import Pipeline
from pms.sim.planted.prove import MUTANTS, find
from pms.sim.run import run
from pms.sim.timeline import tell
from pms.sim.traffic.storm import stormy
from pms.sim.world import World

QUICK = {
    "absent_once_is_proof": 0,
    "amend_carries_remainder": 88,
    "cancel_of_all_but_one": 20,
    "commission_forgotten": 0,
    "double_send": 12,
    "halt_of_all_ignored": 505,
    "halts_not_looked_at": 505,
    "left_to_open": 43,
    "limits_not_asked": 6,
    "limits_not_loaded": 38,
    "lost_is_unsent": 0,
    "netting_forgotten": 0,
    "never_settled": 0,
    "panic_believes": 78,
    "trade_lite_booked": 0,
}
"""Planted bugs, and from which seed on they are looked for; `make prove` looks for all."""

WITH_HANDS = {
    "foreign_dropped": (0, "no trade is lost"),
    "foreign_unwound": (0, OWED),
    "funded_by_the_net": (0, SHARED),
    "funded_by_the_present": (0, SHARED),
    "income_twice": (0, BOOKED),
}
"""Planted bugs of what others do: from which seed on each is looked for, and what finds it."""

IN_STORMS = {
    "debt_paid_again": 5,
    "due_dropped": 0,
    "takeover_not_journaled": 0,
    "takeover_without_orders": 14,
    "tier_forgotten": 54,
    "torn_price_believed": 0,
    "unwind_not_lessened": 0,
    "unwinds_beside_unknown": 9,
}
"""Planted bugs of liquidation, and from which seed on they are looked for: the first 60 find each."""

OF_ALGOS = {
    "both_exits_live": (70, TERMS),
    "ended_still_places": (11, END),
    "fees_not_counted": (2, COUNTED),
    "fills_not_counted": (2, BOUND),
    "held_goes_on": (58, TERMS),
    "layer_armed_twice": (16, TERMS),
    "outage_made_up_at_once": (2, TERMS),
    "past_volume_counted": (210, TERMS),
    "sequence_at_once": (20, TERMS),
    "slice_too_early": (2, MOMENT),
    "slots_order_forgotten": (35, BOUND),
    "stop_never_fires": (28, "all comes to rest"),
    "unwound_twice": (134, TERMS),
}
"""Planted bugs of algos: from which seed on each is looked for, and what finds it."""

TRACE = """
import hashlib, sys
from pms.sim.run import run
digest = hashlib.sha256()
def attach(world):
    looked = world.server.watch
    def watch(words, reply):
        if words[0] not in (b"LPUSH", b"RPOP"):  # a message names the process that wrote it
            digest.update(repr((world.loop.now, words[:2], reply if words[0] == b"XADD" else None)).encode())
        looked(words, reply)
    world.server.watch = watch
outcome = run(int(sys.argv[1]), started=attach)
print(digest.hexdigest(), outcome.steps, outcome.virtual_s)
"""


def test_algos_of_every_kind_run_and_each_of_their_bounds_is_looked_at() -> None:
    worlds: list[World] = []
    checked: Counter[str] = Counter()
    for seed in (5, 8, 16, 20, 23, 26, 34):
        outcome = run(seed, plan=[], started=worlds.append)
        assert outcome.violation is None, outcome.violation
        checked += outcome.checked
    assert {BOUND, TERMS, GUARD, MOMENT, END, COUNTED, UNWOUND} <= checked.keys()
    rows = [row for world in worlds for row in world.books.fold.tables["algos"].values()]
    assert {row.kind for row in rows} == MACHINES.keys()
    assert {row.status for row in rows} <= OVER


def test_without_faults_every_invariant_holds() -> None:
    for seed in range(3):
        outcome = run(seed, plan=[])
        assert outcome.violation is None, outcome.violation
        assert outcome.orders >= 20
        assert outcome.virtual_s < 10


def test_a_task_that_fails_by_itself_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it should have done is made up for by others, so nothing else would show it."""
    monkeypatch.delattr(Pipeline, "lpush")
    violation = run(5, plan=[]).violation
    assert violation is not None
    assert violation.invariant == OWN_FAULT


def test_faulty_seeds_hold_too() -> None:
    tally = run_chunk(range(20, 32), None)
    assert tally.failures == []
    assert (tally.seeds, tally.thin) == (12, 0)
    assert min(tally.invariants.values()) > 0
    assert {DEALT_WITH, ENTRY, KEPT, ONCE, OWED, PAID} <= tally.invariants.keys(), "nobody was liquidated"


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(50001247, id="a void that did not hold left its reason in the journal"),
        pytest.param(930003901, id="Redis forgot the halt in the middle of panic"),
        pytest.param(700016788, id="the word of a withdrawal at the exchange was lost"),
        pytest.param(50004636, id="a sender's refusal came behind the proof that nothing was executed"),
    ],
)
def test_seeds_that_broke_an_invariant_once_hold(seed: int) -> None:
    assert run(seed).violation is None


def test_a_seed_is_the_same_run_in_every_interpreter() -> None:
    """Whatever the hash seed, the addresses and the machine's clock are."""
    told = {
        subprocess.run(
            [sys.executable, "-c", TRACE, "3"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(told) == 1


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found(name: str) -> None:
    proof = find(name, first=QUICK[name], most=60)
    assert proof.seed is not None, f"{name} was not found"


@pytest.mark.parametrize("name", WITH_HANDS)
def test_a_planted_bug_of_what_others_do_is_found(name: str) -> None:
    first, invariant = WITH_HANDS[name]
    assert find(name, first=first, most=60).invariant == invariant


@pytest.mark.parametrize("name", OF_ALGOS)
def test_a_planted_bug_of_algos_is_found(name: str) -> None:
    first, invariant = OF_ALGOS[name]
    proof = find(name, first=first, most=60)
    assert proof.invariant == invariant


@pytest.mark.parametrize("name", IN_STORMS)
def test_a_planted_bug_of_liquidation_is_found(name: str) -> None:
    proof = find(name, first=IN_STORMS[name], most=60)
    assert proof.seed is not None, f"{name} was not found"


def test_one_seed_of_three_has_a_storm_in_which_accounts_are_liquidated() -> None:
    assert sum(stormy(seed) for seed in range(30)) == 10
    (calm, wild) = (run(3, storms=storms).checked for storms in (None, True))
    assert ENTRY not in calm
    assert wild[ENTRY] > 0
    assert wild[DEALT_WITH] > calm[DEALT_WITH]


def test_there_are_bugs_enough_and_all_can_be_planted() -> None:
    assert len(MUTANTS) >= 40
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    for mutant in MUTANTS:
        with mutant.planted():
            pass


def test_a_timeline_tells_faults_lives_and_the_order_in_question() -> None:
    mutant = next(each for each in MUTANTS if each.name == "absent_once_is_proof")
    proof = find(mutant.name, first=QUICK[mutant.name], most=60)
    assert proof.seed is not None
    with mutant.planted():
        violation = run(proof.seed).violation
        outcome, lines = tell(proof.seed, None, violation)
    assert outcome.violation == violation
    text = "\n".join(lines)
    assert "streamer#1 starts" in text
    assert violation is not None
    assert violation.subjects[0] in text


def test_the_command_line_prints_the_table() -> None:
    result = CliRunner().invoke(cli, ["sim", "--seeds", "4", "--from", "40", "--jobs", "1", "--json"])
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout.strip().splitlines()[-1])
    assert (table["seeds"], table["violations"], table["from"], table["code"]) == (4, 0, 40, fingerprint())


def test_an_unknown_kind_of_fault_is_named() -> None:
    result = CliRunner().invoke(cli, ["sim", "--fault", "earthquake"])
    assert result.exit_code == 2
    assert "killed" in result.output
