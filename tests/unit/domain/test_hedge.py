"""Hedge mode: a long beside a short, each with its own margin, and neither ever beyond zero."""

from __future__ import annotations

import pytest
from desk_maker import D, decide, desk_at, note_position, trade
from filling import fill, trade_of

from pms.contract.codes import Code, Refusal
from pms.contract.journal import OrderRow, Rows
from pms.contract.names import BOTH, LONG, SHORT
from pms.domain.adoption import adopt
from pms.domain.booking import book, observe
from pms.domain.desk import Desk
from pms.domain.funding import allot
from pms.domain.orders import Seen
from pms.domain.rows import order_row
from pms.domain.treasury import Rate


def hedged(**fields: object) -> Desk:
    desk = desk_at()
    decide(desk, "pms.position_mode", subAccountId="alice", hedge=True, **fields)
    return desk


def both(long: str = "0.1", short: str = "0.04") -> Desk:
    """Alice is hedged and holds a long and a short."""
    desk = hedged()
    fill(desk, trade(desk, quantity=long, positionSide=LONG), price="60000")
    fill(desk, trade(desk, side="SELL", quantity=short, positionSide=SHORT), price="60000")
    return desk


def quantities(desk: Desk) -> tuple[object, object]:
    return tuple(desk.position("alice", "BTCUSDT", side).quantity for side in (LONG, SHORT))  # type: ignore[return-value]


def refused(desk: Desk, name: str, **fields: object) -> Refusal:
    seq = desk.last_seq
    with pytest.raises(Refusal) as found:
        decide(desk, name, **fields)
    assert desk.last_seq == seq
    return found.value


def test_a_long_beside_a_short_and_the_exchange_sees_the_net() -> None:
    desk = both()
    assert quantities(desk) == (D("0.1"), D("-0.04"))
    views = {view.position_side: (view.side, view.quantity) for view in desk.snapshot("alice").positions}
    assert views == {LONG: ("LONG", D("0.1")), SHORT: ("SHORT", D("0.04"))}
    assert len({view.id for view in desk.snapshot("alice").positions}) == 2
    assert desk.treasury.net["BTCUSDT"] == D("0.06")


def test_each_side_holds_its_own_margin_back() -> None:
    desk = both()
    assert desk.snapshot("alice").margin_used == D(600) + D(240)
    trade(desk, quantity="0.01", positionSide=LONG, type="LIMIT", price="59000")
    trade(desk, side="SELL", quantity="0.01", positionSide=SHORT, type="LIMIT", price="61000")
    assert desk.snapshot("alice").margin_used == D(840) + D(59) + D(61), "both, not the worse of the two"
    trade(desk, side="SELL", quantity="0.1", positionSide=LONG, type="LIMIT", price="61000")
    trade(desk, side="BUY", quantity="0.04", positionSide=SHORT, type="LIMIT", price="59000")
    assert desk.snapshot("alice").margin_used == D(840) + D(59) + D(61), "what only reduces takes nothing"


@pytest.mark.parametrize(("side", "position_side", "most"), [("SELL", LONG, "0.1"), ("BUY", SHORT, "0.04")])
def test_what_takes_from_a_side_only_reduces_it(side: str, position_side: str, most: str) -> None:
    desk = both()
    wish = {"subAccountId": "alice", "symbol": "BTCUSDT", "side": side, "positionSide": position_side}
    refusal = refused(desk, "pms.trade", **wish, quantity=str(D(most) + D("0.001")))
    assert (refusal.code, refusal.limit) == (Code.REDUCE_ONLY, most)
    posting = decide(desk, "pms.trade", **wish, quantity=most)
    (row,) = posting.entry.rows.orders
    assert (row.reduce_only, row.position_side) == (True, position_side)
    assert refused(desk, "pms.trade", **wish, quantity="0.001").limit == "0"
    (told,) = {row.position_side for row in fill(desk, posting, price="60000").entry.rows.fills}
    assert told == position_side
    assert desk.position("alice", "BTCUSDT", position_side).quantity == 0


@pytest.mark.parametrize(
    ("account", "position_side"), [("alice", None), ("alice", BOTH), ("bob", LONG), ("bob", SHORT)]
)
@pytest.mark.parametrize("batch", [False, True])
def test_the_wrong_side_is_refused(account: str, position_side: str | None, batch: bool) -> None:
    desk = hedged()
    order = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01"}
    order |= {"positionSide": position_side} if position_side else {}
    if batch:
        posting = decide(desk, "pms.batch", subAccountId=account, orders=[order])
        code = posting.results[0].code
    else:
        refusal = refused(desk, "pms.trade", subAccountId=account, **order)
        assert refusal.field == "positionSide"
        code = refusal.code
    assert code == Code.POSITION_SIDE


