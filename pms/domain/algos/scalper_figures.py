"""What is told of a scalper beside what is told of every algo: its profit, its legs and their layers."""

from __future__ import annotations

from typing import Literal, cast

from pms.contract.algo_commands import Scalper
from pms.contract.events import ScalperFigures, ScalperLayer, ScalperLeg
from pms.contract.money import booked
from pms.domain.algos.algo import ZERO, Algo
from pms.domain.algos.layers import Layer, Leg, leg_name, legs_of


def figures_of(algo: Algo, *, now: int) -> ScalperFigures:
    """A scalper as it stands."""
    terms = algo.terms
    assert isinstance(terms, Scalper)
    legs, closing = legs_of(algo, layers=terms.layers), algo.memory["closing"] is not None
    told = [_leg(leg, terms, closing=closing, now=now) for leg in legs]
    return ScalperFigures(
        realized_pnl=sum((leg.realized_pnl for leg in told), ZERO),
        held=sum((leg.held for leg in told), ZERO),
        max_exposure=terms.max_exposure,
        closing=closing,
        legs=told,
    )


def _leg(leg: Leg, terms: Scalper, *, closing: bool, now: int) -> ScalperLeg:
    cool_until = leg.memory["coolUntil"]
    cooling = cool_until > now
    enters = terms.legs in {"both", leg_name(leg.side)} and not (closing or cooling or leg.stopped)
    return ScalperLeg(
        side=cast("Literal['LONG', 'SHORT']", leg.side),
        enters=enters,
        held=leg.held,
        anchor=leg.anchor,
        cool_until=cool_until if cooling else None,
        realized_pnl=booked(sum((layer.realized for layer in leg.layers), ZERO)),
        round_trips=leg.memory["trips"],
        won=leg.memory["won"],
        layers=[_layer(layer) for layer in leg.layers],
    )


def _layer(layer: Layer) -> ScalperLayer:
    average = layer.average if layer.held else None
    return ScalperLayer(
        size=layer.size,
        held=layer.held,
        average_price=None if average is None else booked(average),
        entry_price=layer.entry.price,
        exit_price=layer.exit.price,
        stopped=layer.stopped,
    )
