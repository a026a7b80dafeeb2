"""Many seeds on all cores: what was found, how fast, and what went wrong along the way."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pms.sim.faults import LEAST, Fault
from pms.sim.judges.invariants import Violation
from pms.sim.run import Outcome, run
from pms.sim.shrink import shrink
from pms.sim.timeline import tell

CHUNK = 20
ORDERS_LEAST = 20


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed that broke an invariant, with the faults that it takes."""

    seed: int
    violation: Violation
    plan: tuple[Fault, ...]
    storms: bool | None = None
    #: the weather that was asked for; None is the seed's own


@dataclass(slots=True)
class Tally:
    """What many seeds came to."""

    seeds: int = 0
    orders: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    invariants: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    thin: int = 0
    """Seeds with fewer orders or faults than each is to have."""
    virtual_s: float = 0.0
    wall_s: float = 0.0

    def add(self, other: Tally) -> None:
        """Count another's seeds in."""
        self.seeds += other.seeds
        self.orders += other.orders
        self.faults += other.faults
        self.invariants += other.invariants
        self.failures += other.failures
        self.thin += other.thin
        self.virtual_s += other.virtual_s

    def table(self) -> dict[str, Any]:
        """The closing table."""
        return {
            "seeds": self.seeds,
            "violations": len(self.failures),
            "seeds_per_s": round(self.seeds / self.wall_s, 1) if self.wall_s else None,
            "orders": self.orders,
            "thin_seeds": self.thin,
            "virtual_hours": round(self.virtual_s / 3600, 2),
            "faults": dict(sorted(self.faults.items())),
            "invariants": dict(sorted(self.invariants.items())),
            "failing_seeds": [
                {"seed": each.seed, "invariant": each.violation.invariant, "detail": each.violation.detail}
                for each in self.failures
            ],
        }


def run_all(
    first: int,
    count: int,
    *,
    only: str | None,
    jobs: int,
    told: Callable[[Tally], None],
    storms: bool | None = None,
) -> Tally:
    """Run seeds from `first` on, in `jobs` processes; `told` hears how it goes after each chunk."""
    total, began = Tally(), time.monotonic()
    chunks = _chunks(first, count)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_left_to_the_parent)
    try:
        running = {
            pool.submit(run_chunk, each, only, storms)
            for _, each in zip(range(2 * jobs), chunks, strict=False)
        }
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                total.add(future.result())
                following = next(chunks, None)
                if following is not None:
                    running.add(pool.submit(run_chunk, following, only, storms))
            total.wall_s = time.monotonic() - began
            told(total)
    finally:
        # Ended half-way, what runs is waited for: a pool that is left alone leaves its semaphores behind.
        pool.shutdown(cancel_futures=True)
    total.failures.sort(key=lambda each: each.seed)
    return total


def _left_to_the_parent() -> None:
    """Ctrl-C reaches the whole group; the parent ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _chunks(first: int, count: int) -> Iterator[range]:
    for start in range(first, first + count, CHUNK):
        yield range(start, min(start + CHUNK, first + count))


def run_chunk(seeds: range, only: str | None, storms: bool | None = None) -> Tally:
    """Run a few seeds in this process.

    A world is one heap of cycles, collected when it is over; what was there before is frozen, or each
    collection would walk through every module and class anew, which took a tenth of the time.
    """
    tally = Tally()
    gc.disable()
    gc.freeze()
    try:
        for seed in seeds:
            _count(tally, run(seed, only=only, storms=storms), storms)
            gc.collect()
    finally:
        gc.unfreeze()
        gc.enable()
    return tally


def _count(tally: Tally, outcome: Outcome, storms: bool | None) -> None:
    tally.seeds += 1
    tally.orders += outcome.orders
    tally.faults += outcome.faults
    tally.invariants += outcome.checked
    tally.virtual_s += outcome.virtual_s
    tally.thin += outcome.orders < ORDERS_LEAST or outcome.faults.total() < LEAST
    if outcome.violation is not None:
        tally.failures.append(Failure(outcome.seed, outcome.violation, tuple(outcome.plan), storms))


def explain(failure: Failure) -> tuple[list[Fault], list[str]]:
    """The fewest faults that break it, and what happens then, line by line."""
    plan = shrink(failure.seed, failure.plan, failure.violation.invariant, storms=failure.storms)
    outcome, lines = tell(failure.seed, plan, failure.violation, storms=failure.storms)
    if outcome.violation is not None:
        lines.append(f"{outcome.violation.invariant}: {outcome.violation.detail}")
    return plan, lines


def save(directory: Path, failure: Failure, plan: list[Fault], lines: list[str]) -> Path:
    """Keep a failing seed: its faults as JSON, its timeline as text."""
    directory.mkdir(parents=True, exist_ok=True)
    kept = {
        "seed": failure.seed,
        "invariant": failure.violation.invariant,
        "detail": failure.violation.detail,
        "faults": [asdict(fault) for fault in plan],
    }
    (directory / f"{failure.seed}.json").write_text(json.dumps(kept, indent=1) + "\n")
    path = directory / f"{failure.seed}.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def cores() -> int:
    """How many processes may run at once."""
    return max(1, len(os.sched_getaffinity(0)))
