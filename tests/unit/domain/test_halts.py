"""Halts: what they refuse, what they let through, and who may lift them."""

from __future__ import annotations

import pytest
from desk_maker import decide, desk_at, trade

from pms.contract.codes import Code, Refusal
from pms.contract.halts import BY_HAND, read_standing, standing_text
from pms.contract.journal import HaltRow, Rows
from pms.contract.names import BOTH
from pms.domain.booking import Trade, book
from pms.domain.decisions import Asked, refuse
from pms.domain.desk import Desk
from pms.domain.halting import renew_halts
from pms.domain.halts import halted, views

WHY = {"reason": "prices look wrong", "actor": "ann"}


def filled(desk: Desk) -> str:
    """Alice holds 0.01; the position's id."""
    order = next(iter(desk.orders[row.client_order_id] for row in trade(desk).entry.rows.orders))
    spec = order.spec
    book(
        desk,
        Trade(
            symbol=spec.symbol,
            exchange_order_id=1,
            trade_id=1,
            client_order_id=spec.client_order_id,
            side="BUY",
            price=desk.tops[spec.symbol].ask,
            quantity=spec.quantity,
            commission=spec.quantity * 0,
            commission_asset="USDT",
            realized_pnl=spec.quantity * 0,
            maker=False,
            at=1,
        ),
    )
    return desk.held["alice"]["BTCUSDT", BOTH].id


@pytest.mark.parametrize(("scope", "bob_stops"), [(None, True), ("alice", False)])
def test_a_halt_refuses_every_order_of_its_scope(scope: str | None, bob_stops: bool) -> None:
    desk = desk_at()
    position = filled(desk)
    decide(desk, "pms.halt", subAccountId=scope, **WHY)
    for asked in (
        lambda: trade(desk),
        lambda: trade(desk, reduceOnly=True, side="SELL"),
        lambda: decide(desk, "pms.close", positionId=position),
    ):
        with pytest.raises(Refusal, match="halted by ann: prices look wrong") as refused:
            asked()
        assert refused.value.code == Code.HALTED
    if bob_stops:
        with pytest.raises(Refusal):
            trade(desk, "bob")
    else:
        assert trade(desk, "bob").entry.kind == "admitted"


def test_a_halt_of_openings_lets_out_what_says_reduce_only() -> None:
    desk = desk_at()
    position = filled(desk)
    decide(desk, "pms.halt", mode="REDUCE_ONLY", **WHY)
    with pytest.raises(Refusal) as refused:
        trade(desk, side="SELL")
    assert (refused.value.code, refused.value.field) == (Code.HALTED, "reduceOnly")
    assert trade(desk, side="SELL", quantity="0.005", reduceOnly=True).entry.kind == "admitted"
    assert decide(desk, "pms.close", positionId=position).entry.kind == "admitted"


def test_cancels_are_served_while_all_is_halted() -> None:
    desk = desk_at()
    order = trade(desk, type="LIMIT", price="59000").entry.rows.orders[0].client_order_id
    decide(desk, "pms.halt", **WHY)
    assert decide(desk, "pms.cancel", orderId=order).entry.rows.orders[0].cancel_wanted
    assert decide(desk, "pms.cancel_all").results[0].success


