"""Faults planted into the venue's journal: whoever judges killed algos by it finds each."""

from __future__ import annotations

import json
from decimal import Decimal as D
from pathlib import Path
from typing import Any

from killed_venue import Bound, acts_since, faults_of, read

GRID = D("0.1"), D("0.001")
BOUND = Bound("BUY", D("0.005"))
ENTRY, PROFIT, STOP = "PMS_anna_O00_aaa", "PMS_anna_O01_bbb", "PMS_anna_O02_ccc"


class Scribe:
    """Writes as the venue does: one transaction a line, in whole ticks and lots."""

    def __init__(self, path: Path) -> None:
        self.path, self.lines, self.at = path, [b'[{"k":"wallet","account":"desk"}]'], 0

    def order(self, id_: int, name: str, side: int, quantity: int, **more: Any) -> dict[str, Any]:
        """An order as it stands now."""
        self.at += 1
        fields = {"status": "NEW", "executed": 0, "amendments": 0, "updated": self.at, **more}
        return {
            "k": "order",
            "order_id": id_,
            "client_order_id": name,
            "side": side,
            "quantity": quantity,
        } | fields

    def trade(self, id_: int, name: str, side: int, quantity: int) -> dict[str, Any]:
        fields = {"order_id": id_, "client_order_id": name, "side": side, "quantity": quantity, "price": 7}
        return {"k": "trade", **fields}

    def say(self, *facts: dict[str, Any]) -> None:
        self.lines.append(json.dumps(facts).encode())

    def fill(self, id_: int, name: str, side: int, quantity: int, *, of: int) -> None:
        """All of an order that came at once, or a part."""
        status = "FILLED" if quantity == of else "PARTIALLY_FILLED"
        order = self.order(id_, name, side, of, status=status, executed=quantity)
        self.say(self.trade(id_, name, side, quantity), order)

    def judged(self, bound: Bound = BOUND) -> list[str]:
        self.path.write_bytes(b"\n".join(self.lines) + b"\n")
        return list(faults_of(read(self.path, "anna", GRID), bound))


def bought(tmp_path: Path) -> Scribe:
    """All that may be entered has been."""
    scribe = Scribe(tmp_path / "venue.journal")
    scribe.fill(1, ENTRY, 1, 5, of=5)
    return scribe


def test_what_is_closed_once_and_behind_a_cancel_is_right(tmp_path: Path) -> None:
    scribe = bought(tmp_path)
    scribe.say(scribe.order(2, PROFIT, -1, 5))
    scribe.fill(2, PROFIT, -1, 2, of=5)
    scribe.say(scribe.order(2, PROFIT, -1, 5, executed=2, status="CANCELED"))
    scribe.fill(3, STOP, -1, 3, of=3)
    assert scribe.judged() == []


def test_a_stop_beside_a_take_profit_that_still_lives(tmp_path: Path) -> None:
    scribe = bought(tmp_path)
    scribe.say(scribe.order(2, PROFIT, -1, 5))
    scribe.fill(3, STOP, -1, 5, of=5)
    scribe.say(scribe.order(2, PROFIT, -1, 5, status="CANCELED"))
    assert scribe.judged() == ["0.005 left and 0.005 live, of 0.005 entered"]


def test_one_step_too_much_is_entered(tmp_path: Path) -> None:
    scribe = bought(tmp_path)
    scribe.say(scribe.order(4, ENTRY + "d", 1, 1))
    assert scribe.judged()[0] == "0.005 entered and 0.001 live, of 0.005"


def test_an_order_that_grows_beyond_by_an_amendment(tmp_path: Path) -> None:
    scribe = Scribe(tmp_path / "venue.journal")
    scribe.say(scribe.order(1, ENTRY, 1, 5))
    assert scribe.judged() == []
    scribe.say(scribe.order(1, ENTRY, 1, 6, amendments=1))
    assert scribe.judged() == ["0.000 entered and 0.006 live, of 0.005"]


def test_what_was_left_may_be_entered_once_more_only_where_that_is_the_plan(tmp_path: Path) -> None:
    scribe = bought(tmp_path)
    scribe.fill(2, PROFIT, -1, 5, of=5)
    scribe.say(scribe.order(4, ENTRY + "d", 1, 5))
    assert scribe.judged(Bound("BUY", D("0.005"), again=True)) == []
    assert scribe.judged() == ["0.005 entered and 0.005 live, of 0.005"]


def test_one_id_on_two_orders(tmp_path: Path) -> None:
    scribe = bought(tmp_path)
    scribe.say(scribe.order(9, ENTRY, 1, 1, status="EXPIRED"))
    assert scribe.judged() == [f"{ENTRY} stands twice at the venue: 1 and 9"]


def test_an_order_whose_trades_do_not_make_what_it_executed(tmp_path: Path) -> None:
    scribe = Scribe(tmp_path / "venue.journal")
    scribe.say(scribe.trade(1, ENTRY, 1, 4), scribe.order(1, ENTRY, 1, 5, status="FILLED", executed=5))
    assert scribe.judged() == [f"{ENTRY} executed 0.005, its trades make 0.004"]


def test_orders_of_others_are_nothing_to_it(tmp_path: Path) -> None:
    scribe = bought(tmp_path)
    scribe.say(scribe.order(7, "PMS_annabel_O00_aaa", 1, 99), scribe.order(8, "web_1", 1, 99))
    assert scribe.judged() == []


def test_acts_are_placed_moved_and_cancelled_orders_behind_a_moment_and_no_fills(tmp_path: Path) -> None:
    scribe = bought(tmp_path)
    scribe.say(scribe.order(2, PROFIT, -1, 5))
    moment = scribe.at + 1
    scribe.fill(2, PROFIT, -1, 1, of=5)
    scribe.say(scribe.order(2, PROFIT, -1, 5, executed=1, amendments=1))
    scribe.say(scribe.order(2, PROFIT, -1, 5, executed=1, amendments=1, status="CANCELED"))
    scribe.fill(3, STOP, -1, 4, of=4)
    assert scribe.judged() == []
    acts = acts_since(read(scribe.path, "anna", GRID), moment)
    assert (acts.placed, acts.moved, acts.cancelled, acts.first_at) == (1, 1, 1, moment + 1)
