"""The exchange account's own margin: told in time, stopped in time, once each."""

from __future__ import annotations

import pytest
from desk_maker import D, desk_at, trade

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
