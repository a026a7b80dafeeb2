"""What a lane cost: implementation shortfall against mid at the start, all in basis points.

A. F. Perold, "The Implementation Shortfall: Paper versus Reality", Journal of Portfolio Management 14 (1988):
what was traded is laid beside a paper portfolio that had all of it at the price of the decision, and what was
not traded costs what the price has run since. For a round trip the paper portfolio does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from benchmarks.execution_outcome import Outcome

BPS, ZERO = Decimal(10_000), Decimal(0)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one lane, or the mean of several; positive is worse."""

    filled: Decimal
    #: part of the size; of a round trip, of twice the size
    slippage: Decimal | None
    #: of what traded; of a round trip its loss before fees, by what it traded
    maker: Decimal | None
    #: part of what traded
    fees: Decimal | None
    #: of what traded
    shortfall: Decimal
    #: fees and what was not traded included, of the whole size
    seconds: Decimal
    #: from the recording's beginning to its end
    orders: Decimal
    reprices: Decimal


def cost(outcome: Outcome) -> Cost:
    """The figures of one lane."""
    lane, trades = outcome.lane, outcome.trades
    net, cash = ZERO, ZERO
    for each in trades:
        sign = 1 if each.side == "BUY" else -1
        net += sign * each.quantity
        cash += sign * each.quantity * each.price
    quantity = sum((each.quantity for each in trades), ZERO)
    quote = sum((each.quantity * each.price for each in trades), ZERO)
    fees = sum((each.commission for each in trades), ZERO)
    maker = sum((each.quantity for each in trades if each.maker), ZERO)
    wanted = ZERO if lane.way.round_trip else (lane.size if lane.side == "BUY" else -lane.size)
    missing = (wanted - net) * outcome.last_mid
    whole = quote if lane.way.round_trip else lane.size * outcome.arrival
    lost = cash + missing if lane.way.round_trip else cash - net * outcome.arrival
    return Cost(
        filled=quantity / (lane.size * (2 if lane.way.round_trip else 1)),
        slippage=_part(lost, quote if lane.way.round_trip else quantity * outcome.arrival),
        maker=maker / quantity if quantity else None,
        fees=_part(fees, quote),
        shortfall=_part(cash + missing - wanted * outcome.arrival + fees, whole) or ZERO,
        seconds=Decimal(outcome.lasted_ms) / 1000,
        orders=Decimal(len(outcome.orders)),
        reprices=Decimal(outcome.reprices),
    )


def mean(costs: list[Cost]) -> Cost:
    """The mean of both sides: what the price did by itself is in one of them a gain, in the other a loss."""

    def of(name: str) -> Decimal | None:
        known = [value for each in costs if (value := getattr(each, name)) is not None]
        return sum(known, ZERO) / len(known) if known else None

    return Cost(**{name: of(name) for name in Cost.__dataclass_fields__})  # type: ignore[arg-type]


def together(outcomes: Sequence[Outcome]) -> Cost:
    """Several lanes as one, each by its worth at the start."""
    costs = [cost(each) for each in outcomes]
    whole = [each.lane.size * each.arrival for each in outcomes]
    traded = [worth * each.filled for worth, each in zip(whole, costs, strict=True)]
    quote = [sum((one.quantity * one.price for one in each.trades), ZERO) for each in outcomes]
    return Cost(
        filled=_weighted([each.filled for each in costs], whole) or ZERO,
        slippage=_weighted([each.slippage for each in costs], traded),
        maker=_weighted([each.maker for each in costs], traded),
        fees=_weighted([each.fees for each in costs], quote),
        shortfall=_weighted([each.shortfall for each in costs], whole) or ZERO,
        seconds=max(each.seconds for each in costs),
        orders=sum((each.orders for each in costs), ZERO),
        reprices=sum((each.reprices for each in costs), ZERO),
    )


def _weighted(values: Sequence[Decimal | None], weights: Sequence[Decimal]) -> Decimal | None:
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    whole = sum((weight for _, weight in known), ZERO)
    return sum((value * weight for value, weight in known), ZERO) / whole if whole else None


def _part(amount: Decimal, whole: Decimal) -> Decimal | None:
    return amount * BPS / whole if whole else None
