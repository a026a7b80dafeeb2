"""Unwinding a basket: what its legs filled is closed again, by reduce-only orders at market, to the lot.

A leg's unwinding slot has for its target what the leg filled, and no more is ever sent in it. A leg's order
that still may trade is cancelled meanwhile, and what it trades is unwound with the next question. Only what
the position still holds on that side is closed: what a leg itself closed is not opened again, and what
others closed since is gone. Such a rest is told and left.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from pms.contract.money import plain
from pms.domain.algos.algo import ZERO, SlotState
from pms.domain.algos.exits import too_small
from pms.domain.algos.legs import Leg, leg_at
from pms.domain.algos.machine import Plan, View, Want
from pms.domain.checks import touch
from pms.domain.positions import Place


def unwind(legs: Iterable[Leg], view: View, plan: Plan) -> str | None:
    """Want what unwinds each leg; says what it came to when nothing is left to do or to wait for."""
    free: dict[tuple[Place, str], Decimal] = {}
    waiting, kept = False, []
    for leg in legs:
        undo, filled = leg.undo, leg.filled
        if undo.target != filled:
            undo.target = filled
            if undo.state is SlotState.DONE and undo.remaining:
                undo.state = SlotState.WAITING
            plan.wrote.add(undo.number)
        order = undo.number in leg.algo.busy
        waiting |= order or bool(leg.busy)
        if order or not undo.remaining:
            continue
        instrument, top = view.instruments.get(undo.symbol), view.tops.get(undo.symbol)
        if undo.state is SlotState.SKIPPED or instrument is None:
            kept.append(f"{plain(undo.remaining)} of {leg.name} ({undo.note})")
            continue
        key = leg.place, undo.side
        if key not in free:
            free[key] = _reducible(leg, view)
        quantity = min(undo.remaining, free[key])
        price = None if top is None else touch(top, undo.side)
        if too_small(undo, view, quantity, price=price):
            why = "too little for an order" if quantity else "the position does not hold it"
            kept.append(f"{plain(undo.remaining)} of {leg.name} ({why})")
            continue
        waiting = True
        free[key] -= quantity
        plan.wants[undo.number] = Want(
            quantity=quantity,
            price=None,
            reduce_only=True,
            position_side=leg.terms.position_side,
            follows=True,
        )
    if waiting:
        return None
    return f"unwound but {', '.join(kept)}" if kept else "unwound"


def _reducible(leg: Leg, view: View) -> Decimal:
    """What of the leg's position may be closed beside what is being closed of it."""
    position = view.positions.get(leg.place)
    held = ZERO if position is None else position.quantity
    under_way = ZERO
    for number, left in view.leaves.items():
        other = leg_at(leg.algo, number)
        if (other.place, leg.algo.slots[number].side) == (leg.place, leg.undo.side):
            under_way += left
    return max((held if leg.undo.side == "SELL" else -held) - under_way, ZERO)