def test_only_the_halt_of_that_scope_is_lifted() -> None:
    desk = desk_at()
    first = decide(desk, "pms.halt", **WHY).entry.rows.halts[0]
    decide(desk, "pms.halt", subAccountId="alice", **WHY)
    (lifted,) = decide(desk, "pms.resume", reason="checked", actor="bea").entry.rows.halts
    assert (lifted.mode, lifted.actor, lifted.request_id) == ("RESUMED", "bea", first.request_id)
    assert trade(desk, "bob").entry.kind == "admitted"
    with pytest.raises(Refusal, match="alice's trading"):
        trade(desk)
    with pytest.raises(Refusal) as refused:
        decide(desk, "pms.resume", reason="again", actor="bea")
    assert refused.value.code == Code.NOT_HALTED


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"actor": "ann"}, Code.MISSING_FIELD),
        ({"reason": "why"}, Code.MISSING_FIELD),
        ({"reason": "", "actor": "ann"}, Code.BAD_FIELD),
        ({**WHY, "mode": "SOME"}, Code.BAD_FIELD),
        ({**WHY, "subAccountId": "nobody"}, Code.UNKNOWN_ACCOUNT),
        ({**WHY, "subAccountId": "house"}, Code.HOUSE_ONLY),
    ],
)
def test_a_bad_halt_is_refused_and_halts_nothing(fields: dict[str, object], code: Code) -> None:
    desk = desk_at()
    with pytest.raises(Refusal) as refused:
        decide(desk, "pms.halt", **fields)
    assert refused.value.code == code
    assert not desk.halts


def test_the_house_is_never_halted() -> None:
    desk = desk_at()
    decide(desk, "pms.halt", **WHY)
    assert halted(desk, "house", reduce_only=False) is None
    assert halted(desk, "bob", reduce_only=False) is not None


def test_recovery_finds_what_was_halted_and_forgets_what_was_lifted() -> None:
    desk = desk_at()
    entries = [
        decide(desk, "pms.halt", **WHY).entry,
        decide(desk, "pms.halt", subAccountId="alice", mode="REDUCE_ONLY", **WHY).entry,
        decide(desk, "pms.resume", reason="r", actor="a").entry,
    ]
    later = Desk(epoch="e2")
    for entry in entries:
        later.load(Rows(halts=entry.rows.halts))
    assert later.halts == desk.halts
    assert [(view.sub_account_id, view.mode) for view in views(later)] == [("alice", "REDUCE_ONLY")]


def test_what_stands_in_redis_reads_back_as_it_was_written() -> None:
    row = HaltRow(scope="alice", mode="REDUCE_ONLY", reason='"}', actor="ä", since=7, request_id="r")
    assert standing_text(row).startswith('{"mode":"REDUCE_ONLY",')
    assert read_standing("alice", standing_text(row).encode(), now=9) == row
    for raw in (b"1", b"", b"\xff", b'{"mode":"HALTED"}'):
        by_hand = read_standing("*", raw, now=9)
        assert (by_hand.mode, by_hand.actor, by_hand.since) == ("HALTED", BY_HAND, 9)


def test_a_renewal_is_an_entry_with_an_incident() -> None:
    desk = desk_at()
    row = HaltRow(scope="*", mode="HALTED", reason="r", actor="a", since=1, request_id="q")
    entry = renew_halts(desk, [row], at=5, detail="d").entry
    assert (entry.rows.halts, entry.rows.incidents[0].kind) == ((row,), "halt_renewed")
    assert desk.halts == {"*": row}


@pytest.mark.parametrize("scope", [None, "alice"])
def test_a_refused_halt_says_what_stands_in_its_scope(scope: str | None) -> None:
    desk = desk_at()
    decide(desk, "pms.halt", mode="REDUCE_ONLY", **WHY)
    decide(desk, "pms.halt", subAccountId="alice", **WHY)
    decide(desk, "pms.halt", subAccountId="bob", **WHY)
    asked = Asked(request_id="r", command="pms.halt", text="{}", at=1, deadline=2, now=3)
    fault = Refusal(Code.BAD_FIELD, "reason is too long")
    posting = refuse(desk, asked, fault, echoed={"subAccountId": scope})
    assert [row.scope for row in posting.standing] == ["*", *([scope] if scope else [])]
    assert set(posting.standing) <= set(desk.halts.values())
    assert posting.entry.rows.halts == (), "it stands already"


def test_what_is_refused_otherwise_says_nothing_of_halts() -> None:
    desk = desk_at()
    decide(desk, "pms.halt", **WHY)
    asked = Asked(request_id="r", command="pms.trade", text="{}", at=1, deadline=2, now=3)
    assert refuse(desk, asked, Refusal(Code.BAD_FIELD, "no"), echoed={}).standing == ()