def test_one_way_needs_no_side_and_takes_both() -> None:
    desk = desk_at()
    for side in ({}, {"positionSide": "both"}):
        (row,) = trade(desk, **side).entry.rows.orders
        assert row.position_side == BOTH


def test_reduce_only_for_what_opens_a_side_is_refused() -> None:
    desk = both()
    wish = {"subAccountId": "alice", "symbol": "BTCUSDT", "quantity": "0.01", "reduceOnly": True}
    refusal = refused(desk, "pms.trade", **wish, side="BUY", positionSide=LONG)
    assert refusal.code is Code.REDUCE_ONLY


def test_the_mode_changes_only_while_there_is_nothing() -> None:
    desk = hedged()
    again = refused(desk, "pms.position_mode", subAccountId="alice", hedge=True)
    assert again.code is Code.NO_CHANGE
    order = trade(desk, quantity="0.01", positionSide=LONG, type="LIMIT", price="59000")
    back = {"subAccountId": "alice", "hedge": False}
    refusal = refused(desk, "pms.position_mode", **back)
    assert (refusal.code, refusal.limit, refusal.actual) == (Code.POSITION_MODE, "0", "1")
    fill(desk, order, price="59000")
    assert refused(desk, "pms.position_mode", **back).code is Code.POSITION_MODE
    fill(desk, trade(desk, side="SELL", quantity="0.01", positionSide=LONG), price="60000")
    (row,) = decide(desk, "pms.position_mode", **back).entry.rows.sub_accounts
    assert not row.hedge
    trade(desk)


def test_the_mode_does_not_change_while_trades_may_be_unbooked() -> None:
    desk = desk_at()
    refusal = refused(
        desk, "pms.position_mode", subAccountId="alice", hedge=True, closed_because="recovering"
    )
    assert refusal.code is Code.NOT_READY


def test_leverage_is_one_number_for_both_sides_and_goes_along_with_the_mode() -> None:
    desk = desk_at()
    decide(desk, "pms.leverage", subAccountId="alice", symbol="BTCUSDT", leverage=20)
    posting = decide(desk, "pms.position_mode", subAccountId="alice", hedge=True)
    assert [(row.position_side, row.leverage) for row in posting.entry.rows.positions] == [
        (LONG, 20),
        (SHORT, 20),
    ]
    order = decide(
        desk,
        "pms.trade",
        subAccountId="alice",
        symbol="BTCUSDT",
        side="BUY",
        quantity="0.1",
        positionSide=LONG,
    )
    fill(desk, order, price="60000")
    fill(desk, trade(desk, side="SELL", quantity="0.1", positionSide=SHORT, leverage=40), price="60000")
    assert desk.snapshot("alice").margin_used == D(150) + D(150), "the short's order changed the long's too"


def test_more_than_the_long_opens_the_short_and_is_told() -> None:
    """A trade after a correction took the position away: it has happened, and nothing of it is dropped."""
    desk = both(long="0.1", short="0.04")
    posting = trade(desk, side="SELL", quantity="0.1", positionSide=LONG, type="LIMIT", price="61000")
    corrected = {"subAccountId": "alice", "symbol": "BTCUSDT", "positionSide": LONG}
    decide(desk, "pms.adjust", **corrected, quantity="-0.07", price="60000", actor="ann", reason="taken")
    entry = fill(desk, posting, price="61000").entry
    assert quantities(desk) == (0, D("-0.11"))
    assert [incident.kind for incident in entry.rows.incidents] == ["beyond_position"]
    moved = {(row.sub_account_id, row.position_side): row.quantity for row in entry.rows.moves}
    assert moved == {("alice", LONG): D("0.07"), ("alice", SHORT): D("-0.07")}, (
        "fills and moves make the rows"
    )
    balances = (account.balance for account in desk.accounts.values())
    held = {place: position.quantity for place, position in desk.positions.items()}
    assert desk.treasury.recount(balances, held) == []


def test_an_order_that_nobody_remembers_reduces_first() -> None:
    desk = both(long="0.1", short="0.04")
    order, _ = adopt(
        desk,
        client_order_id="PMS_alice_M_aaaaaaaaaaaaaaaaaaaa",
        exchange_order_id=77,
        symbol="BTCUSDT",
        side="BUY",
        order_type="LIMIT",
        quantity=D("0.05"),
        price=D(60000),
        time_in_force="GTC",
        word="NEW",
        filled=D(0),
        at=5,
    )
    assert order.spec.position_side == SHORT
    assert book(
        desk, trade_of(order_row(order), 77, trade_id=900, quantity=D("0.05"), price=D(60000), paid=D(0))
    )
    assert quantities(desk) == (D("0.11"), 0)


