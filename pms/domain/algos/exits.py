"""What stops and targets have in common: the price that they go by, and on which side of it they may be.

All go by the touch that their market order would meet: best bid for a long, best ask for a short. Mid would
fire a stop at a price that nobody pays while the spread is wide, and the last trade may be a minute old.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.codes import Code, Refusal
from pms.contract.money import plain
from pms.domain.algos.algo import Slot
from pms.domain.algos.machine import View
from pms.domain.instrument import Instrument, InstrumentError

ZERO = Decimal(0)


def closing_side(held: Decimal) -> str:
    """The side that takes from a position."""
    return "SELL" if held > 0 else "BUY"


def opposite(side: str) -> str:
    return "BUY" if side == "SELL" else "SELL"


def better(side: str, price: Decimal, than: Decimal) -> bool:
    """Whether a price is a better one for an order of this side to get."""
    return price > than if side == "SELL" else price < than


def worst(side: str, *prices: Decimal) -> Decimal:
    """The one that an order of this side would like least."""
    return min(prices) if side == "SELL" else max(prices)


def best(side: str, *prices: Decimal) -> Decimal:
    """The one that an order of this side would like most."""
    return max(prices) if side == "SELL" else min(prices)


def on_tick(instrument: Instrument, price: Decimal, *, field: str) -> Decimal:
    """The price on its tick; raises Refusal that names the field."""
    try:
        return instrument.snap_price(price)
    except InstrumentError as error:
        raise Refusal(
            Code(error.code), str(error), field=field, limit=error.limit, actual=error.actual
        ) from None


def check_beyond(side: str, price: Decimal, reference: Decimal, *, field: str, is_better: bool) -> None:
    """Refuse a trigger that is not beyond its reference, on the better or on the worse side of it."""
    if price != reference and better(side, price, reference) is is_better:
        return
    above = is_better is (side == "SELL")
    raise Refusal(
        Code.TRIGGER_SIDE,
        f"{field} must be {'above' if above else 'below'} {plain(reference)}",
        field=field,
        limit=plain(reference),
        actual=plain(price),
    )


def too_small(slot: Slot, view: View, left: Decimal, *, price: Decimal | None, market: bool = True) -> bool:
    """Whether what is left to close is dust: no order can be for it, or the exchange was found to take none.

    The second depends on the exchange's net, so that it is known only from a refusal.
    """
    instrument = view.instruments[slot.symbol]
    if not instrument.floor_quantity(left, market=market):
        return True
    refused = (slot.note or "").startswith(Code.MIN_NOTIONAL)
    return refused and price is not None and left * price < instrument.min_notional
