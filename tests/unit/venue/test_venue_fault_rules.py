"""Rules: what they accept, what a seed draws, and that each bad day of the protocol has one."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.venue.faults import FaultError, FaultKind, Faults
from pms.venue.faults.drawn import DRAWN, FaultPlan, drawn
from pms.venue.faults.strange import strange

PAGE = (Path(__file__).parents[3] / "docs" / "venue.md").read_text()
KINDS = PAGE.split("| kind | what happens |")[1].split("\n\n")[0]
ROWS = PAGE.split("| bad day | how |")[1].split("\n\n")[0]


def faults() -> Faults:
    return Faults(lambda: 0)


def test_every_kind_is_told_once() -> None:
    told = [
        name for line in KINDS.splitlines()[2:] for name in re.findall(r"`([a-z_]+)`", line.split("|")[1])
    ]
    assert sorted(told) == sorted(FaultKind)


def test_every_bad_day_of_the_menu_is_had_and_by_kinds_that_there_are() -> None:
    rows = [line.split("|")[1:3] for line in ROWS.splitlines()[2:]]
    assert [int(day.split(".")[0]) for day, _ in rows] == list(range(1, 18))
    named = {name for _, how in rows for name in re.findall(r"`([a-z_]+)`", how)}
    assert {name for name in named if "_" in name} <= set(FaultKind)
    # The rest are the same things a moment earlier, or for longer
    assert set(FaultKind) - named == {
        FaultKind.DELAY_BEFORE,
        FaultKind.HANG_BEFORE,
        FaultKind.HANG_AFTER,
        FaultKind.CUT_BEFORE,
        FaultKind.STATUS_BEFORE,
    }


def test_a_seed_draws_every_kind_and_nothing_that_is_refused() -> None:
    board, found = faults(), set()
    for _, rule in islice(drawn(FaultPlan(1)), 2_000):
        found.add(board.add(rule).kind)
    assert found == set(DRAWN) == set(FaultKind)


@given(st.integers())
def test_a_seed_draws_the_same_again(seed: int) -> None:
    first, again = (list(islice(drawn(FaultPlan(seed)), 20)) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("text", ["", "x", "1:", "1:x", "1:0", "1:-1", "1:601", "1:nan"])
def test_a_plan_without_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="faults"):
        FaultPlan.parse(text)


@pytest.mark.parametrize(
    "rule",
    [
        {"ms": -1},
        {"ms": 3_600_001},
        {"percent": 0},
        {"percent": 101},
        {"status": 200},
        {"count": True},
        {"kept": "x"},
        {"id": 3},
    ],
)
def test_a_rule_without_sense_is_refused(rule: dict[str, object]) -> None:
    board = faults()
    with pytest.raises(FaultError, match=next(iter(rule))):
        board.add({"kind": "fill_first", **rule})
    assert not board.rules


def test_a_rule_that_names_requests_is_not_for_messages() -> None:
    board = faults()
    board.add({"kind": "unknown_field", "path": "/fapi/v1/order"})
    assert board.on_message("demo", "TRADE_LITE x") is None
    assert board.on_request((FaultKind.UNKNOWN_FIELD,), method="GET", path="/fapi/v1/order", subject="")


def test_a_strange_message_keeps_what_it_said() -> None:
    payload = b'{"e":"x","E":1,"o":{"p":"1.10"},"b":[["1","2"]]}'
    (grown,) = strange(FaultKind.UNKNOWN_FIELD, payload)
    assert grown == (b'{"e":"x","E":1,"o":{"p":"1.10","zz":["1",2,null]},"b":[["1","2"]],"zz":["1",2,null]}')
    new, same = strange(FaultKind.UNKNOWN_EVENT, payload)
    assert (same, new[:26]) == (payload, b'{"e":"NOT_DOCUMENTED_YET",')
