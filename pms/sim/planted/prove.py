"""The proof that the simulator can fail: each planted bug is found, and how soon."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count, islice
from typing import Any

from pms.sim.campaign import cores
from pms.sim.planted import algos, answers, corrections, hands, limits, orders, storms
from pms.sim.planted.planting import MUTANTS
from pms.sim.run import run

MOST_SEEDS = 2000
ENTERED = (orders, answers, storms, algos, hands, corrections, limits)
"""Where bugs are entered: by being imported."""


@dataclass(frozen=True, slots=True)
class Proof:
    """After how many seeds a bug was found, and by which invariant; `seed` None if it was not."""

    mutant: str
    what: str
    seeds: int
    seed: int | None
    invariant: str | None

    def line(self) -> str:
        """One line for a person."""
        found = (
            f"found after {self.seeds} seeds by “{self.invariant}”" if self.seed is not None else "NOT FOUND"
        )
        return f"{self.mutant:26} {found:60} {self.what}"

    def row(self) -> dict[str, Any]:
        """The same for a machine."""
        return asdict(self)


def find(name: str, *, first: int = 0, most: int = MOST_SEEDS) -> Proof:
    """Plant one bug and run seeds until it is found."""
    mutant = next(each for each in MUTANTS if each.name == name)
    with mutant.planted():
        seeds = (seed for seed in count(first) if mutant.where(seed))
        for tried, seed in enumerate(islice(seeds, most), start=1):
            violation = run(seed, storms=mutant.storms or None, only=mutant.only).violation
            if violation is not None:
                return Proof(name, mutant.what, tried, seed, violation.invariant)
    return Proof(name, mutant.what, most, None, None)


def prove(*, most: int = MOST_SEEDS) -> Iterator[Proof]:
    """Find every planted bug, several at once."""
    with ProcessPoolExecutor(cores(), mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(find, mutant.name, most=most) for mutant in MUTANTS]
        for future in futures:
            yield future.result()
