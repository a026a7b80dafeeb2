"""Every kind of algo."""

from __future__ import annotations

from pms.domain.algos.bracket import BracketMachine
from pms.domain.algos.chase import ChaseMachine
from pms.domain.algos.machine import Machine
from pms.domain.algos.scalper import ScalperMachine
from pms.domain.algos.trail_stop import TrailStopMachine
from pms.domain.algos.twap import TwapMachine

MACHINES: dict[str, Machine] = {
    machine.kind: machine
    for machine in (
        ChaseMachine(),
        TwapMachine(),
        TrailStopMachine(),
        BracketMachine(),
        ScalperMachine(),
    )
}
"""By kind, which is also the name of the command without its `pms.`."""

TIMED = frozenset({TwapMachine.kind})
"""Kinds whose moments are their own: the workers of the schedule send for them, behind nobody's commands."""

LETTERS = {kind: machine.letter for kind, machine in MACHINES.items()}
