"""No background task of a streamer fails by a fault of its own: only what it talks to may fail it.

Such a task is told as an incident and forgotten, and what it should have done is made up for a moment
later by somebody else. So without this a fault in it, or in what stands for Redis here, shows nowhere else.
"""

from __future__ import annotations

import re

from pms.sim.judges.invariants import Invariants

OWN_FAULT = "no task fails by itself"
FAULTS = re.compile(
    r"\b(Assertion|Attribute|Index|Key|Name|NotImplemented|Type|UnboundLocal|ZeroDivision)Error\b"
)


def check(invariants: Invariants) -> None:
    """Look through all incidents of failed tasks."""
    for row in invariants.journal.tables["incidents"].values():
        if row.kind != "task_failed":
            continue
        invariants.checked[OWN_FAULT] += 1
        if FAULTS.search(row.detail):
            invariants.fail(OWN_FAULT, row.detail)
