"""What a bracket may be: its entry or its position, and its exits each on its side of the market."""

from __future__ import annotations

from decimal import Decimal

from pydantic.alias_generators import to_camel

from pms.contract.algo_commands import Bracket
from pms.contract.codes import Code, Refusal
from pms.contract.money import plain
from pms.domain.algos.exits import check_beyond, closing_side, on_tick, opposite, worst
from pms.domain.algos.machine import View
from pms.domain.algos.targets import check_target
from pms.domain.checks import touch
from pms.domain.dust import closable
from pms.domain.positions import Position

Begun = tuple[Bracket, str, str, Decimal]
"""The terms on their grid, symbol, side and size."""


def enter(terms: Bracket, view: View) -> Begun:
    """A bracket with an entry; raises Refusal."""
    for field in ("symbol", "side", "quantity"):
        if getattr(terms, field) is None:
            raise Refusal(Code.MISSING_FIELD, f"an entry needs a {field}", field=field)
    symbol, side, quantity = terms.symbol, terms.side, terms.quantity
    assert symbol is not None
    assert side is not None
    assert quantity is not None
    instrument, price = view.instruments[symbol], terms.price
    if price is not None:
        price = on_tick(instrument, price, field="price")
    elif terms.time_in_force is not None:
        raise Refusal(
            Code.TIME_IN_FORCE,
            "an entry at market has no timeInForce",
            field="timeInForce",
            actual=terms.time_in_force,
        )
    quantity = check_target(
        instrument,
        quantity,
        price=price or view.tops[symbol].mid,
        reduce_only=False,
        time_in_force=terms.time_in_force,
    )
    terms = terms.model_copy(update={"price": price, "quantity": quantity})
    return check_exits(terms, view, symbol, opposite(side), entering=True), symbol, side, quantity


def protect(terms: Bracket, view: View, position: Position) -> Begun:
    """One without an entry, for a position or a part of it; raises Refusal."""
    for field in ("symbol", "side", "leverage", "price", "time_in_force", "position_side"):
        if getattr(terms, field) is not None:
            raise Refusal(
                Code.UNKNOWN_FIELD,
                "with positionId there is no entry to say this of",
                field=to_camel(field),
                actual=getattr(terms, field),
            )
    symbol, held = position.symbol, abs(position.quantity)
    instrument, side = view.instruments[symbol], closing_side(position.quantity)
    size = held
    if terms.quantity is None:
        closable(instrument, held)
    else:
        size = check_target(instrument, terms.quantity, price=view.tops[symbol].mid, reduce_only=True)
        if size > held:
            raise Refusal(
                Code.REDUCE_ONLY,
                f"the position is {plain(held)}",
                field="quantity",
                limit=plain(held),
                actual=plain(size),
            )
        terms = terms.model_copy(update={"quantity": size})
    return check_exits(terms, view, symbol, side, entering=False), symbol, side, size


def check_exits(terms: Bracket, view: View, symbol: str, side: str, *, entering: bool) -> Bracket:
    """Both exits on a tick and beyond the market, and beyond the entry where that is still to come."""
    if terms.take_profit is None and terms.stop_loss is None:
        raise Refusal(Code.MISSING_FIELD, "name a takeProfit, a stopLoss, or both", field="takeProfit")
    instrument, top = view.instruments[symbol], view.tops[symbol]
    now = touch(top, side)
    profit_from = stop_from = now
    if entering:
        # What is entered at the price of its order must be worth more at the one, and less at the other.
        at = terms.price or touch(top, opposite(side))
        profit_from, stop_from = at, worst(side, at, now)
    profit, stop = terms.take_profit, terms.stop_loss
    if profit is not None:
        profit = on_tick(instrument, profit, field="takeProfit")
        check_beyond(side, profit, profit_from, field="takeProfit", is_better=True)
    if stop is not None:
        stop = on_tick(instrument, stop, field="stopLoss")
        check_beyond(side, stop, stop_from, field="stopLoss", is_better=False)
    return terms.model_copy(update={"take_profit": profit, "stop_loss": stop})
