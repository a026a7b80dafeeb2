"""All that a basket would place: what its legs want at once, and the rest of each as it is planned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, Decimal

from pms.contract.algo_commands import Twap
from pms.contract.basket import OneOrder
from pms.contract.codes import Code, Refusal
from pms.domain.algos.algo import Algo, Slot
from pms.domain.algos.legs import RUNNING, Leg, legs_of, machine_of, seen_by
from pms.domain.algos.machine import View, Want
from pms.domain.algos.together import Ahead
from pms.domain.desk import Top
from pms.domain.instrument import Instrument

MOST_ORDERS = 100
"""So many are judged in one step, for as long as which the streamer hears nothing else."""


def foreseen(algo: Algo, view: View, wants: Mapping[int, Want]) -> list[Ahead]:
    """Every order, none larger than one may be; `wants` are those of this moment.

    Trap: a quantity is as large as somebody wrote it, so orders are counted before any is made.
    """
    found: list[Ahead] = []
    for leg in legs_of(algo):
        instrument, top = view.instruments[leg.terms.symbol], view.tops[leg.terms.symbol]
        coming: list[tuple[Slot, Want, Decimal]] = []
        for number, size in enumerate(_sizes(leg, view)):
            slot = algo.slots[leg.first + number]
            want, left = wants.get(slot.number), size
            if want is not None:
                quantity = min(want.quantity, _most(instrument, want))
                found.append(Ahead(slot, want, quantity, now=True, part=leg.number))
                left -= quantity
            coming.append((slot, want or _want(leg, top), left))
        count = len(found) + sum(_count(left, _most(instrument, later)) for _, later, left in coming)
        if count > MOST_ORDERS:
            raise Refusal(
                Code.BAD_FIELD,
                f"all legs together plan more than {MOST_ORDERS} orders",
                field="legs",
                limit=MOST_ORDERS,
                actual=count,
            )
        for slot, later, left in coming:
            for part in _parts(left, _most(instrument, later)):
                found.append(Ahead(slot, later, part, now=False, part=leg.number))
    return found


def _sizes(leg: Leg, view: View) -> list[Decimal]:
    """What each of its slots is for; of a leg that waits, what it would be if it began now."""
    if leg.state == RUNNING:
        return [slot.target for slot in leg.slots]
    return [slot.target for slot in machine_of(leg.terms).begin(leg.terms, seen_by(leg.terms, view)).slots]


def _most(instrument: Instrument, want: Want) -> Decimal:
    """The largest order; without a bound any."""
    most = instrument.market_max_quantity if want.price is None else instrument.max_quantity
    return most or Decimal("Infinity")


def _count(quantity: Decimal, most: Decimal) -> int:
    """How many orders a quantity takes."""
    return max(int((quantity / most).to_integral_value(ROUND_CEILING)), 1) if quantity > 0 else 0


def _parts(quantity: Decimal, most: Decimal) -> Iterable[Decimal]:
    while quantity > 0:
        yield min(quantity, most)
        quantity -= min(quantity, most)


def _want(leg: Leg, top: Top) -> Want:
    """The order that a leg would send later, as it would be judged by today's prices."""
    terms = leg.terms
    own = top.bid if terms.side == "BUY" else top.ask
    if isinstance(terms, OneOrder):
        price = terms.price
    elif isinstance(terms, Twap):
        price = terms.limit_price if terms.limit_price is not None else own if terms.passive else None
    else:
        price = own
    return Want(
        quantity=leg.target,
        price=price,
        time_in_force=None if price is None else "GTC",
        reduce_only=terms.reduce_only,
        position_side=terms.position_side,
        leverage=terms.leverage,
    )
