"""How much an order of an algo may be for: what its bounds leave, and what is taken in one order."""

from __future__ import annotations

from decimal import Decimal

from pms.domain.algos.algo import ZERO, Slot
from pms.domain.algos.children import Turn
from pms.domain.algos.machine import Parted, Want
from pms.domain.algos.refused import closes, least_of, most_of
from pms.domain.algos.viewing import leaves_of
from pms.domain.orders import Order


def room_of(turn: Turn, slot: Slot) -> Decimal:
    """What may still be placed in a slot: by its own target, its part's, and the algo's over all slots."""
    desk, algo = turn.desk, turn.algo
    live = leaves_of(desk, slot)
    room = slot.target - slot.filled - live
    if algo.target and algo.counts(slot):
        counted = (algo.slots[number] for number in algo.busy if algo.counts(algo.slots[number]))
        others = sum((leaves_of(desk, each) for each in counted), ZERO)
        room = min(room, algo.target - algo.filled - others)
    if isinstance(turn.machine, Parted):
        numbers, most = turn.machine.part_of(algo, slot)
        part = [algo.slots[number] for number in numbers]
        room = min(room, most - sum((each.filled + leaves_of(desk, each) for each in part), ZERO))
    return max(room, ZERO)


def quantity_of(turn: Turn, slot: Slot, want: Want, *, room: Decimal) -> Decimal:
    """The most that a new order may be for, rounded down; zero where that is too little to be placed.

    What the exchange is asked for after a refusal goes no lower than the least of now: none is taken below.
    """
    instrument = turn.desk.instruments.get(slot.symbol)
    if instrument is None:
        return ZERO
    market = want.price is None
    most = instrument.market_max_quantity if market else instrument.max_quantity
    quantity = min(want.quantity, room)
    taken = most_of(turn.algo, slot) if closes(want) else None
    if taken is not None:
        quantity = min(quantity, max(taken, least_of(turn, slot, instrument)))
    return instrument.floor_quantity(min(quantity, most) if most else quantity, market=market)


def total_of(turn: Turn, slot: Slot, order: Order, want: Want) -> Decimal:
    """The total that a resting order may be moved to; zero where nothing would be left to trade.

    Trap: the symbol's largest and least are of the total, which counts what is filled already.
    """
    instrument = turn.desk.instruments.get(slot.symbol)
    if instrument is None:
        return ZERO
    total = order.total_for(min(want.quantity, room_of(turn, slot) + order.leaves))
    most = instrument.max_quantity
    total = instrument.floor_quantity(min(total, most) if most else total, market=False)
    return total if total > order.total_for(ZERO) else ZERO
