"""Incidents: told once while they stand, told again when they change, over by evidence or by a person."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from desk_maker import D, decide, desk_at

from pms.contract.codes import Code, Refusal
from pms.contract.money import decode_object
from pms.domain import incident_table
from pms.domain.booking import Trade, book
from pms.domain.desk import Desk
from pms.domain.incident_kinds import KINDS
from pms.domain.incidents import incident, settled
from pms.domain.open_incidents import MANY, MOST_OF_A_KIND

ROOT = Path(__file__).parents[3]


def drift(desk: Desk, difference: str, *, at: int = 5) -> object:
    return incident(
        desk, at=at, kind="drift", severity="critical", detail=f"BTCUSDT: {difference}", subject="BTCUSDT"
    )


def test_the_same_drift_is_told_once_and_updated_when_it_changes() -> None:
    desk = desk_at()
    first = drift(desk, "0.1")
    assert first is not None
    seq = desk.last_seq
    assert drift(desk, "0.1", at=9) is None
    assert desk.last_seq == seq, "nothing is journaled of what is told already"
    assert drift(desk, "0.2", at=12) is not None
    (row,) = desk.incidents.rows()
    assert (row.seq, row.at, row.last_at, row.times, row.detail) == (seq, 5, 12, 2, "BTCUSDT: 0.2")


def test_drift_that_is_gone_is_resolved_by_evidence() -> None:
    desk = desk_at()
    drift(desk, "0.1")
    posting = settled(desk, at=20, kind="drift", subject="BTCUSDT", how="the sums agree")
    assert posting is not None
    (row,) = posting.entry.rows.incidents
    assert (row.state, row.resolved_by, row.resolved_at) == ("resolved", "evidence", 20)
    assert settled(desk, at=21, kind="drift", subject="BTCUSDT", how="again") is None
    assert len(desk.incidents) == 0
    assert drift(desk, "0.1", at=30) is not None, "a new one, for the old is history"


def test_acknowledging_ends_what_happened_and_only_marks_what_lasts() -> None:
    desk = desk_at()
    drift(desk, "0.1")
    incident(desk, at=6, kind="bad_command", severity="warning", detail="no requestId")
    for row in desk.incidents.rows():
        posting = decide(
            desk, "pms.acknowledge", incidentId=str(row.seq), actor="eve@desk", reason="looking into it"
        )
        assert posting.entry.rows.commands[0].decision == "admitted"
    (left,) = desk.incidents.rows()
    assert (left.kind, left.state, left.acked_by) == ("drift", "acknowledged", "eve@desk")
    drift(desk, "0.3")
    assert desk.incidents.rows()[0].state == "acknowledged", "who is at it stays at it"
    with pytest.raises(Refusal) as refused:
        decide(desk, "pms.acknowledge", incidentId="1", actor="eve@desk", reason="nothing there")
    assert refused.value.code is Code.UNKNOWN_INCIDENT


def test_very_many_of_a_kind_share_one() -> None:
    desk = desk_at()
    for number in range(MOST_OF_A_KIND + 50):
        incident(desk, at=1, kind="foreign_order", severity="warning", detail=f"order {number}")
    assert len(desk.incidents) == MOST_OF_A_KIND + 1
    many = desk.incidents.get("foreign_order", MANY)
    assert many is not None
    assert many.times == 50


def test_recovery_knows_what_stands() -> None:
    desk, other = desk_at(), desk_at()
    posting = drift(desk, "0.1")
    other.load(posting.entry.rows)  # type: ignore[attr-defined]
    assert other.incidents.rows() == desk.incidents.rows()
    other.load(settled(desk, at=20, kind="drift", subject="BTCUSDT", how="gone").entry.rows)  # type: ignore[union-attr]
    assert len(other.incidents) == 0


def test_a_foreign_order_is_one_incident_whatever_it_trades() -> None:
    desk = desk_at()
    for trade_id in (7, 8):
        book(desk, foreign(trade_id))
    (row,) = desk.incidents.rows()
    evidence = decode_object(row.evidence)
    assert (evidence["quantity"], evidence["trades"]) == ("0.2", [7, 8])


def test_the_page_of_kinds_is_current() -> None:
    assert (ROOT / "docs" / incident_table.NAME).read_text() == incident_table.page(), "run `make contract`"


def test_every_kind_that_is_told_is_described() -> None:
    told = set()
    for path in (ROOT / "pms").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in {"incident", "note_incident", "raise_incident", "Noticed"}:
                kinds = [keyword.value for keyword in node.keywords if keyword.arg == "kind"] or node.args[:1]
                told |= {kind.value for kind in kinds if isinstance(kind, ast.Constant)}
    assert told - KINDS.keys() == set()
    assert len(told) > 8


def foreign(trade_id: int) -> Trade:
    return Trade(
        symbol="BTCUSDT",
        exchange_order_id=99,
        trade_id=trade_id,
        client_order_id="by-hand",
        side="BUY",
        price=D(60000),
        quantity=D("0.1"),
        commission=D("2.4"),
        commission_asset="USDT",
        realized_pnl=D(0),
        maker=False,
        at=2000,
    )
