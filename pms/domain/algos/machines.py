"""Every kind of algo."""

from __future__ import annotations

from pms.domain.algos.algo import Algo
from pms.domain.algos.basket import BasketMachine
from pms.domain.algos.bracket import BracketMachine
from pms.domain.algos.chase import ChaseMachine
from pms.domain.algos.machine import Machine, Parted
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
        BasketMachine(),
    )
}
"""By kind, which is also the name of the command without its `pms.`."""

TIMED = frozenset({TwapMachine.kind, BasketMachine.kind})
"""Kinds that may have moments of their own."""


def timed(algo: Algo, slot: int) -> bool:
    """Whether an order has a moment of its own: the schedule's workers send it, behind nobody's commands."""
    machine = MACHINES[algo.kind]
    return machine.timed(algo, slot) if isinstance(machine, Parted) else algo.kind in TIMED


LETTERS = {kind: machine.letter for kind, machine in MACHINES.items()}
