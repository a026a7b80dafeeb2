"""What a basket is told by: each leg's figures, and all of them together in USDT.

Quantities of several symbols cannot be added up, so the whole is worth what it would be at the mid prices
at which the basket began: `filled` of `target`, and the cost beyond that.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.basket import Basket
from pms.contract.events import BasketFigures, LegFigures
from pms.contract.money import booked
from pms.domain.algos.algo import ZERO, Algo, Status
from pms.domain.algos.legs import ENDING, RUNNING, WAITING, Leg, legs_of
from pms.domain.algos.machine import Whole
from pms.domain.algos.telling import BPS, slippage


def whole_of(algo: Algo) -> Whole:
    """All legs together; what was unwound again counts as filled."""
    legs = legs_of(algo)
    filled = sum((leg.filled * leg.mid for leg in legs), ZERO)
    maker = sum((slot.maker_qty * leg.mid for leg in legs for slot in leg.slots), ZERO)
    return Whole(
        target=booked(sum((leg.target * leg.mid for leg in legs), ZERO)),
        filled=booked(filled),
        average_price=None,
        arrival_price=None,
        slippage_bps=booked(_cost(legs) * BPS / filled) if filled else None,
        maker_share=booked(maker / filled) if filled else None,
    )


def figures_of(algo: Algo, *, now: int) -> BasketFigures:
    """The basket leg by leg."""
    terms, legs = algo.terms, legs_of(algo)
    assert isinstance(terms, Basket)
    return BasketFigures(
        mode=terms.mode,
        on_leg_failure=terms.on_leg_failure,
        unwinding=bool(algo.memory["unwinding"]) and not algo.status.over,
        cost=booked(_cost(legs)),
        unwind_result=booked(sum((_unwind_result(leg) for leg in legs), ZERO)),
        legs=[_leg(leg, legs) for leg in legs],
    )


def _cost(legs: list[Leg]) -> Decimal:
    """What was paid more, or got less, than at the arrival prices."""
    cost = ZERO
    for leg in legs:
        worse = _quote(leg) - leg.filled * leg.mid
        cost += worse if leg.terms.side == "BUY" else -worse
    return cost


def _unwind_result(leg: Leg) -> Decimal:
    undo = leg.undo
    if not undo.filled:
        return ZERO
    entered = _quote(leg) / leg.filled * undo.filled if leg.filled else ZERO
    return undo.quote - entered if undo.side == "SELL" else entered - undo.quote


def _quote(leg: Leg) -> Decimal:
    return sum((slot.quote for slot in leg.slots), ZERO)


def _leg(leg: Leg, legs: list[Leg]) -> LegFigures:
    algo, filled, undo = leg.algo, leg.filled, leg.undo
    assert isinstance(algo.terms, Basket)
    slots = [*leg.slots, undo]
    average = booked(_quote(leg) / filled) if filled else None
    maker = sum((slot.maker_qty for slot in leg.slots), ZERO)
    notes = [slot.note for slot in slots if slot.note is not None]
    return LegFigures(
        symbol=leg.terms.symbol,
        side=leg.terms.side,
        algo=algo.terms.legs[leg.number].algo,
        state="stopped" if _stopped(leg) else leg.state,
        reason=leg.memory["reason"],
        next=_next(leg, legs),
        note=notes[-1] if notes else None,
        target=leg.target,
        filled=filled,
        average_price=average,
        arrival_price=leg.mid,
        slippage_bps=slippage(leg.terms.side, leg.mid, average),
        live_orders=sum(slot.order_id is not None for slot in slots),
        reprices=sum(slot.reprices for slot in slots),
        fees=sum((slot.fees for slot in slots), ZERO),
        maker_share=booked(maker / filled) if filled else None,
        unwound=undo.filled,
        unwind_price=booked(undo.quote / undo.filled) if undo.filled else None,
        started_at=leg.memory["since"],
        ended_at=leg.memory["until"] or (algo.ended_at if leg.memory["since"] else None),
    )


def _stopped(leg: Leg) -> bool:
    """It is neither done nor failed, and will not be: the basket is over, ends or unwinds."""
    ends = leg.algo.status is Status.ENDING or leg.algo.status.over
    return not leg.over and (ends or bool(leg.algo.memory["unwinding"]))


def _next(leg: Leg, legs: list[Leg]) -> str | None:
    algo = leg.algo
    if algo.status.over:
        return None
    if algo.status is Status.PAUSED:
        return "waits to be resumed"
    if leg.busy and (_stopped(leg) or leg.state == ENDING):
        return "its order is being cancelled"
    if algo.memory["unwinding"] and algo.status is Status.RUNNING:
        return "is unwound" if leg.undo.filled < leg.filled else None
    if leg.state == WAITING and not _stopped(leg):
        before = next((other for other in legs[: leg.number] if not other.over), None)
        return "waits for a price" if before is None else f"waits for {before.name}"
    return "trades" if leg.state == RUNNING and not _stopped(leg) else None
