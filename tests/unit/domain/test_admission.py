"""Admission refuses with a code, a field, a limit and the actual value, and then nothing has changed."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest
from desk_maker import decide, desk_at, move_price, trade

from pms.contract.codes import Code, Refusal
from pms.contract.reading import read_command
from pms.domain.booking import Trade, book, observe
from pms.domain.decisions import Asked, client_order_id, kind_of
from pms.domain.desk import Desk, Top
from pms.domain.orders import Seen
from pms.domain.posting import Undecided
from pms.domain.recalling import met_again

D = Decimal

BAD_TRADES = [
    ({"account": "nobody"}, Code.UNKNOWN_ACCOUNT, "subAccountId"),
    ({"account": "house"}, Code.HOUSE_ONLY, "subAccountId"),
    ({"symbol": "NOSUCH"}, Code.UNKNOWN_SYMBOL, "symbol"),
    ({"quantity": "0"}, Code.QUANTITY_ZERO, "quantity"),
    ({"quantity": "-1"}, Code.QUANTITY_ZERO, "quantity"),
    ({"quantity": "0.0015"}, Code.QUANTITY_STEP, "quantity"),
    ({"quantity": "0.0001"}, Code.QUANTITY_MIN, "quantity"),
    ({"quantity": "101"}, Code.QUANTITY_MAX, "quantity"),
    ({"price": "60000"}, Code.PRICE_UNWANTED, "price"),
    ({"timeInForce": "IOC"}, Code.TIME_IN_FORCE, "timeInForce"),
    ({"type": "LIMIT"}, Code.PRICE_MISSING, "price"),
    ({"type": "LIMIT", "price": "60000.05"}, Code.PRICE_TICK, "price"),
    ({"type": "LIMIT", "price": "0.1"}, Code.PRICE_RANGE, "price"),
    ({"type": "LIMIT", "price": "70000"}, Code.PRICE_COLLAR, "price"),
    ({"leverage": 126}, Code.LEVERAGE_RANGE, "leverage"),
    ({"quantity": "10"}, Code.MARGIN, "quantity"),
    ({"reduceOnly": True}, Code.REDUCE_ONLY, "quantity"),
]


@pytest.mark.parametrize(("fields", "code", "field"), BAD_TRADES, ids=[case[1].value for case in BAD_TRADES])
def test_a_bad_trade_is_refused_and_changes_nothing(
    fields: dict[str, object], code: Code, field: str
) -> None:
    desk = desk_at()
    before = shape(desk)
    with pytest.raises(Refusal) as refused:
        trade(desk, **fields)  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.field) == (code, field)
    assert shape(desk) == before


def shape(desk: Desk) -> object:
    """Everything a refusal must leave as it was."""
    return deepcopy(
        (
            desk.last_seq,
            sorted(desk.orders),
            sorted(desk.live),
            {name: (a.balance, a.status, a.open_orders) for name, a in desk.accounts.items()},
            desk.snapshot("alice"),
            desk.snapshot("bob"),
            desk.reserved,
        )
    )


def test_the_minimum_notional_is_judged_at_the_touch() -> None:
    desk = desk_at("4000")
    with pytest.raises(Refusal) as refused:
        trade(desk, quantity="0.001")
    assert (refused.value.code, refused.value.limit, refused.value.actual) == ("MIN_NOTIONAL", "5", "4.0001")


def test_no_price_no_order() -> None:
    desk = desk_at()
    desk.tops.clear()
    with pytest.raises(Refusal) as refused:
        trade(desk)
    assert refused.value.code is Code.PRICE_STALE


def test_a_closed_gate_admits_no_trade_but_every_cancel() -> None:
    desk = desk_at()
    posting = trade(desk, type="LIMIT", price="59000")
    order = posting.entry.rows.orders[0].client_order_id
    with pytest.raises(Refusal) as refused:
        trade(desk, closed_because="the feed is stale")
    assert refused.value.code is Code.NOT_READY
    cancel = decide(desk, "pms.cancel", orderId=order, closed_because="the feed is stale")
    assert cancel.entry.rows.orders[0].cancel_wanted


def test_a_cancel_is_wanted_only_once_its_decision_stands() -> None:
    """A decision that came too late tells that nothing was done; then nobody may act on it."""
    desk = desk_at()
    order = trade(desk, type="LIMIT", price="59000").entry.rows.orders[0].client_order_id
    cancel = decide(desk, "pms.cancel", orderId=order)
    assert cancel.entry.rows.orders[0].cancel_wanted
    assert not desk.orders[order].cancel_wanted


def test_a_command_that_redis_forgot_meets_its_order_whatever_else_forbids_it() -> None:
    desk = desk_at()
    first = trade(desk, quantity="0.002")
    asked = Asked(
        request_id=first.entry.rows.commands[0].request_id,
        command="pms.trade",
        text="{}",
        at=1,
        deadline=2,
        now=1000,
        closed_because="the streamer is recovering",
    )
    desk.requests.clear()
    command = read_command("pms.trade", first.entry.rows.commands[0].text)
    again = met_again(desk, asked, command)
    assert again is not None
    (answer,) = again.results
    assert (answer.success, answer.order_id) == (True, first.entry.rows.orders[0].client_order_id)
    assert isinstance(again.guard, Undecided)
    assert again.guard.deadline > 10**15, "what was done is not undone by a deadline"
    assert met_again(desk, replace(asked, request_id=str(uuid4())), command) is None


def test_a_parent_that_looks_like_a_kind_is_none() -> None:
    assert kind_of("PMS_alice_M_xx_C_yyyyyyyyyyyyyyy") == "M"
    assert kind_of("PMS_alice_C_xx_M_yyyyyyyyyyyyyyy") == "C"


def test_a_loss_counts_as_it_was_last_seen_while_its_symbol_has_no_price() -> None:
    desk = desk_at()
    desk.instruments["ETHUSDT"] = replace(desk.instruments["BTCUSDT"], symbol="ETHUSDT", base_asset="ETH")
    desk.price("ETHUSDT", Top(D(3000), D(1), D("3000.1"), D(1), 1))
    fill(desk, trade(desk, quantity="1", leverage=100), price="60000")
    opening = {"symbol": "ETHUSDT", "type": "LIMIT", "price": "3000", "quantity": "10"}
    bid = trade(desk, **{**opening, "quantity": "1"}).entry.rows.orders[0].client_order_id
    desk.orders[bid].receive(Seen(9, "NEW", D(0)))
    move_price(desk, "52000")
    seen = desk.snapshot("alice").equity
    assert seen == D("2000.05")
    for lost in (False, True):
        if lost:
            del desk.tops["BTCUSDT"]
        with pytest.raises(Refusal) as refused:
            trade(desk, **opening)
        assert refused.value.code is Code.MARGIN
        with pytest.raises(Refusal) as refused:
            decide(desk, "pms.amend", orderId=bid, quantity="10")
        assert refused.value.code is Code.MARGIN
        assert desk.snapshot("alice").equity == seen


def test_open_orders_hold_their_margin_back() -> None:
    desk = desk_at()
    trade(desk, type="LIMIT", price="59000", quantity="0.1")
    assert desk.snapshot("alice").margin_used == D("590")
    trade(desk, type="LIMIT", price="62000", side="SELL", quantity="0.1")
    assert desk.snapshot("alice").margin_used == D("620")


def test_what_only_reduces_holds_nothing_back() -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="0.1"), price="60000")
    used = desk.snapshot("alice").margin_used
    trade(desk, type="LIMIT", price="61000", side="SELL", quantity="0.1")
    assert desk.snapshot("alice").margin_used == used


def test_an_order_that_would_meet_a_sibling_s_is_refused() -> None:
    desk = desk_at()
    trade(desk, "bob", type="LIMIT", price="60000.1", side="SELL", quantity="0.01")
    for fields in ({}, {"type": "LIMIT", "price": "60000.1"}, {"type": "LIMIT", "price": "60010"}):
        with pytest.raises(Refusal) as refused:
            trade(desk, **fields)
        assert refused.value.code is Code.SELF_MATCH
    trade(desk, type="LIMIT", price="60000")


def test_a_frozen_account_may_only_reduce() -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="0.1"), price="60000")
    decide(desk, "pms.freeze", subAccountId="alice")
    with pytest.raises(Refusal) as refused:
        trade(desk)
    assert refused.value.code is Code.ACCOUNT_FROZEN
    trade(desk, side="SELL", quantity="0.1")


def test_reduce_only_counts_what_other_orders_already_close() -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="0.1"), price="60000")
    trade(desk, side="SELL", quantity="0.06", type="LIMIT", price="61000", reduceOnly=True)
    with pytest.raises(Refusal) as refused:
        trade(desk, side="SELL", quantity="0.05", type="LIMIT", price="61000", reduceOnly=True)
    assert (refused.value.code, refused.value.limit) == (Code.REDUCE_ONLY, "0.04")


def test_a_close_takes_what_is_left_to_close() -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="0.1"), price="60000")
    position = desk.snapshot("alice").positions[0].id
    posting = decide(desk, "pms.close", positionId=position)
    assert posting.entry.rows.orders[0].quantity == D("0.1")
    assert posting.entry.rows.orders[0].side == "SELL"
    with pytest.raises(Refusal) as refused:
        decide(desk, "pms.close", positionId=position)
    assert refused.value.code is Code.REDUCE_ONLY


def test_the_same_request_makes_the_same_order_id_of_at_most_36_characters() -> None:
    request = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
    first = client_order_id("twelve-letters", "M", request, at=5)
    assert first == client_order_id("twelve-letters", "M", request.upper(), at=6)
    assert first.startswith("PMS_twelve-l_M_")
    assert len(first) <= 36


def test_a_second_account_with_the_same_tag_is_refused() -> None:
    desk = desk_at()
    decide(desk, "pms.create_account", subAccountId="desk-one-a")
    with pytest.raises(Refusal) as refused:
        decide(desk, "pms.create_account", subAccountId="desk-one-b")
    assert refused.value.code is Code.ACCOUNT_EXISTS


def test_a_transfer_takes_no_more_than_is_free() -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="1", leverage=10), price="60000")
    move_price(desk, "60000")
    with pytest.raises(Refusal) as refused:
        decide(desk, "pms.transfer", fromAccountId="alice", toAccountId="bob", amount="5000")
    assert refused.value.code is Code.BALANCE


def fill(desk: Desk, posting: object, *, price: str) -> None:
    """Let the exchange fill an admitted order completely."""
    row = posting.entry.rows.orders[0]  # type: ignore[attr-defined]
    order = desk.orders[row.client_order_id]
    number = desk.last_seq
    observe(desk, order, Seen(number, "NEW", D(0)), at=2000)
    seen = Seen(number, "FILLED", row.quantity)
    done = Trade(
        symbol=row.symbol,
        exchange_order_id=number,
        trade_id=number,
        client_order_id=row.client_order_id,
        side=row.side,
        price=D(price),
        quantity=row.quantity,
        commission=D(0),
        commission_asset="USDT",
        realized_pnl=D(0),
        maker=False,
        at=2000,
    )
    assert book(desk, done, fact=seen) is not None


def test_a_command_that_changes_an_open_positions_leverage_journals_it() -> None:
    """Otherwise the margin would be another after a restart."""
    desk = desk_at()
    first = trade(desk, quantity="0.010", leverage=10).entry.rows.orders[0]
    fill = Trade(
        symbol="BTCUSDT",
        exchange_order_id=1,
        trade_id=1,
        client_order_id=first.client_order_id,
        side="BUY",
        price=D(60000),
        quantity=D("0.010"),
        commission=D(0),
        commission_asset="USDT",
        realized_pnl=D(0),
        maker=False,
        at=1,
    )
    book(desk, fill)
    assert trade(desk, quantity="0.001", leverage=10).entry.rows.positions == ()
    (position,) = trade(desk, quantity="0.001", leverage=20).entry.rows.positions
    assert (position.leverage, position.quantity) == (20, D("0.010"))


def test_nothing_is_opened_in_a_delivery_contract_and_what_is_held_of_one_can_be_closed() -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="0.02"), price="60000")
    desk.instruments["BTCUSDT"] = replace(desk.instruments["BTCUSDT"], contract="CURRENT_QUARTER")
    for name, fields in (
        ("pms.trade", {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01"}),
        ("pms.chase", {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01"}),
    ):
        with pytest.raises(Refusal) as refused:
            decide(desk, name, subAccountId="alice", **fields)
        assert refused.value.code is Code.SYMBOL_STATUS
        assert refused.value.limit == "PERPETUAL"
    assert trade(desk, side="SELL", quantity="0.01", reduceOnly=True).entry.rows.orders
    position = desk.position("alice", "BTCUSDT")
    assert decide(desk, "pms.close", positionId=position.id).entry.rows.orders
