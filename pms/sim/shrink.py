"""Fewer faults that still break the same invariant (delta debugging, Zeller's ddmin)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pms.sim.faults import Fault
from pms.sim.run import run

MOST_RUNS = 200


def shrink(seed: int, plan: Sequence[Fault], invariant: str, *, storms: bool | None = None) -> list[Fault]:
    """The smallest list of a plan's faults, none of which can be left out, that breaks the invariant."""
    runs = 0

    def breaks(faults: Sequence[Fault]) -> bool:
        nonlocal runs
        runs += 1
        if runs > MOST_RUNS:
            return False
        violation = run(seed, plan=faults, storms=storms).violation
        return violation is not None and violation.invariant == invariant

    return minimal(list(plan), breaks)


def minimal(faults: list[Fault], breaks: Callable[[Sequence[Fault]], bool]) -> list[Fault]:
    """Leave out ever smaller parts as long as what is left still breaks."""
    if breaks([]):
        return []
    parts = 2
    while len(faults) >= 2:
        size = max(1, len(faults) // parts)
        for start in range(0, len(faults), size):
            rest = faults[:start] + faults[start + size :]
            if rest and breaks(rest):
                faults, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                return faults
            parts = min(parts * 2, len(faults))
    return faults
