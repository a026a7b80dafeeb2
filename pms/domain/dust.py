"""Dust: what is left of a position that the exchange takes no ordinary order for.

A close is of all that is left, and the virtual position is judged, not the size of the order. The exchange
sees an order of the one netted account, and has filters of its own:

    off the step, or below       no order can trade it, so a close is of all that is on the step, and one
    the least quantity           of dust alone is refused with DUST
    below the least notional     the exchange takes it only as reduceOnly of its own. That acts on the net of
                                 all accounts: it is said only here, and only where the net is reduced by all
                                 of it; else the order is refused with MIN_NOTIONAL, for the exchange would
    below it by the mark alone   what the exchange goes by at market, as far as we have heard: it is said to
                                 reduce where it does, else the exchange is the judge, for the mark moves on

Dust is shown like any position, for it is one: it has margin, funding and profit. `pms reassign` hands it to
the house, where it meets the dust of others, and the house's net has no least quantity of its own to keep.

Trap: the net can turn before the order arrives. Then the exchange refuses it, and nothing has happened.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.codes import Code, Refusal
from pms.contract.commands import Trade
from pms.contract.money import plain
from pms.domain.checks import touch
from pms.domain.desk import Desk
from pms.domain.instrument import Instrument
from pms.domain.treasury import signed
from pms.domain.weighing import mark_of


def closable(instrument: Instrument, quantity: Decimal) -> Decimal:
    """How much of what is left a market order can close; raises DUST where that is nothing."""
    most = instrument.floor_quantity(quantity, market=True)
    if not most:
        least = max(instrument.market_min_quantity, instrument.market_step)
        raise Refusal(
            Code.DUST,
            f"the exchange takes no order for {plain(quantity)}; `pms reassign` hands it to the house",
            field="positionId",
            limit=plain(least),
            actual=plain(quantity),
        )
    return most


def exempt_by_exchange(
    desk: Desk, instrument: Instrument, trade: Trade, *, quantity: Decimal, price: Decimal | None, now: int
) -> bool:
    """Whether an order must say reduceOnly to the exchange to be taken; raises where it cannot."""
    at = price or touch(desk.tops[trade.symbol], trade.side)
    mark = mark_of(desk, trade.symbol, now=now) if price is None else None
    notional, least = quantity * at, instrument.min_notional
    if not trade.reduce_only or (notional >= least and (mark is None or quantity * mark >= least)):
        return False
    change = signed(trade.side, quantity)
    net = desk.treasury.net.get(trade.symbol, Decimal(0))
    if net * change < 0 and abs(net) >= quantity:
        return True
    if notional >= least:
        return False
    raise Refusal(
        Code.MIN_NOTIONAL,
        f"the exchange takes less than {plain(least)} only where its own net is reduced, "
        f"which is {plain(net)}; `pms reassign` hands the position to the house",
        field="quantity",
        limit=plain(least),
        actual=plain(notional),
    )
