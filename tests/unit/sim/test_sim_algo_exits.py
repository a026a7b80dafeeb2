"""Two exits that exclude each other: what the journal must have said before the second is decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from pms.contract.journal import AlgoSlotRow, Entry, OrderRow, Rows
from pms.sim.judges.algo_exits import beyond
from pms.sim.judges.algo_terms import ENTRY, PROFIT, STOP, Asked

D = Decimal
ALGO = "a"


def order(slot: int, quantity: str, *, state: str = "active", **more: Any) -> OrderRow:
    fields: dict[str, Any] = dict.fromkeys(OrderRow.__struct_fields__[:23])
    fields |= {"client_order_id": f"o{slot}", "quantity": D(quantity), "state": state, "filled_qty": D(0)}
    return OrderRow(**{**fields, **more})


def filled(slot: int, quantity: str) -> AlgoSlotRow:
    fields: dict[str, Any] = dict.fromkeys(AlgoSlotRow.__struct_fields__[:19])
    return AlgoSlotRow(**{**fields, "algo_id": ALGO, "slot": slot, "filled": D(quantity)})


@dataclass
class Journal:
    """The entry in which a stop for 2 is decided, and what stands before it."""

    orders: list[OrderRow]
    slots: list[AlgoSlotRow]
    terms: dict[str, Any] = field(default_factory=lambda: {"quantity": D(2)})
    now: tuple[OrderRow, ...] = ()

    def told(self) -> str | None:
        entry = Entry(
            v=1,
            seq=1,
            prev=0,
            at=0,
            kind="algo",
            rows=Rows(orders=(order(STOP, "2", state="placing"), *self.now)),
        )
        tables = {
            "orders": {(each.client_order_id,): each for each in self.orders},
            "algo_slots": {(ALGO, each.slot): each for each in self.slots},
        }
        names = {"o0": ENTRY, "o1": PROFIT, "o2": STOP}
        asked = Asked(self.terms, D("0.001"), D(1), lambda: D(0))
        return beyond(asked, ALGO, names, tables, entry)


ENTERED = [filled(ENTRY, "2"), filled(PROFIT, "0"), filled(STOP, "0")]


@pytest.mark.parametrize("state", ["cancelled", "expired", "rejected", "void", "filled"])
def test_a_stop_behind_the_journaled_end_of_its_take_profit_is_right(state: str) -> None:
    assert Journal([order(PROFIT, "2", state=state)], ENTERED).told() is None


@pytest.mark.parametrize("state", ["placing", "active", "partially_filled", "unknown"])
def test_a_stop_beside_a_take_profit_that_may_trade_is_told(state: str) -> None:
    told = Journal([order(PROFIT, "2", state=state, cancel_wanted=True)], ENTERED).told()
    assert told == "by the journal its exits have closed 0 and may close 4, of 2"


def test_an_end_that_is_journaled_with_the_stop_is_known() -> None:
    live, gone = order(PROFIT, "2"), order(PROFIT, "2", state="cancelled")
    assert Journal([live], ENTERED, now=(gone,)).told() is None


def test_what_the_take_profit_has_closed_is_not_closed_again() -> None:
    gone = order(PROFIT, "2", state="cancelled", filled_qty=D(1))
    told = Journal([gone], [filled(ENTRY, "2"), filled(PROFIT, "1")]).told()
    assert told == "by the journal its exits have closed 1 and may close 2, of 2"


def test_an_amendment_in_flight_counts_with_the_larger_quantity() -> None:
    small = order(PROFIT, "0.1", amend_quantity=D("0.5"))
    entered = [filled(ENTRY, "2.4")]
    assert Journal([small], entered).told() is not None
    assert Journal([small], [filled(ENTRY, "2.5")]).told() is None


def test_an_oco_is_for_what_was_asked_and_without_a_quantity_for_its_position() -> None:
    live = [order(PROFIT, "1")]
    terms = {"positionId": "p", "quantity": D(3)}
    assert Journal(live, [], terms).told() is None
    assert Journal(live, [], terms | {"quantity": D("2.9")}).told() is not None
    assert Journal(live, [], {"positionId": "p"}).told() is None
