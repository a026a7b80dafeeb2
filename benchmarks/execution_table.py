"""What ways of trading cost, as lines of a terminal: one a way, or one a leg; 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from benchmarks.execution_basket import Basket
from benchmarks.execution_cost import Cost, cost, mean, together
from benchmarks.execution_outcome import Outcome
from benchmarks.execution_ways import WAYS
from benchmarks.execution_whole import disagreements, legs_of
from benchmarks.tape import Tape

COLUMNS = ("filled %", "slip", "maker %", "fees", "all in", "s", "orders", "moves")
NAMED = 20


def table(tape: Tape, outcomes: Sequence[Outcome]) -> list[str]:
    """One line a way, the mean of its sides."""
    size = outcomes[0].lane.size
    lines = [
        f"{tape.symbol}, {size} each, {tape.seconds:.0f} s; basis points, mean of both sides",
        _head(),
    ]
    for way in WAYS:
        if way is next(each for each in WAYS if each.round_trip):
            lines.append("there and back")
        its = [each for each in outcomes if each.lane.way is way]
        lines.append(_row(way.name, mean([cost(each) for each in its])))
    return [*lines, _agreeing(outcomes, {})]


def basket_table(baskets: Sequence[Basket], outcomes: Sequence[Outcome]) -> list[str]:
    """Each leg and each basket, the mean of its sides, under plain orders of a leg's size."""
    plain = [each for each in outcomes if each.lane.way.plain]
    sizes = {each.lane.tape.symbol: each.lane.size for each in outcomes}
    legs = " and ".join(f"{size} {symbol}" for symbol, size in sizes.items())
    lines = [f"baskets, {legs} a leg; basis points, mean of both sides", _head()]
    for symbol in sizes:
        lines.append(f"plain, {symbol}")
        for way in dict.fromkeys(each.lane.way for each in plain):
            its = [each for each in plain if (each.lane.tape.symbol, each.lane.way) == (symbol, way)]
            lines.append(_row(way.name, mean([cost(each) for each in its])))
    for recipe in dict.fromkeys(each.recipe for each in baskets):
        lines.append(recipe.name)
        alike = [legs_of(each, outcomes) for each in baskets if each.recipe is recipe]
        for leg in zip(*alike, strict=True):
            name = f"{_base(leg[0].lane.tape.symbol)} {leg[0].lane.way.name}"
            lines.append(_row(name, mean([cost(each) for each in leg])))
        lines.append(_row("all of it", mean([together(each) for each in alike])))
    return [*lines, _agreeing(outcomes, wrong_as_a_whole(baskets, outcomes))]


def wrong_as_a_whole(baskets: Sequence[Basket], outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """By account, where what is told of a whole basket does not follow from its legs' trades."""
    found = {each.account: disagreements(each, outcomes) for each in baskets}
    return {account: faults for account, faults in found.items() if faults}


def _agreeing(outcomes: Sequence[Outcome], wholes: dict[str, list[str]]) -> str:
    exact = sum(not each.disagreements() and each.lane.account not in wholes for each in outcomes)
    return f"venue, record and PostgreSQL agree to the last digit in {exact} of {len(outcomes)}"


def _base(symbol: str) -> str:
    return symbol.removesuffix("USDT")


def _head() -> str:
    return f"{'':<{NAMED}}{''.join(f'{name:>{_width(name)}}' for name in COLUMNS)}"


def _row(name: str, told: Cost) -> str:
    cells = zip(_cells(told), COLUMNS, strict=True)
    return f"{name:<{NAMED}}{''.join(f'{cell:>{_width(column)}}' for cell, column in cells)}"


def _cells(told: Cost) -> Iterator[str]:
    yield _text(told.filled, 0, 100)
    yield _text(told.slippage, 2)
    yield _text(told.maker, 0, 100)
    yield _text(told.fees, 2)
    yield _text(told.shortfall, 2)
    yield _text(told.seconds, 1)
    yield _text(told.orders, 0)
    yield _text(told.reprices, 0)


def _width(name: str) -> int:
    return max(len(name) + 1, 7)


def _text(value: Decimal | None, digits: int, factor: int = 1) -> str:
    return "-" if value is None else f"{round(value * factor, digits):.{digits}f}"
