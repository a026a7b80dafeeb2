"""Scenarios: by how many percent each symbol moves, all at the same moment.

One without shocks of its own moves everything alike, which is correlation one; see Basel Committee,
"Stress testing principles" (2018) for why such need no history and no probability.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pms.contract.money import plain

LEAST, MOST = Decimal(-100), Decimal(1000)
LONGEST_NAME = 40
MOST_SHOCKS = 1000
HUNDRED = Decimal(100)
_FIELDS = {"name", "others", "shocks"}


class BadScenario(ValueError):
    """What is wrong with a scenario: the field, the limit, and what it was."""

    def __init__(self, text: str, *, field: str, limit: str | None = None, actual: object = None) -> None:
        super().__init__(text)
        self.field = field
        self.limit = limit
        self.actual = None if actual is None else str(actual)[:60]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Percent by symbol, and for all others."""

    name: str
    others: Decimal = Decimal(0)
    shocks: Mapping[str, Decimal] = field(default_factory=dict)

    def move(self, symbol: str) -> Decimal:
        """By what a symbol's price changes, as a part of it."""
        return self.shocks.get(symbol, self.others) / HUNDRED


def grid(percents: Iterable[Decimal]) -> tuple[Scenario, ...]:
    """Everything by the same percent, once for each."""
    return tuple(Scenario(f"all {'+' if each > 0 else ''}{plain(each)} %", others=each) for each in percents)


def scenario_from(raw: object) -> Scenario:
    """Read `{"name": …, "others": percent, "shocks": {symbol: percent}}`; raises BadScenario."""
    if not isinstance(raw, dict):
        raise BadScenario("a scenario is an object", field="scenario", actual=type(raw).__name__)
    unknown = sorted(set(raw) - _FIELDS, key=str)
    if unknown:
        raise BadScenario(
            f"a scenario has no field {unknown[0]}",
            field="scenario",
            limit=", ".join(sorted(_FIELDS)),
            actual=unknown[0],
        )
    name = raw.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise BadScenario(
            "a scenario needs a name", field="scenario.name", limit=f"1 to {LONGEST_NAME}", actual=name
        )
    shocks = raw.get("shocks", {})
    if not isinstance(shocks, dict) or len(shocks) > MOST_SHOCKS:
        raise BadScenario(
            "shocks are an object of percents by symbol",
            field="scenario.shocks",
            limit=f"{MOST_SHOCKS} symbols",
            actual=type(shocks).__name__ if not isinstance(shocks, dict) else len(shocks),
        )
    if not shocks and "others" not in raw:
        raise BadScenario("a scenario moves nothing: it needs others or shocks", field="scenario.shocks")
    return Scenario(
        name=name,
        others=_percent(raw.get("others", 0), "scenario.others"),
        shocks={str(s).upper(): _percent(value, f"scenario.shocks.{s}") for s, value in shocks.items()},
    )


def scenarios_from(raw: object) -> tuple[Scenario, ...]:
    """Read a table of scenarios: a list of them, names unlike; raises BadScenario."""
    if not isinstance(raw, list):
        raise BadScenario("a table of scenarios is a list", field="scenarios", actual=type(raw).__name__)
    found: dict[str, Scenario] = {}
    for each in raw:
        scenario = scenario_from(each)
        if scenario.name in found:
            raise BadScenario("two scenarios have one name", field="scenario.name", actual=scenario.name)
        found[scenario.name] = scenario
    return tuple(found.values())


def _percent(value: Any, where: str) -> Decimal:
    try:
        number = Decimal(str(value)) if isinstance(value, int | str | Decimal | float) else None
    except ArithmeticError:
        number = None
    if number is None or isinstance(value, bool) or not number.is_finite() or not LEAST <= number <= MOST:
        raise BadScenario(
            "a shock is a percentage, and no price falls below zero",
            field=where,
            limit=f"{LEAST} to {MOST}",
            actual=value,
        )
    return number
