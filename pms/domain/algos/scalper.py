"""Scalper: two legs of layers around mid, each entered, closed at its profit and entered again.

    an entry rests       post-only, at its distance from the leg's anchor, for what its layer has room for
    a layer holds        its exit rests at the profit from the layer's average, for exactly what it holds
    it holds no more     the round is over: its result is counted, and the layer may enter again
    it lost too much     closed at market, and its leg does not enter until it has cooled down
    it is to end         no entries, and what is held is closed at market; or kept, as its terms say

Where its symbol has no price, what rests stays, but for entries of a leg that is not to enter any more.

Hedged accounts hold the long leg as LONG and the short one as SHORT. In a one-way account both legs move one
position: while one leg holds, the other does not enter. Should both hold all the same, because the second
was filled before its cancel arrived, then an exit may be for more than the position shows, which is the
difference of both: it is placed without reduceOnly, and the layer's own bound keeps it from giving too much.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.algo_commands import AmendScalper, Scalper
from pms.contract.commands import Command
from pms.contract.events import ScalperFigures
from pms.contract.money import plain
from pms.contract.names import BOTH
from pms.domain.algos.algo import ZERO, Algo, Slot, Status
from pms.domain.algos.layers import (
    SIDES,
    Layer,
    Leg,
    first_memory,
    first_round,
    leg_name,
    legs_of,
    slot_number,
)
from pms.domain.algos.machine import Beginning, Plan, View
from pms.domain.algos.scalper_figures import figures_of
from pms.domain.algos.scalper_orders import Standing, resting, wanted
from pms.domain.algos.scalper_terms import (
    WHOLE,
    amended,
    check_sides,
    check_terms,
    settled,
    sizes,
)
from pms.domain.desk import Top
from pms.domain.instrument import Instrument


class ScalperMachine:
    """Decides for scalpers."""

    kind = "scalper"
    origin = "SCALPER"
    letter = "S"

    def begin(self, terms: Scalper, view: View) -> Beginning:
        """An entry and an exit for each layer of both legs, of which one may be paused."""
        instrument, top = view.instruments[terms.symbol], view.tops[terms.symbol]
        terms = settled(terms)
        check_terms(terms, instrument, mid=top.mid)
        check_sides(terms, view.held, view.sides)
        slots = []
        for side in SIDES:
            for layer, size in enumerate(sizes(terms, instrument, mid=top.mid)):
                number = slot_number(side, layer, layers=terms.layers, exits=False)
                enters, exits = ("BUY", "SELL") if side == SIDES[0] else ("SELL", "BUY")
                slots.append(Slot(number, terms.symbol, enters, target=size))
                slots.append(Slot(number + 1, terms.symbol, exits, target=ZERO))
        memory = {
            **{leg_name(side): first_memory() for side in SIDES},
            "rounds": {str(slot.number): first_round() for slot in slots[::2]},
            "closing": None,
        }
        return Beginning(terms.symbol, "", ZERO, top.mid, slots, memory, terms)

    def plan(self, algo: Algo, view: View) -> Plan:
        """Every entry and every exit that should be."""
        before = {number: slot.mark() for number, slot in algo.slots.items()}
        plan = self._plan(algo, view)
        plan.wrote = {number for number, slot in algo.slots.items() if slot.mark() != before[number]}
        return plan

    def _plan(self, algo: Algo, view: View) -> Plan:
        terms, now = algo.terms, view.now
        assert isinstance(terms, Scalper)
        instrument, top = view.instruments.get(algo.symbol), view.tops.get(algo.symbol)
        ends_at = None if terms.duration is None else algo.started_at + 1_000 * terms.duration
        if ends_at is not None and now >= ends_at and algo.memory["closing"] is None:
            algo.memory["closing"] = {"status": Status.FINISHED.value, "reason": "its time is over"}
        legs, plan = legs_of(algo, layers=terms.layers), Plan()
        if instrument is None or top is None:
            plan.kept = resting(algo, terms, legs, view)
        else:
            for leg, there in zip(legs, _there(algo, legs, view), strict=True):
                _turn(leg, terms, instrument, top, there=there, now=now)
            _hurry(algo, legs)
            if algo.memory["closing"] is not None and (over := _over(algo, legs, view, instrument, top)):
                return Plan(end=over)
            plan.wants = wanted(Standing(algo, terms, legs, view, instrument, top))
        times = [ends_at, *(leg.memory["coolUntil"] for leg in legs)]
        plan.wake_at = min((at for at in times if at is not None and at > now), default=None)
        return plan

    def amend(self, algo: Algo, command: Command, view: View) -> None:
        """Other distances, bounds or legs; what a layer is for stays."""
        assert isinstance(command, AmendScalper)
        assert isinstance(algo.terms, Scalper)
        terms, top = amended(algo.terms, command), view.tops.get(algo.symbol)
        mid = top.mid if top else algo.arrival
        check_terms(terms, view.instruments[algo.symbol], mid=mid)
        if command.legs is not None:
            long, short = legs_of(algo, layers=terms.layers)
            check_sides(terms, view.held - long.held + short.held, view.sides)
        algo.terms = terms

    def adds(self, algo: Algo, slot: Slot) -> bool:
        """An entry, while any layer holds something or may come to."""
        assert isinstance(algo.terms, Scalper)
        layers = [layer for leg in legs_of(algo, layers=algo.terms.layers) for layer in leg.layers]
        return slot.number in {layer.entry.number for layer in layers} and any(
            layer.held or layer.entry.order_id is not None for layer in layers
        )

    def look(self, algo: Algo, view: View) -> None:
        """Its layers know by themselves what they hold."""

    def wind_down(self, algo: Algo, reason: str) -> bool:
        """Close what is held before it ends; asked a second time, or if its terms say so, keep it."""
        assert isinstance(algo.terms, Scalper)
        if algo.terms.on_end == "keep" or algo.memory["closing"] is not None:
            return False
        algo.memory["closing"] = {"status": Status.CANCELLED.value, "reason": reason}
        algo.status, algo.reason = Status.RUNNING, f"{reason}: it closes what it holds"
        return True

    def figures(self, algo: Algo, *, now: int) -> ScalperFigures:
        """Its profit and its layers."""
        return figures_of(algo, now=now)


def _hurry(algo: Algo, legs: tuple[Leg, Leg]) -> None:
    """What it holds is to be closed now: once, for what its orders at market earn counts again."""
    closing = algo.memory["closing"]
    if closing is None or "begun" in closing:
        return
    closing["begun"] = True
    for leg in legs:
        for layer in leg.layers:
            layer.hurry()


def _there(algo: Algo, legs: tuple[Leg, Leg], view: View) -> tuple[Decimal, Decimal]:
    """How much of what the legs hold is there: others may have taken from their positions, or added to them.

    In a one-way account one leg's is what the position would be without the other.
    """
    long, short = legs
    if view.sides == (BOTH,):
        return max(view.held + short.held, ZERO), max(long.held - view.held, ZERO)
    found = (view.positions.get((algo.account, algo.symbol, leg.side)) for leg in legs)
    bought, sold = (ZERO if position is None else abs(position.quantity) for position in found)
    return bought, sold


def _turn(leg: Leg, terms: Scalper, instrument: Instrument, top: Top, *, there: Decimal, now: int) -> None:
    """Stop layers that lost too much, and end rounds that are over."""
    for layer in leg.layers:
        if terms.stop_loss_pct is not None and layer.may_stop(instrument) and layer.average:
            lost = layer.average - top.bid if leg.sign > 0 else top.ask - layer.average
            if lost * WHOLE >= terms.stop_loss_pct * layer.average:
                layer.round["stopped"] = True
                layer.hurry()
        if not layer.over(instrument, top, there=there):
            continue
        lost_it = layer.realized_now < 0
        leg.memory["trips"] += 1
        leg.memory["won"] += not lost_it
        if lost_it or layer.stopped:
            leg.memory["coolUntil"] = now + 1_000 * terms.cool_down
        layer.begin_round(size=layer.size)


def _over(
    algo: Algo, legs: tuple[Leg, Leg], view: View, instrument: Instrument, top: Top
) -> tuple[Status, str] | None:
    """What a closing scalper comes to, if nothing is left to be closed or to be heard of."""
    assert isinstance(algo.terms, Scalper)
    closing, theres = algo.memory["closing"], _there(algo, legs, view)
    if algo.terms.on_end == "flatten":
        layers = [(layer, there) for leg, there in zip(legs, theres, strict=True) for layer in leg.layers]
        if algo.busy or not all(_given_up(layer, instrument, top, there=there) for layer, there in layers):
            return None
    told = ""
    for leg, other, there in zip(legs, legs[::-1], theres, strict=True):
        # One position shows both legs' difference.
        kept = min(leg.held, there) - (other.held if view.sides == (BOTH,) else ZERO)
        told += f", {plain(kept)} {leg.side} kept" if kept > 0 else ""
    return Status(closing["status"]), f"{closing['reason']}{told}"


def _given_up(layer: Layer, instrument: Instrument, top: Top, *, there: Decimal) -> bool:
    """Nothing is held that an order at market could be for, or none that the exchange takes."""
    if not instrument.floor_quantity(min(layer.held, there), market=True):
        return True
    return layer.given_up(instrument, top, there=there)