def lost(
    desk: Desk, number: int, side: str, quantity: str, *, kind: str = "M", filled: str | None = None
) -> OrderRow:
    """An order that Redis forgot and the exchange lists as filled; none of its trades is booked yet."""
    order, _ = adopt(
        desk,
        client_order_id=f"PMS_alice_{kind}_{number:020}",
        exchange_order_id=number,
        symbol="BTCUSDT",
        side=side,
        order_type="MARKET",
        quantity=D(quantity),
        price=None,
        time_in_force="GTC",
        word="NEW" if filled == "0" else "FILLED",
        filled=D(filled or quantity),
        at=5,
    )
    return order_row(order)


def traded(desk: Desk, row: OrderRow, number: int, *quantities: str) -> list[str]:
    """Book an order's trades; returns its position side by the row of each entry."""
    sides = []
    for quantity in quantities:
        posting = book(
            desk,
            trade_of(row, number, trade_id=desk.last_seq, quantity=D(quantity), price=D(60000), paid=D(0)),
        )
        assert posting is not None
        sides += [order.position_side for order in posting.entry.rows.orders]
    return sides


def test_of_two_that_nobody_remembers_the_exit_closes_what_the_entry_opened() -> None:
    """Both are adopted before the trades of either are read: only then is there a long to be reduced."""
    desk = desk_at()
    decide(desk, "pms.position_mode", subAccountId="alice", hedge=True)
    entry, exit_ = lost(desk, 5, "BUY", "0.16"), lost(desk, 6, "SELL", "0.04")
    assert traded(desk, entry, 5, "0.108", "0.052") == [LONG, LONG]
    assert traded(desk, exit_, 6, "0.008", "0.032") == [LONG, LONG]
    assert quantities(desk) == (D("0.12"), 0)
    assert desk.accounts["alice"].open_orders == 0
    assert not any(pending.orders for pending in desk.pending["alice"].values())


def test_one_that_nobody_remembers_keeps_the_side_that_it_began_to_trade_for() -> None:
    desk = desk_at()
    decide(desk, "pms.position_mode", subAccountId="alice", hedge=True)
    entry, other = lost(desk, 5, "BUY", "0.16"), lost(desk, 6, "SELL", "0.1")
    assert traded(desk, other, 6, "0.06") == [SHORT]
    assert traded(desk, entry, 5, "0.06", "0.1") == [SHORT, SHORT], "it reduces first, as ever"
    assert quantities(desk) == (D("0.1"), 0)
    assert traded(desk, other, 6, "0.04") == [SHORT]
    assert quantities(desk) == (D("0.1"), D("-0.04"))


def test_one_that_nobody_remembers_and_that_rested_is_for_the_side_that_it_found_then() -> None:
    """The long was opened since: what may be an entry, and is being cancelled, takes nothing from it."""
    desk = desk_at()
    decide(desk, "pms.position_mode", subAccountId="alice", hedge=True)
    resting = lost(desk, 6, "SELL", "0.04", filled="0")
    fill(desk, trade(desk, quantity="0.1", positionSide=LONG), price="60000")
    assert traded(desk, resting, 6, "0.04") == [SHORT]
    assert quantities(desk) == (D("0.1"), D("-0.04"))


def test_an_algo_s_order_that_nobody_remembers_keeps_the_side_that_its_algo_will_count() -> None:
    """Both legs of a scalper whose start was lost, too: begun again, it finds what each has opened."""
    desk = desk_at()
    decide(desk, "pms.position_mode", subAccountId="alice", hedge=True)
    long, short = lost(desk, 5, "BUY", "0.16", kind="S00"), lost(desk, 6, "SELL", "0.16", kind="S04")
    assert traded(desk, long, 5, "0.16") == [LONG]
    assert traded(desk, short, 6, "0.16") == [SHORT]
    assert quantities(desk) == (D("0.16"), D("-0.16"))


@pytest.mark.parametrize("batch", [False, True])
def test_what_was_asked_for_a_side_is_never_another_s(batch: bool) -> None:
    """Also where the exchange tells that it traded before it tells of the trade, and in a batch."""
    desk = both(long="0.1", short="0.04")
    asked = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.02", "positionSide": SHORT, "type": "MARKET"}
    if batch:
        posting = decide(desk, "pms.batch", subAccountId="alice", orders=[{**asked, "leverage": 20}])
    else:
        posting = trade(desk, side="SELL", quantity="0.02", positionSide=SHORT)
    row = posting.entry.rows.orders[0]
    observe(desk, desk.orders[row.client_order_id], Seen(9, "FILLED", D("0.02")), at=5)
    assert traded(desk, row, 9, "0.02") == [SHORT]
    assert quantities(desk) == (D("0.1"), D("-0.06"))


