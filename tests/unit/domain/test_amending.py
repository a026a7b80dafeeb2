"""An amendment carries the total, one at a time, and margin is held for the larger of both terms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from desk_maker import D, decide, desk_at, trade

from pms.contract.codes import Code, Refusal
from pms.contract.journal import OrderRow, Rows, decode_entry, encode_entry
from pms.domain.amending import withdraw_amend
from pms.domain.booking import Trade, book, observe
from pms.domain.desk import Desk
from pms.domain.orders import Amended, AmendFailed, Order, Seen, State
from pms.domain.rows import order_from, order_row


def resting(desk: Desk, account: str = "alice", **fields: Any) -> Order:
    """A bid of 0.1 at 59000, which the exchange has confirmed."""
    terms = {"type": "LIMIT", "price": "59000", "quantity": "0.1", **fields}
    order = desk.orders[trade(desk, account, **terms).entry.rows.orders[0].client_order_id]
    number = 6 + len(desk.orders)
    observe(desk, order, Seen(number, "NEW", D(0), None, order.quantity, order.price, 10), at=10)
    return order


def amend(desk: Desk, order: Order, **terms: object) -> Any:
    return decide(desk, "pms.amend", orderId=order.spec.client_order_id, **terms)


def fill(desk: Desk, order: Order, quantity: str, *, number: int = 1) -> None:
    row = Trade(
        symbol="BTCUSDT",
        exchange_order_id=order.exchange_order_id or 0,
        trade_id=number,
        client_order_id=order.spec.client_order_id,
        side=order.spec.side,
        price=D(59000),
        quantity=D(quantity),
        commission=D(0),
        commission_asset="USDT",
        realized_pnl=D(0),
        maker=True,
        at=20,
    )
    book(desk, row)


def reserved(desk: Desk) -> Any:
    return desk.reserved_margin("alice")


def test_margin_and_live_quantity_are_the_larger_of_both_until_the_feed_says_which() -> None:
    desk = desk_at()
    order = resting(desk)
    assert (order.leaves, reserved(desk)) == (D("0.1"), D("590"))
    amend(desk, order, quantity="0.2", price="58000")
    assert (order.leaves, reserved(desk)) == (D("0.2"), D("1160"))
    observe(desk, order, Amended(7, D("0.2"), D(58000), 30), at=30)
    assert (order.amend, order.leaves, reserved(desk)) == (None, D("0.2"), D("1160"))
    amend(desk, order, quantity="0.05")
    assert (order.leaves, reserved(desk)) == (D("0.2"), D("1160")), "the smaller one is not sure yet"
    observe(desk, order, Amended(7, D("0.05"), D(58000), 40), at=40)
    assert (order.leaves, reserved(desk)) == (D("0.05"), D("290"))


def test_what_fails_gives_the_margin_back_and_says_why() -> None:
    desk = desk_at()
    order = resting(desk)
    request = amend(desk, order, quantity="0.2").entry.rows.commands[0].request_id
    posting = observe(desk, order, AmendFailed(1, "-2019: no", "EXCHANGE_REFUSED"), at=50)
    assert posting is not None
    assert reserved(desk) == D("590")
    [result] = posting.results
    assert (result.request_id, result.success, result.code) == (request, False, "EXCHANGE_REFUSED")
    [event] = posting.events
    assert event.type == "order_active"
    assert event.reason == "not amended: -2019: no"
    assert (event.quantity, event.account.margin_used) == (D("0.1"), D("590"))


def test_a_failure_of_an_earlier_wish_ends_nothing() -> None:
    desk = desk_at()
    order = resting(desk)
    amend(desk, order, quantity="0.2")
    observe(desk, order, Amended(7, D("0.2"), D(59000), 30), at=30)
    amend(desk, order, quantity="0.3")
    observe(desk, order, AmendFailed(1, "late"), at=31)
    assert order.amend is not None
    assert order.amend.number == 2


def test_an_order_that_ends_takes_its_amendment_with_it() -> None:
    desk = desk_at()
    order = resting(desk)
    amend(desk, order, quantity="0.2")
    fill(desk, order, "0.1")
    assert order.state is State.PARTIALLY_FILLED, "the amendment may have made room for more"
    posting = observe(desk, order, Seen(7, "FILLED", D("0.1"), None, D("0.1"), D(59000), 25), at=25)
    assert posting is not None
    assert order.state is State.FILLED
    answer = next(result for result in posting.results if result.command == "pms.amend")
    assert (answer.success, answer.code, answer.state) == (False, "ORDER_CLOSED", "filled")
    assert not desk.pending["alice"]


@pytest.mark.parametrize(
    ("terms", "code", "field"),
    [
        ({"quantity": "0.06"}, Code.BELOW_FILLED, "quantity"),
        ({"quantity": "0.05"}, Code.BELOW_FILLED, "quantity"),
        ({"quantity": "0.1", "price": "59000"}, Code.NO_CHANGE, "price"),
        ({"quantity": "0.1005"}, Code.QUANTITY_STEP, "quantity"),
        ({"price": "59000.05"}, Code.PRICE_TICK, "price"),
        ({"price": "90000"}, Code.PRICE_COLLAR, "price"),
        ({"price": "60500"}, Code.SELF_MATCH, "price"),
        ({"quantity": "9"}, Code.MARGIN, "quantity"),
        ({}, Code.MISSING_FIELD, "quantity"),
    ],
)
def test_what_is_refused_changes_nothing(terms: dict[str, str], code: Code, field: str) -> None:
    desk = desk_at()
    order = resting(desk)
    resting(desk, "bob", side="SELL", price="60400")
    fill(desk, order, "0.06")
    before = order_row(order), reserved(desk), desk.last_seq
    with pytest.raises(Refusal) as refused:
        amend(desk, order, **terms)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert (order_row(order), reserved(desk), desk.last_seq) == before


def test_an_order_that_is_not_at_rest_is_not_amended() -> None:
    desk = desk_at()
    placing = desk.orders[trade(desk, type="LIMIT", price="59000").entry.rows.orders[0].client_order_id]
    market = desk.orders[trade(desk).entry.rows.orders[0].client_order_id]
    observe(desk, market, Seen(8, "NEW", D(0)), at=1)
    amending, cancelling = resting(desk), resting(desk, price="58000")
    amend(desk, amending, quantity="0.2")
    cancelling.cancel_wanted = True
    for order, code in (
        (placing, Code.ORDER_UNPROVEN),
        (market, Code.NOT_AMENDABLE),
        (amending, Code.AMEND_PENDING),
        (cancelling, Code.CANCEL_PENDING),
    ):
        with pytest.raises(Refusal) as refused:
            amend(desk, order, quantity="0.3")
        assert refused.value.code is code


def test_a_frozen_account_may_amend_only_to_less() -> None:
    desk = desk_at()
    order = resting(desk)
    decide(desk, "pms.freeze", subAccountId="alice")
    for terms in ({"quantity": "0.2"}, {"price": "59100"}):
        with pytest.raises(Refusal) as refused:
            amend(desk, order, **terms)
        assert refused.value.code is Code.ACCOUNT_FROZEN
    amend(desk, order, quantity="0.05")


def test_our_order_may_be_met_at_both_prices_while_it_is_amended() -> None:
    desk = desk_at()
    order = resting(desk)
    amend(desk, order, price="59500")
    for price in ("59400", "59500"):
        with pytest.raises(Refusal) as refused:
            trade(desk, "bob", side="SELL", type="LIMIT", price=price, quantity="0.01")
        assert (refused.value.code, refused.value.limit) == (Code.SELF_MATCH, "59500")
    observe(desk, order, AmendFailed(1, "no"), at=50)
    trade(desk, "bob", side="SELL", type="LIMIT", price="59400", quantity="0.01")


def test_a_wish_that_came_too_late_is_taken_back() -> None:
    desk = desk_at()
    order = resting(desk)
    before = order_row(order), reserved(desk), list(desk.resting)
    amend(desk, order, quantity="0.2", price="59500")
    withdraw_amend(desk, order, number=1)
    assert (order_row(order), reserved(desk), list(desk.resting)) == before


def test_a_wish_that_there_is_no_margin_for_stands_in_nobodys_way() -> None:
    desk = desk_at()
    order = resting(desk)
    with pytest.raises(Refusal) as refused:
        amend(desk, order, quantity="900", price="59500")
    assert refused.value.code is Code.MARGIN
    assert desk.resting.best("BTCUSDT", "BUY") == D(59_000)
    trade(desk, "bob", side="SELL", type="LIMIT", price="59400", quantity="0.01")


def test_a_wish_taken_back_leaves_no_price_behind_the_next_start_either() -> None:
    desk = desk_at()
    order = resting(desk)
    wished = amend(desk, order, price="59500").entry.rows
    withdraw_amend(desk, order, number=1)
    again = desk_at()
    again.load(wished)
    again.load(Rows(orders=(order_row(order),)))
    assert again.resting.best("BTCUSDT", "BUY") == D(59_000)


def test_the_journal_brings_the_wish_back() -> None:
    desk = desk_at()
    order = resting(desk)
    [row] = decode_entry(encode_entry(amend(desk, order, quantity="0.2").entry)).rows.orders
    again = order_from(row)
    assert again.amend == order.amend
    assert (again.amends, again.total, again.terms_at) == (1, D("0.2"), 10)


def test_a_row_of_before_amendments_is_read() -> None:
    desk = desk_at()
    order = resting(desk)
    text = encode_entry(trade(desk).entry)
    old = {name for name in OrderRow.__struct_fields__ if name.startswith("amend")} | {"terms_at"}
    fields = json.loads(text)
    for name in old:
        del fields["rows"]["orders"][0][name]
    [row] = decode_entry(json.dumps(fields).encode()).rows.orders
    assert order_from(row).amend is None
    assert order.amend is None


def test_a_reduce_only_order_is_amended_within_the_position() -> None:
    desk = desk_at()
    bought = resting(desk)
    fill(desk, bought, "0.1")
    closing = resting(desk, side="SELL", price="61000", quantity="0.05", reduceOnly=True)
    amend(desk, closing, quantity="0.1")
    observe(desk, closing, AmendFailed(1, "no"), at=50)
    with pytest.raises(Refusal) as refused:
        amend(desk, closing, quantity="0.101")
    assert (refused.value.code, refused.value.limit) == (Code.REDUCE_ONLY, "0.1")


@pytest.mark.parametrize("told", ["counted", "booked"])
def test_what_it_has_traded_and_nobody_has_booked_is_no_room_to_grow(told: str) -> None:
    desk = desk_at()
    bought = resting(desk)
    fill(desk, bought, "0.1")
    closing = resting(desk, side="SELL", price="61000", quantity="0.05", reduceOnly=True)
    if told == "booked":
        fill(desk, closing, "0.02", number=2)
    else:
        number = closing.exchange_order_id
        assert number is not None
        observe(desk, closing, Seen(number, "PARTIALLY_FILLED", D("0.02")), at=30)
    with pytest.raises(Refusal) as refused:
        amend(desk, closing, quantity="0.101")
    assert refused.value.code is Code.REDUCE_ONLY
    amend(desk, closing, quantity="0.1")
    fill(desk, closing, "0.1" if told == "counted" else "0.08", number=3)
    assert desk.position("alice", "BTCUSDT").quantity == 0


def test_a_wish_that_the_journal_never_had_leaves_the_order_as_it_was() -> None:
    desk = desk_at()
    order = resting(desk)
    amend(desk, order, quantity="0.2")
    observe(desk, order, AmendFailed(1, "-2019: no", "EXCHANGE_REFUSED"), at=50)
    journaled, failed = order_row(order), order.amend_end
    amend(desk, order, quantity="0.3")
    withdraw_amend(desk, order, number=2)
    assert (order_row(order), order.amend_end) == (journaled, failed)
