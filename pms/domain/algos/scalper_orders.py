"""The orders that a scalper should have: entries within its exposure, exits for exactly what is held."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pms.contract.algo_commands import Scalper
from pms.contract.names import BOTH
from pms.domain.algos.algo import ZERO, Algo
from pms.domain.algos.ladder import entry_price, exit_price, keep_anchor, may_rest, may_trade, shares
from pms.domain.algos.layers import Layer, Leg, leg_name
from pms.domain.algos.machine import View, Want
from pms.domain.desk import Top
from pms.domain.instrument import Instrument


@dataclass(frozen=True, slots=True)
class Standing:
    """A scalper and its market, as they stand."""

    algo: Algo
    terms: Scalper
    legs: tuple[Leg, Leg]
    view: View
    instrument: Instrument
    top: Top

    @property
    def hedged(self) -> bool:
        """Whether each leg has a position of its own."""
        return self.view.sides != (BOTH,)

    @property
    def closing(self) -> bool:
        """Whether it is to end, and closes what it holds."""
        return self.algo.memory["closing"] is not None


def resting(algo: Algo, terms: Scalper, legs: tuple[Leg, Leg], view: View) -> frozenset[int]:
    """The slots whose order stays where nobody knows a price: all but entries of a leg that may not enter."""
    gone: set[int] = set()
    for leg, other in (legs, legs[::-1]):
        if not enters(algo, terms, leg, other, view):
            gone |= {layer.entry.number for layer in leg.layers}
    return frozenset(algo.busy - gone)


def enters(algo: Algo, terms: Scalper, leg: Leg, other: Leg, view: View) -> bool:
    """Whether a leg may enter, wherever the market is."""
    return (
        algo.memory["closing"] is None
        and terms.legs in {"both", leg_name(leg.side)}
        and view.now >= leg.memory["coolUntil"]
        and not leg.stopped
        and (view.sides != (BOTH,) or not other.held)
    )


def wanted(standing: Standing) -> dict[int, Want]:
    """By slot, every order that should be."""
    long, short = standing.legs
    wants = {**_entries(standing), **_exits(standing, long, short), **_exits(standing, short, long)}
    _out_of_the_way(standing, wants)
    return wants


def _entries(standing: Standing) -> dict[int, Want]:
    """What should rest to enter, the nearest layers served first."""
    terms, instrument, top = standing.terms, standing.instrument, standing.top
    rungs: list[tuple[Layer, Decimal, str]] = []
    for leg, other in (standing.legs, standing.legs[::-1]):
        may_enter = enters(standing.algo, terms, leg, other, standing.view)
        keep_anchor(leg, terms, top.mid, enters=may_enter)
        if not may_enter:
            continue
        for layer in leg.layers:
            price = entry_price(leg, layer, terms, instrument)
            if may_rest(layer, price, terms, top):
                rungs.append((layer, price, leg.side))
    rungs.sort(key=lambda rung: rung[0].number)
    parts = shares(
        [(layer, price) for layer, price, _ in rungs],
        standing.legs,
        standing.view.orders,
        instrument,
        most=terms.max_exposure,
    )
    return {
        layer.entry.number: Want(
            quantity=parts[layer.entry.number],
            price=price,
            time_in_force="GTX",
            position_side=side if standing.hedged else None,
            leverage=terms.leverage,
            every_ms=terms.reprice_ms,
        )
        for layer, price, side in rungs
        if layer.entry.number in parts
    }


def _exits(standing: Standing, leg: Leg, other: Leg) -> dict[int, Want]:
    """What should rest to give what the layers hold; at market where that is urgent."""
    terms, instrument, view = standing.terms, standing.instrument, standing.view
    reduces = standing.hedged or _reduces(leg, other, view)
    wants = {}
    for layer in leg.layers:
        layer.exit.target = layer.entry.filled
        if not layer.tradable(instrument):
            continue
        order = view.orders.get(layer.exit.number)
        if order is not None and order.spec.reduce_only and not reduces:
            # It cannot be moved any more: its next one is placed without.
            continue
        if order is not None and reduces and not order.spec.reduce_only and _taken(standing, leg):
            # It would open the opposite. Its next one may only reduce, and is refused where nothing is left.
            continue
        urgent = standing.closing or layer.stopped
        small = layer.held * standing.top.mid < instrument.min_notional
        if small and order is None and not urgent and layer.entry.order_id is not None:
            # Its entry may still add to it.
            continue
        wants[layer.exit.number] = Want(
            quantity=layer.held,
            price=None if urgent else exit_price(layer, terms, instrument, standing.top),
            time_in_force=None if urgent else "GTC",
            reduce_only=reduces,
            position_side=leg.side if standing.hedged else None,
            # Where both legs hold it opens, from no position that a leverage could stand from.
            leverage=None if reduces else terms.leverage,
            every_ms=terms.reprice_ms,
            urgent=urgent and reduces,
        )
    return wants


def _taken(standing: Standing, leg: Leg) -> bool:
    """Whether somebody else has closed a part of what a leg of a one-way account holds."""
    view = standing.view
    return view.certain and not standing.hedged and view.held * leg.sign < leg.held


def _reduces(leg: Leg, other: Leg, view: View) -> bool:
    """Whether a one-way account's position covers all that a leg's exits are for.

    It does not where the other leg holds the opposite, or has entries that may come to it. If neither is so
    and it does not, somebody else has taken from it: the exits stay reduceOnly, and are refused.
    """
    position = view.held * leg.sign
    opposing = sum((may_trade(view.orders.get(layer.entry.number)) for layer in other.layers), ZERO)
    if position - opposing >= leg.held:
        return True
    return not (other.held or opposing) or position < leg.held - other.held


def _out_of_the_way(standing: Standing, wants: dict[int, Want]) -> None:
    """Let no own resting order be met by an own order at market: first the one goes, then comes the other."""
    algo, view, top = standing.algo, standing.view, standing.top
    for side, reach in (("SELL", top.bid), ("BUY", top.ask)):
        urgent = [n for n, want in wants.items() if want.price is None and algo.slots[n].side == side]
        if not urgent:
            continue
        met = [
            number
            for number, slot in algo.slots.items()
            if slot.side != side and _meets(side, reach, number, wants, view)
        ]
        for number in met:
            wants.pop(number, None)
        if any(number in view.orders for number in met):
            for number in urgent:
                if number not in view.orders or view.orders[number].price is not None:
                    del wants[number]


def _meets(side: str, reach: Decimal, number: int, wants: dict[int, Want], view: View) -> bool:
    """Whether an order at market of this side would meet what rests in a slot, or should."""
    order, want = view.orders.get(number), wants.get(number)
    prices = [order.price if order else None, want.price if want else None]
    return any(
        price is not None and (price >= reach if side == "SELL" else price <= reach) for price in prices
    )
