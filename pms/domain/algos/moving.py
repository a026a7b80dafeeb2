"""Moving an algo's resting order to what is wanted: its price at leisure, a size that is too large at once.

    nothing of it is wanted any more     its cancel is wanted: no amendment says so
    it may trade more than it is for     made smaller now, by a turn of those that guard positions; cancelled
                                         where that cannot be, has failed, or would have to wait
    it is to follow                      not more often than it may, behind its back-off, at its turn

More than it is for is more than its slot has left, or than is there to be reduced. Such an order waits for
nothing: neither for the time between two moves, nor for what earlier refusals earned.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.codes import Code, Refusal
from pms.domain.algos.algo import ZERO, Slot
from pms.domain.algos.children import Turn, amend_child, cancel_child
from pms.domain.algos.machine import Want
from pms.domain.algos.sizing import total_of
from pms.domain.algos.viewing import leaves_of
from pms.domain.orders import AmendEnd, Order

MOST_MOVES = 9_000
"""Binance amends one order 10,000 times at most (-5026); the next order begins anew."""


def move(turn: Turn, slot: Slot, order: Order, want: Want) -> None:
    """Amend an order to what is wanted, if it may move already; raises Refusal where it may not be so.

    Trap: while the exchange counts trades that nobody has booked, what is left of a slot is less than it
    seems. The order stays as it is until they are: they are asked for at once.
    """
    if order.spec.reduce_only:
        quantity = min(want.quantity, _reducible(turn, slot, order))
        want = want._replace(quantity=quantity, reduce_only=True)
    left = order.leaves
    if want.price == slot.price and want.quantity == left:
        return
    waits = order.unproven or order.amend is not None or order.trades_missing
    if waits and want.quantity >= left:
        return
    total = total_of(turn, slot, order, want)
    if not total and want.quantity < left:
        cancel_child(turn.draft, slot, order)
    if waits or not total:
        return
    quantity = total - order.filled_qty
    if want.price == slot.price and quantity == left:
        return
    if quantity < left and (want.reduce_only or slot.remaining < left):
        _shrink(turn, slot, order, want, total=total)
    elif turn.asked.closed_because is not None:
        return
    elif order.amends >= MOST_MOVES:
        cancel_child(turn.draft, slot, order)
    else:
        _follow(turn, slot, order, want, total=total)


def keep(turn: Turn, slot: Slot, order: Order) -> None:
    """Leave an order as it is, which nobody can say more of now; a cancel needs no price, though."""
    if order.price is None or order.amend is not None or order.cancel_wanted:
        return
    most = slot.remaining
    if order.spec.reduce_only:
        most = min(most, _reducible(turn, slot, order))
    if order.leaves > most:
        cancel_child(turn.draft, slot, order)


def _reducible(turn: Turn, slot: Slot, order: Order) -> Decimal:
    """What there is to be reduced by an order, beside the other orders of its algo."""
    desk, algo, spec = turn.desk, turn.algo, order.spec
    held = desk.quantity(spec.place) if spec.side == "SELL" else -desk.quantity(spec.place)
    for number in algo.busy - {slot.number}:
        other = desk.orders.get(algo.slots[number].order_id or "")
        if other is not None and (other.spec.place, other.spec.side) == (spec.place, spec.side):
            held -= leaves_of(desk, algo.slots[number])
    return max(held, ZERO)


def _shrink(turn: Turn, slot: Slot, order: Order, want: Want, *, total: Decimal) -> None:
    """Make an order smaller that may trade too much, or have it cancelled."""
    now, turns = turn.asked.now, turn.throttle.of(guards=True)
    failed = order.amend_end is AmendEnd.FAILED
    if not failed and not _too_little(turn, order, want, total) and turns.free(turn.algo.id, now=now):
        try:
            amend_child(turn, slot, order, want, total=total)
        except Refusal:
            pass
        else:
            turns.note(turn.algo.id, now=now)
            return
    cancel_child(turn.draft, slot, order)


def _too_little(turn: Turn, order: Order, want: Want, total: Decimal) -> bool:
    """Whether the exchange refuses such a total: it spares only orders that it knows to reduce (-5029)."""
    price = want.price or order.price
    least = turn.desk.instruments[order.spec.symbol].min_notional
    return price is not None and total * price < least and not order.spec.venue_reduce_only


def _follow(turn: Turn, slot: Slot, order: Order, want: Want, *, total: Decimal) -> None:
    """Move an order, if its time has come and its turn; raises Refusal."""
    now, algo = turn.asked.now, turn.algo
    turns = turn.throttle.of(guards=want.follows and algo.terms.follows_position)
    may_at = max(slot.moved_at + want.every_ms, slot.resume_at)
    if now >= may_at:
        may_at = now + turns.wait_ms(algo.id, now=now)
    if now < may_at:
        turn.wake(may_at)
        return
    try:
        amend_child(turn, slot, order, want, total=total)
    except Refusal as refusal:
        if refusal.code is not Code.NO_CHANGE:
            raise
        slot.price, slot.sent_price = want.price, order.price
        return
    turns.note(algo.id, now=now)
