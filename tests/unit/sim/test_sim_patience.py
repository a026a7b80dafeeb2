"""How long what differs may differ: longer only where a word of the exchange can still make it right."""

from __future__ import annotations

import pytest

from pms.sim.judges.invariants import Violation
from pms.sim.judges.patience import HEALED_S, READ_S, STILL_S, Patience

LOST = Violation("no trade is lost", "trade 1 is not booked", ("order",))
MONEY = Violation("all balances are the wallet", "by two")
OURS = Violation("journal = database", "fills differs")


@pytest.mark.parametrize(("wrong", "bound"), [(LOST, HEALED_S), (MONEY, READ_S), (OURS, STILL_S)])
def test_a_difference_is_one_when_nothing_can_heal_it_any_more(wrong: Violation, bound: float) -> None:
    patience = Patience(calm_s=0.0)
    assert not patience.over(wrong, now=0.0)
    assert not patience.over(wrong, now=bound)
    assert patience.over(wrong, now=bound + 0.1)


def test_each_difference_has_a_time_of_its_own() -> None:
    patience = Patience(calm_s=0.0)
    patience.over(MONEY, now=0.0)
    assert not patience.over(OURS, now=60.0), "it is new, whatever was wrong before"
    assert not patience.over(None, now=61.0)
    assert not patience.over(OURS, now=62.0), "in between all was well"
    assert patience.over(OURS, now=62.1 + STILL_S)


def test_nothing_is_healed_while_things_go_wrong() -> None:
    patience = Patience(calm_s=10.0)
    patience.over(OURS, now=1.0)
    assert not patience.over(OURS, now=9.9)
    assert patience.over(OURS, now=10.1)
