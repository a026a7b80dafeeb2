"""Orders at market that only reduce and are not taken: smaller where that helps, and an operator is told.

How large the next of a slot may be is kept in the algo's memory, so that no life begins with the whole again.
It grows back while orders trade, as the house's own does (`unwind_pace`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pms.contract.money import plain
from pms.domain.algos.algo import Algo, Slot
from pms.domain.algos.children import Turn
from pms.domain.algos.machine import Plan, Want
from pms.domain.checks import touch
from pms.domain.desk import Desk
from pms.domain.incidents import note_incident, note_settled
from pms.domain.instrument import Instrument
from pms.domain.least_order import least_quantity
from pms.domain.orders import Order
from pms.domain.positions import Place
from pms.domain.unwind_pace import (
    GROWS_AFTER_MS,
    SMALLER_HELPS,
    TOLD_FROM,
    exchange_code,
)
from pms.domain.weighing import mark_of

REFUSED = "stop_refused"
"""The incident that tells of a position that an algo cannot close."""

MOST = "orderMost"
"""Under which name an algo remembers how large a slot's next order may be."""


def closes(thing: Order | Want) -> bool:
    """Whether it closes at market."""
    reduces = thing.reduce_only if isinstance(thing, Want) else thing.spec.reduce_only
    return thing.price is None and reduces


def most_of(algo: Algo, slot: Slot) -> Decimal | None:
    """The largest order that the exchange may be asked for in a slot; None while it refused none."""
    bound = _bounds(algo).get(str(slot.number))
    return None if bound is None else Decimal(bound["quantity"])


def least_of(turn: Turn, slot: Slot, instrument: Instrument) -> Decimal:
    """The least order at market of now: by our touch, and by the mark that the exchange goes by."""
    top, mark = turn.desk.tops.get(slot.symbol), mark_of(turn.desk, slot.symbol, now=turn.asked.now)
    prices = [price for price in (touch(top, slot.side) if top else None, mark) if price is not None]
    return least_quantity(instrument, min(prices, default=None), market=True)


def halve(turn: Turn, slot: Slot, order: Order) -> None:
    """Let the next order be for half of one that was refused, where a smaller one may be taken."""
    instrument = turn.desk.instruments.get(slot.symbol)
    if exchange_code(order) not in SMALLER_HELPS or instrument is None:
        return
    half = instrument.floor_quantity(order.quantity / 2, market=True)
    bound = {"quantity": max(half, least_of(turn, slot, instrument)), "at": turn.asked.now}
    turn.algo.memory[MOST] = {**_bounds(turn.algo), str(slot.number): bound}


def grow(turn: Turn, slot: Slot) -> None:
    """An order was taken: the next may be twice as large, once the last refusal is a while ago."""
    bounds, now = _bounds(turn.algo), turn.asked.now
    bound = bounds.get(str(slot.number))
    if bound is None or 0 <= now - int(bound["at"]) < GROWS_AFTER_MS:
        return
    doubled = Decimal(bound["quantity"]) * 2
    kept = {number: each for number, each in bounds.items() if number != str(slot.number)}
    if doubled < slot.remaining:
        kept[str(slot.number)] = {"quantity": doubled, "at": now}
    turn.algo.memory[MOST] = kept


def tell_refused(turn: Turn, slot: Slot, place: Place) -> None:
    """Tell an operator, once it is more than one refusal in a row.

    What is too little for an order is left, and told by its machine. That goes by all that is left of the
    position: a refusal that says so may be of a small part of it.
    Trap: what changes with each try must not be told, or each try is an entry more.
    """
    if slot.tries < TOLD_FROM or _too_little(turn.desk, slot, place):
        return
    algo, left = turn.algo, plain(slot.remaining)
    told = f"{algo.kind} {algo.id} of {algo.account} cannot close {left} {slot.symbol}"
    note_incident(
        turn.draft,
        kind=REFUSED,
        severity="critical",
        detail=f"{told}: {slot.note or 'its orders end without a trade'}",
        subject=_subject(algo, slot),
        evidence={"algoId": algo.id, "slot": slot.number, "left": left, "reason": slot.note},
    )


def _too_little(desk: Desk, slot: Slot, place: Place) -> bool:
    """Whether all that a slot has to close is worth less than the least order."""
    instrument, top = desk.instruments.get(slot.symbol), desk.tops.get(slot.symbol)
    if instrument is None or top is None:
        return False
    held = desk.quantity(place) if slot.side == "SELL" else -desk.quantity(place)
    return min(slot.remaining, held) * touch(top, slot.side) < instrument.min_notional


def settle_refused(turn: Turn, plan: Plan) -> None:
    """Resolve what was told of slots that are refused no more, and of those that are not tried any more."""
    algo = turn.algo
    for row in turn.draft.open_incidents.of_kind(REFUSED):
        algo_id, _, number = (row.subject or "").partition("/")
        if algo_id != algo.id or not number.isdecimal():
            continue
        how = _over(algo, plan, algo.slots[int(number)])
        if how is not None:
            note_settled(turn.draft, kind=REFUSED, subject=row.subject or "", how=how)


def _over(algo: Algo, plan: Plan, slot: Slot) -> str | None:
    """Why a slot is refused no more; None while it is."""
    if algo.status.over:
        return "the algo is over"
    if slot.tries < TOLD_FROM:
        return "an order of it was taken, or it is tried anew"
    tried = {*algo.busy, *plan.wants, *plan.kept}
    return None if slot.number in tried else "it is not tried any more"


def _bounds(algo: Algo) -> dict[str, Any]:
    return dict(algo.memory.get(MOST, {}))


def _subject(algo: Algo, slot: Slot) -> str:
    return f"{algo.id}/{slot.number}"
