"""Bugs in limits that an operator sets while people trade; worlds in which somebody does find them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from pms.contract.journal import Rows
from pms.domain import placing
from pms.domain.desk import Desk
from pms.sim.planted.planting import Patch, mutant
from pms.sim.traffic.limiting import draw as limited


@mutant("limits are set, shown, and asked by nobody", where=limited)
def limits_not_asked() -> Sequence[Patch]:
    return [(placing, "check_limits", lambda *_: None)]


@mutant("a restart knows no limits", where=limited, only="killed")
def limits_not_loaded() -> Sequence[Patch]:
    real = Desk.load

    def load(self: Desk, rows: Rows) -> None:
        real(self, replace(rows, limits=()))

    return [(Desk, "load", load)]
