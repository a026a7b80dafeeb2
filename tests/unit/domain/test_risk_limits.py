"""A crossed limit: one incident and one event, told once; its end likewise."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from desk_maker import desk_at

from pms.contract.events import RiskEvent
from pms.domain.desk import Desk
from pms.domain.posting import Posting
from pms.domain.risk_limits import KIND, risk_limit, subject

D = Decimal


def tell(desk: Desk, *, at: int = 2000, **changes: Any) -> Posting | None:
    fields: dict[str, Any] = {
        "scope": "account",
        "name": "alice",
        "measure": "var",
        "limit": D("100.00"),
        "actual": D("120.50"),
        "over": False,
    }
    return risk_limit(desk, at=at, **{**fields, **changes})


def test_crossed_and_back_are_an_incident_and_an_event_each() -> None:
    desk = desk_at()
    crossed = tell(desk)
    assert crossed is not None
    (row,) = crossed.entry.rows.incidents
    assert (row.kind, row.severity, row.state, row.subject) == (
        *(KIND, "warning", "open", subject("account", "alice", "var")),
    )
    assert row.detail == "account alice: VaR 120.5 is above the limit 100"
    (event,) = crossed.events
    assert isinstance(event, RiskEvent)
    assert (event.seq, event.state, event.sub_account_id) == (crossed.entry.seq, "crossed", "alice")
    assert (event.limit, event.actual, event.timestamp) == (100, D("120.5"), 2)

    back = tell(desk, actual=D("80"), over=True)
    assert back is not None
    (row,) = back.entry.rows.incidents
    assert (row.state, row.resolved_by) == ("resolved", "evidence")
    assert back.events[0].seq > event.seq
    assert isinstance(back.events[0], RiskEvent)
    assert back.events[0].state == "back"
    assert back.entry.prev == crossed.entry.seq


def test_told_twice_is_told_once() -> None:
    desk = desk_at()
    assert tell(desk) is not None
    before = desk.last_seq
    assert tell(desk, at=9000) is None
    assert desk.last_seq == before
    assert tell(desk, over=True) is not None
    assert tell(desk, over=True) is None


def test_each_scope_and_measure_stands_by_itself() -> None:
    desk = desk_at()
    assert tell(desk) is not None
    other = tell(desk, measure="es")
    whole = tell(desk, scope="desk", name="desk")
    assert other is not None
    assert whole is not None
    assert whole.entry.rows.incidents[0].severity == "critical"
    assert isinstance(whole.events[0], RiskEvent)
    assert whole.events[0].sub_account_id is None
    assert len(desk.incidents.of_kind(KIND)) == 3
