"""What traders want of algos in one seed: drawn before anything runs, of every kind there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from pms.contract.names import Queue
from pms.sim.faults import Fault
from pms.sim.machines.exchange import SYMBOLS
from pms.sim.traffic import storm, workload
from pms.sim.traffic.algo_kinds import KINDS
from pms.sim.traffic.algo_scene import GUARDED, OPENS, Errand

BEGIN_MS, LENGTH_MS, MOST_LIFE_MS = 500, 2000, 2500
LOTS = (10, 40, 100, 400)
GUARDED_LOTS = (40, 100, 400, 400)
"""More than the book has: a stop that fires needs several orders."""

OWN_SHARE = 0.5
TIMED_SHARE = 0.3
"""So many faults of the workers who send orders befall those of the schedule instead."""


def works(seed: int) -> bool:
    """Whether algos run in a seed: a third of them that is calm, and every other storm."""
    return seed % 3 == 2 or (storm.stormy(seed) and seed % 2 == 0)


def draw(seed: int, *, exposed: Sequence[str] = ()) -> list[Errand]:
    """The algos of a seed, by time; `exposed` accounts have their share."""
    rng = Random(f"{seed}:errands")
    errands = [_one(rng, f"{seed}:errand:{number}", exposed) for number in range(rng.randrange(2, 5))]
    return sorted(errands, key=lambda errand: errand.start_ms)


def retarget(seed: int, plan: Sequence[Fault]) -> list[Fault]:
    """Let some of the faults befall the workers and the queue by which slices are sent."""
    rng = Random(f"{seed}:timed")
    words = {"orders": "schedule", Queue.COMMANDS: Queue.SCHEDULE}
    return [
        replace(fault, target=words[fault.target])
        if fault.target in words and rng.random() < TIMED_SHARE
        else fault
        for fault in plan
    ]


def _one(rng: Random, key: str, exposed: Sequence[str]) -> Errand:
    name = rng.choices(list(KINDS), [kind.weight for kind in KINDS.values()])[0]
    kind, symbol = KINDS[name], rng.choice(SYMBOLS)
    accounts = (*workload.ACCOUNTS, *exposed, *exposed)
    if rng.random() < OWN_SHARE:
        accounts = kind.own or accounts
    account, side = rng.choice(accounts), rng.choice(("BUY", "SELL"))
    start = BEGIN_MS + rng.randrange(LENGTH_MS)
    return Errand(
        start_ms=start,
        end_ms=start + rng.randrange(MOST_LIFE_MS),
        kind=name,
        account=account,
        symbol=symbol,
        side=OPENS[symbol] if account in GUARDED else side,  # type: ignore[arg-type]
        lots=rng.choice(GUARDED_LOTS if account in GUARDED else LOTS) * rng.randrange(2, 9),
        amend=rng.random() < 0.3,
        pause=rng.random() < 0.25,
        again=kind.guards and rng.random() < 0.6,
        leave=rng.choice(kind.leaves),
        door="task" if rng.random() < 0.15 else "record",
        key=key,
    )
