"""The exchange account's own margin: told in time, stopped in time, once each."""

from __future__ import annotations

import pytest
from desk_maker import D, decide, desk_at, trade

from pms.contract.names import EVERYTHING
from pms.domain.desk import Desk
from pms.domain.master import KIND, SUBJECT, MasterMargin, judge_master
from pms.domain.posting import Posting


@pytest.fixture
def desk() -> Desk:
    return desk_at()


def judge(desk: Desk, maintenance: str, balance: str = "1000") -> Posting | None:
    return judge_master(desk, MasterMargin(D(balance), D(maintenance)), at=5000)


def severity(desk: Desk) -> str | None:
    row = desk.incidents.get(KIND, SUBJECT)
    return row.severity if row else None


def test_far_from_it_nothing_is_said(desk: Desk) -> None:
    assert judge(desk, "499") is None
    assert judge(desk, "0", "0") is None, "an account without positions is in no danger"


def test_an_operator_is_told_once_and_again_when_it_is_over(desk: Desk) -> None:
    assert judge(desk, "500") is not None
    assert severity(desk) == "warning"
    assert judge(desk, "600") is None
    assert judge(desk, "460") is None, "not before it is clearly below"
    assert judge(desk, "440") is not None
    assert severity(desk) is None


def test_nearer_nothing_is_opened_and_what_would_open_is_cancelled(desk: Desk) -> None:
    opening = trade(desk, type="LIMIT", price="59000", quantity="0.1").entry.rows.orders[0].client_order_id
    posting = judge(desk, "700")
    assert posting is not None
    assert severity(desk) == "critical"
    (halt,) = posting.entry.rows.halts
    assert (halt.scope, halt.mode) == (EVERYTHING, "REDUCE_ONLY")
    assert desk.halts[EVERYTHING] == halt
    assert [row.client_order_id for row in posting.entry.rows.orders if row.cancel_wanted] == [opening]
    assert judge(desk, "900") is None, "and once is enough"


def test_a_halt_that_stands_is_not_weakened(desk: Desk) -> None:
    assert judge(desk, "700") is not None
    stands = desk.halts[EVERYTHING]
    assert judge(desk, "100") is not None
    assert judge(desk, "800") is not None
    assert desk.halts[EVERYTHING] == stands


def test_an_account_under_water_is_beyond_every_line(desk: Desk) -> None:
    assert judge(desk, "10", "-5") is not None
    assert severity(desk) == "critical"


def halt(desk: Desk, mode: str = "HALTED") -> None:
    decide(desk, "pms.halt", mode=mode, reason="a look at it", actor="op")


def resume(desk: Desk) -> None:
    decide(desk, "pms.resume", reason="money came", actor="op")


def test_resumed_once_it_is_clearly_below_it_stops_the_next_time_too(desk: Desk) -> None:
    assert judge(desk, "750") is not None
    assert judge(desk, "660") is None, "not clearly below"
    assert judge(desk, "600") is not None
    assert severity(desk) == "warning"
    resume(desk)
    assert judge(desk, "600") is None
    posting = judge(desk, "750")
    assert posting is not None
    assert [row.scope for row in posting.entry.rows.halts] == [EVERYTHING]
    assert severity(desk) == "critical"


def test_less_near_and_not_near_is_no_warning(desk: Desk) -> None:
    assert judge(desk, "750") is not None
    assert judge(desk, "470") is not None
    assert severity(desk) == "warning"
    assert judge(desk, "440") is not None
    assert severity(desk) is None


def test_an_operator_who_resumes_while_it_is_near_means_it(desk: Desk) -> None:
    assert judge(desk, "750") is not None
    resume(desk)
    for maintenance in ("750", "690", "800"):
        assert judge(desk, maintenance) is None
    assert not desk.halts


def test_a_halt_that_stood_in_its_place_does_not_take_it_away_when_it_is_lifted(desk: Desk) -> None:
    halt(desk)
    assert judge(desk, "750") is not None
    assert desk.halts[EVERYTHING].actor == "op"
    assert judge(desk, "760") is None
    resume(desk)
    reborn = desk_at()
    for row in desk.incidents.rows():
        reborn.incidents.take(row)
    for each in (desk, reborn):
        posting = judge(each, "750")
        assert posting is not None
        assert each.halts[EVERYTHING].mode == "REDUCE_ONLY"
        resume(each)
        assert judge(each, "750") is None, "now he knows of it"


def test_lifted_below_the_line_it_stops_when_the_line_is_crossed_again(desk: Desk) -> None:
    halt(desk)
    assert judge(desk, "750") is not None
    resume(desk)
    assert judge(desk, "690") is None
    assert judge(desk, "700") is not None
    assert EVERYTHING in desk.halts


def test_a_halt_by_hand_over_its_own_is_lifted_with_it(desk: Desk) -> None:
    assert judge(desk, "750") is not None
    halt(desk)
    resume(desk)
    assert judge(desk, "750") is None
