"""A basket as a whole: what is told of it must follow from what the venue says that its legs traded."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from benchmarks.execution_basket import Basket
from benchmarks.execution_outcome import Outcome
from pms.contract.money import booked

BPS, ZERO = Decimal(10_000), Decimal(0)


def legs_of(basket: Basket, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """What became of a basket's legs, in their order."""
    found = {each.lane.book: each for each in outcomes}
    return [found[leg.book] for leg in basket.legs]


def disagreements(basket: Basket, outcomes: Sequence[Outcome]) -> list[str]:
    """Where it does not follow, to the last digit; each quantity is worth what it was at the start."""
    filled = maker = cost = fees = ZERO
    for each in legs_of(basket, outcomes):
        began, buys = Decimal(each.shown["arrivalPrice"]), each.lane.side == "BUY"
        for trade in each.trades:
            worth, quote = trade.quantity * began, trade.quantity * trade.price
            filled += worth
            maker += worth if trade.maker else ZERO
            cost += quote - worth if buys else worth - quote
            fees += trade.commission
    ours = {
        "filled": filled,
        "fees": fees,
        "makerShare": booked(maker / filled) if filled else None,
        "slippageBps": booked(cost * BPS / filled) if filled else None,
    }
    return [
        f"{basket.recipe.name}, {name}: by the venue {value}, as shown {basket.shown.get(name)}"
        for name, value in ours.items()
        if value != basket.shown.get(name)
    ]
