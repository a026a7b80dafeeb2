"""Where a scalper's entries should rest, and for how much: prices from the anchor, shares of the exposure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from pms.contract.algo_commands import Scalper
from pms.domain.algos.algo import ZERO
from pms.domain.algos.layers import Layer, Leg
from pms.domain.algos.scalper_terms import WHOLE, offset
from pms.domain.algos.targets import rounded
from pms.domain.desk import Top
from pms.domain.instrument import Instrument
from pms.domain.orders import Order


def keep_anchor(leg: Leg, terms: Scalper, mid: Decimal, *, enters: bool) -> None:
    """Move the leg's anchor as its rule says; a flat leg that may not enter begins anew from mid."""
    before, mode = leg.anchor, terms.anchor_mode
    assert terms.anchor_pct is not None
    if not enters:
        if before is not None and mode != "fixed" and not leg.held:
            leg.memory["anchor"] = None
        return
    if before is not None:
        moved = mid - before
        small = abs(moved) * WHOLE < terms.anchor_pct * before
        nearer = mode == "away" and moved * leg.sign < 0
        if mode == "fixed" or small or nearer:
            return
    leg.memory["anchor"] = mid


def entry_price(leg: Leg, layer: Layer, terms: Scalper, instrument: Instrument) -> Decimal:
    """A layer's distance from the anchor, rounded away from the market."""
    assert leg.anchor is not None
    price = leg.anchor * (WHOLE - leg.sign * offset(terms, layer.number)) / WHOLE
    return rounded(instrument, price, down=leg.sign > 0)


def exit_price(layer: Layer, terms: Scalper, instrument: Instrument, top: Top) -> Decimal:
    """A layer's profit from its average price, rounded to no less of it; the touch where that is better yet.

    Trap: a price far through the market is held against our own orders between, and refused for them.
    """
    assert layer.average is not None
    assert terms.take_profit_pct is not None
    price = layer.average * (WHOLE + layer.sign * terms.take_profit_pct) / WHOLE
    profit = rounded(instrument, price, down=layer.sign < 0)
    if layer.exit.order_id is not None and layer.exit.price == profit:
        return profit
    return max(profit, top.bid) if layer.sign > 0 else min(profit, top.ask)


def may_rest(layer: Layer, price: Decimal, terms: Scalper, top: Top) -> bool:
    """Whether an entry may be at a price: within the band, and on its own side of the market.

    One that rests there already is left to be filled.
    """
    if terms.low_price is not None and price < terms.low_price:
        return False
    if terms.high_price is not None and price > terms.high_price:
        return False
    if layer.entry.order_id is not None and layer.entry.price == price:
        return True
    return price < top.ask if layer.sign > 0 else price > top.bid


def may_trade(order: Order | None) -> Decimal:
    """What an order may still trade; all of it where only a proof that may not hold says it is over."""
    return ZERO if order is None else order.total - order.filled_qty


def shares(
    rungs: Sequence[tuple[Layer, Decimal]],
    legs: Sequence[Leg],
    orders: Mapping[int, Order],
    instrument: Instrument,
    *,
    most: Decimal | None,
) -> dict[int, Decimal]:
    """By entry slot, what each rung should have there now; the nearest layers first.

    `most` bounds what all layers hold and all that their entries may still trade. A rung gets more only out
    of what no order has a claim to: what another is to give up counts until the exchange has said so.
    """
    every = [layer for leg in legs for layer in leg.layers]
    held = sum((layer.held for layer in every), ZERO)
    claims = {layer.entry.number: may_trade(orders.get(layer.entry.number)) for layer in every}
    left = None if most is None else most - held
    free = None if most is None else max(most - held - sum(claims.values(), ZERO), ZERO)
    found: dict[int, Decimal] = {}
    for layer, price in rungs:
        number = layer.entry.number
        claim, wanted = claims[number], layer.entry.remaining
        if left is not None:
            wanted = min(wanted, max(left, ZERO))
        if wanted != claim and _too_little(wanted, price, instrument):
            # Nothing could be placed for it, and no order made as small.
            continue
        if left is not None and free is not None:
            more = min(max(wanted - claim, ZERO), free)
            left, free = left - wanted, free - more
            wanted = min(wanted, claim + more)
        if wanted and (wanted == claim or not _too_little(wanted, price, instrument)):
            found[number] = wanted
    return found


def _too_little(quantity: Decimal, price: Decimal, instrument: Instrument) -> bool:
    on_step = instrument.floor_quantity(quantity, market=False)
    return not on_step or on_step * price < instrument.min_notional
