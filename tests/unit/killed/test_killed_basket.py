"""What a killed basket must come to, by its rule: each thing that is wrong with it is told."""

from __future__ import annotations

from decimal import Decimal as D
from types import SimpleNamespace
from typing import Any

import pytest
from killed_basket import REASONS, RULES, BasketCase
from killed_case import IN_FLIGHT, MIDDLES, PART_FILLED, RESTING, UNEXECUTED, Outcome
from killed_venue import Trade

BOUGHT, UNWOUND, CHASED, LIMITED = 0, 1, 2, 4


def trade(slot: int, quantity: int, *, order: int | None = None) -> Trade:
    side = "SELL" if slot % 2 else "BUY"
    return Trade(slot if order is None else order, f"PMS_a_K0{slot}_x1", side, D(quantity), D(1))


RIGHT = {
    "finish": (trade(BOUGHT, 9), trade(LIMITED, 9)),
    "unwind": (trade(BOUGHT, 9), trade(UNWOUND, 9)),
    "hold": (trade(BOUGHT, 9), trade(CHASED, 3)),
}


def faults(middle: str, *trades: Trade, status: str = "failed", reason: str | None = None) -> list[str]:
    system: Any = None
    case = BasketCase(system, middle, "a")
    case.quantity = D(9)
    algo = SimpleNamespace(status=status, reason=f"legs[1]: x; {reason or REASONS[case.rule]}", side="")
    outcome = Outcome(algo, {}, [], list(trades))
    assert case.bound().most == 27
    return list(case.faults(outcome))


@pytest.mark.parametrize("middle", MIDDLES)
def test_a_basket_that_followed_its_rule_is_right(middle: str) -> None:
    right = RIGHT[RULES[middle]]
    assert faults(middle, *right) == []
    assert len(faults(middle, *right, status="finished")) == 1
    assert len(faults(middle, *right, reason="something else")) == 1
    assert len(faults(middle, *right[1:])) == 1, "one leg bought nothing"


def test_what_is_unwound_twice_in_parts_or_not_at_all_is_told() -> None:
    for middle in (IN_FLIGHT, UNEXECUTED):
        bought = trade(BOUGHT, 9)
        assert len(faults(middle, bought, trade(UNWOUND, 4), trade(UNWOUND, 5, order=77))) == 1
        assert len(faults(middle, bought, trade(UNWOUND, 9), trade(UNWOUND, 9, order=77))) == 3
        assert len(faults(middle, bought)) == 3


def test_the_wrong_rule_is_told() -> None:
    assert faults(RESTING, *RIGHT["hold"])
    assert faults(RESTING, *RIGHT["unwind"])
    assert faults(PART_FILLED, *RIGHT["unwind"])
    assert faults(PART_FILLED, *RIGHT["finish"])
    assert faults(IN_FLIGHT, *RIGHT["finish"])


def test_a_page_that_shows_another_leg_or_another_sum_is_told() -> None:
    system: Any = None
    case = BasketCase(system, IN_FLIGHT, "a")
    outcome = Outcome(SimpleNamespace(side=""), {}, [], list(RIGHT["unwind"]))
    legs = [{"filled": D(9 * (not n)), "unwound": D(9 * (not n)), "arrivalPrice": D(2)} for n in range(3)]
    page = {"filled": D(18), "figures": {"legs": legs}}
    assert list(case.misshown(outcome, page)) == []
    assert len(list(case.misshown(outcome, page | {"filled": D(9)}))) == 1
    legs[1]["unwound"] = D(1)
    assert len(list(case.misshown(outcome, page))) == 1
    assert list(case.misshown(outcome, {}))