def test_an_order_of_the_other_mode_that_trades_late_is_booked_to_this_one() -> None:
    desk = desk_at()
    late = trade(desk, quantity="0.01", type="LIMIT", price="59000").entry.rows.orders[0]
    observe(desk, desk.orders[late.client_order_id], Seen(5, "CANCELED", D(0)), at=5)
    decide(desk, "pms.position_mode", subAccountId="alice", hedge=True)
    assert book(desk, trade_of(late, 5, trade_id=1, quantity=D("0.01"), price=D(59000), paid=D(0)))
    assert quantities(desk) == (D("0.01"), 0)


def test_a_close_takes_the_side_it_names() -> None:
    desk = both()
    short = next(view for view in desk.snapshot("alice").positions if view.side == SHORT)
    (row,) = decide(desk, "pms.close", positionId=short.id).entry.rows.orders
    assert (row.side, row.quantity, row.position_side) == ("BUY", D("0.04"), SHORT)
    posting = decide(desk, "pms.close_all", subAccountId="alice")
    (row,) = posting.entry.rows.orders
    assert (row.side, row.quantity, row.position_side) == ("SELL", D("0.1"), LONG)


def test_a_funding_is_paid_by_the_long_and_to_the_short() -> None:
    desk = both(long="0.1", short="0.04")
    posting = allot(desk, "BTCUSDT", Rate(3000, D("0.0001"), D(60000)))
    assert posting is not None
    parts = {(row.sub_account_id, row.position_side): row.amount for row in posting.entry.rows.fundings}
    assert parts == {("alice", LONG): D("-0.6"), ("alice", SHORT): D("0.24"), ("house", BOTH): D("0.36")}
    lines = [line.amount for line in posting.entry.rows.ledger if line.sub_account_id == "alice"]
    assert sorted(lines) == [D("-0.6"), D("0.24")]


def test_an_import_is_of_the_side_that_its_sign_says() -> None:
    desk = hedged()
    wish = {"subAccountId": "alice", "symbol": "BTCUSDT", "entryPrice": "60000"}
    decide(desk, "pms.import_position", **wish, quantity="0.5")
    decide(desk, "pms.import_position", **wish, quantity="-0.2", leverage=20)
    assert quantities(desk) == (D("0.5"), D("-0.2"))
    assert {view.leverage for view in desk.snapshot("alice").positions} == {20}
    assert desk.treasury.net["BTCUSDT"] == 0


def test_a_correction_names_its_side_and_keeps_to_it() -> None:
    desk = both(long="0.1", short="0.04")
    wish = {"symbol": "BTCUSDT", "actor": "ann", "reason": "found at the exchange"}
    to_house = {**wish, "fromAccountId": "alice", "toAccountId": "house"}
    assert refused(desk, "pms.reassign", **to_house).code is Code.POSITION_SIDE
    adjusting = {**wish, "subAccountId": "alice", "price": "60000", "positionSide": SHORT}
    beyond = refused(desk, "pms.adjust", **adjusting, quantity="0.05")
    assert (beyond.code, beyond.limit) == (Code.QUANTITY_MAX, "-0.04")
    decide(desk, "pms.reassign", **to_house, positionSide=SHORT)
    assert quantities(desk) == (D("0.1"), 0)
    assert desk.position("house", "BTCUSDT").quantity == D("-0.04")


def test_a_restart_holds_the_same_margin_back() -> None:
    """The short has no row, only an order; the long's row says how it is margined.

    The order that changed it was decided too late and never journaled; what it changed is.
    """
    desk = hedged()
    accounts = Rows(sub_accounts=tuple(account.row() for account in desk.accounts.values()))
    long = trade(desk, quantity="0.1", positionSide=LONG)
    entries = [
        long.entry,
        fill(desk, long, price="60000").entry,
        trade(
            desk, side="SELL", quantity="0.1", positionSide=SHORT, type="LIMIT", price="61000", leverage=10
        ).entry,
    ]
    late = trade(desk, quantity="0.1", positionSide=LONG, leverage=20).entry.rows.orders[0]
    desk.forget_order(desk.orders[late.client_order_id])
    entries.append(note_position(desk, ("alice", "BTCUSDT", LONG), at=3000).entry)
    again = Desk(epoch="e2")
    again.tops |= desk.tops
    for rows in (accounts, *(entry.rows for entry in entries)):
        again.load(rows)
    assert desk.snapshot("alice").margin_used == D(300) + D(305)
    assert again.snapshot("alice").margin_used == desk.snapshot("alice").margin_used
    assert again.accounts["alice"].hedge
