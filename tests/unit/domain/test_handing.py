"""Orders that go to the house: every command that waits is answered to the account that asked, and only once.

The interleavings are those of two entries, the command's and the takeover's, and of whatever the exchange
says of the order behind them.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from desk_maker import D, decide, desk_at, move_price, request_id, trade
from filling import fill, trade_of

from pms.contract.codes import Code, Refusal
from pms.contract.journal import Rows, decode_entry, encode_entry
from pms.contract.names import HOUSE
from pms.contract.results import Result
from pms.domain.amending import withdraw_amend
from pms.domain.booking import book, observe
from pms.domain.desk import Desk
from pms.domain.liquidation import liquidate
from pms.domain.orders import Accepted, Amended, AmendEnd, Order, Seen, State, Voided
from pms.domain.posting import Posting
from pms.domain.recalling import recalled
from pms.domain.rows import order_from, order_row
from pms.domain.tiers import DEFAULT
from pms.domain.weighing import weigh_account

NOW = 3000


@pytest.fixture
def desk() -> Desk:
    desk = desk_at()
    fill(desk, trade(desk, quantity="3", leverage=50), price="60000")
    return desk


def rest(desk: Desk, **fields: object) -> Order:
    posting = trade(desk, side="SELL", type="LIMIT", price="61000", quantity="1", leverage=50, **fields)
    order = desk.orders[posting.entry.rows.orders[0].client_order_id]
    observe(desk, order, Seen(77, "NEW", D(0), None, D(1), D(61000), 1500), at=1500)
    return order


def amend(desk: Desk, order: Order, **terms: object) -> Posting:
    return decide(desk, "pms.amend", orderId=order.spec.client_order_id, **terms)


def take_over(desk: Desk) -> Posting:
    move_price(desk, "56000")
    posting = liquidate(desk, "alice", weigh_account(desk, "alice"), DEFAULT, now=NOW)
    assert posting is not None
    assert not desk.held["alice"]
    return posting


def answered(*postings: Posting | None) -> list[Result]:
    return [result for posting in postings if posting for result in posting.results]


def gone(result: Result, command: str, request: str) -> None:
    assert (result.sub_account_id, result.command, result.request_id) == ("alice", command, request)
    assert (result.success, result.state, result.code) == (False, "cancelled", Code.TAKEN_OVER)


def test_an_amendment_in_flight_is_answered_to_the_account_and_not_inherited(desk: Desk) -> None:
    order, asked = rest(desk), request_id()
    amend(desk, order, quantity="2", price="61500", requestId=asked)
    posting = take_over(desk)
    (result,) = answered(posting)
    gone(result, "pms.amend", asked)
    assert order.amend is not None, "it may trade on either terms until it is over"
    assert (order.amend.request_id, order.leaves) == (None, 2)
    # Whatever the exchange says of it now, nobody is answered again.
    ended = observe(desk, order, Amended(77, D(2), D(61500), NOW + 1), at=NOW + 1)
    assert order.amend_end is AmendEnd.AMENDED
    assert answered(ended) == []
    assert ended is not None
    assert {event.sub_account_id for event in ended.events} == {HOUSE}
    traded = book(
        desk,
        trade_of(
            ended.entry.rows.orders[0],
            77,
            trade_id=900,
            quantity=D(2),
            price=D(61500),
            paid=D(0),
        ),
        fact=Seen(77, "FILLED", D(2)),
    )
    assert answered(traded) == []
    assert {symbol: row.quantity for symbol, row in desk.unwinds.items()} == {"BTCUSDT": D(1)}


def test_an_amendment_that_nobody_has_sent_is_sent_by_nobody(desk: Desk) -> None:
    order = rest(desk)
    amend(desk, order, quantity="2")
    (row,) = take_over(desk).entry.rows.orders
    # Its send right is refused behind its deadline, and that is over with this entry.
    assert row.amend_deadline == NOW
    assert row.amend_request_id is None
    assert row.amend_quantity == 2


def test_an_amendment_whose_decision_came_too_late_was_never_anybodys(desk: Desk) -> None:
    order = rest(desk)
    amend(desk, order, quantity="2")
    take_over(desk)
    withdraw_amend(desk, order, number=1)
    assert (order.amend, order.leaves) == (None, 1)
    assert desk.pending[HOUSE]["BTCUSDT", "BOTH"].sell_qty == 1


def test_an_order_not_yet_proven_is_answered_and_what_was_not_sent_is_sent_by_nobody(desk: Desk) -> None:
    asked = request_id()
    posting = trade(desk, side="SELL", quantity="1", leverage=50, requestId=asked)
    order = desk.orders[posting.entry.rows.orders[0].client_order_id]
    taken = take_over(desk)
    (result,) = answered(taken)
    gone(result, "pms.trade", asked)
    (row,) = taken.entry.rows.orders
    assert (row.sub_account_id, row.request_id, row.deadline) == (HOUSE, None, NOW)
    assert answered(observe(desk, order, Voided("cancelled before it was sent"), at=NOW + 1)) == []


def test_an_order_that_was_sent_trades_for_the_house_and_nobody_is_answered_again(desk: Desk) -> None:
    posting = trade(desk, side="SELL", quantity="1", leverage=50)
    row = posting.entry.rows.orders[0]
    observe(desk, desk.orders[row.client_order_id], Accepted(88), at=1200)
    taken = take_over(desk)
    assert len(answered(taken)) == 1
    booked = fill(desk, taken, price="56000")
    assert answered(booked) == []
    assert booked.entry.rows.fills[0].sub_account_id == HOUSE
    assert {symbol: row.quantity for symbol, row in desk.unwinds.items()} == {"BTCUSDT": D(2)}
    assert not desk.held["alice"]


def test_a_close_in_flight_is_answered_by_its_own_name(desk: Desk) -> None:
    asked = request_id()
    decide(desk, "pms.close", positionId=desk.position("alice", "BTCUSDT").id, requestId=asked)
    (result,) = answered(take_over(desk))
    gone(result, "pms.close", asked)


def batch(desk: Desk, asked: str) -> list[Order]:
    one = {"symbol": "BTCUSDT", "side": "SELL", "leverage": 50}
    posting = decide(
        desk,
        "pms.batch",
        subAccountId="alice",
        requestId=asked,
        orders=[
            {**one, "quantity": "0.5"},
            {**one, "type": "LIMIT", "price": "61000", "quantity": "1"},
        ],
    )
    return [desk.orders[row.client_order_id] for row in posting.entry.rows.orders]


def legs(result: Result) -> list[tuple[bool, str, str | None]]:
    assert result.details is not None
    return [(leg["success"], leg["state"], leg["code"]) for leg in result.details["orders"]]


def test_a_batch_in_flight_gets_its_one_result_and_what_was_proven_stays_so(desk: Desk) -> None:
    asked = request_id()
    market, _ = batch(desk, asked)
    traded = trade_of(
        order_row(market),
        91,
        trade_id=901,
        quantity=D("0.5"),
        price=D(60000),
        paid=D(0),
    )
    assert answered(book(desk, traded, fact=Seen(91, "FILLED", D("0.5")))) == []
    (result,) = answered(take_over(desk))
    assert (result.request_id, result.sub_account_id, result.success) == (asked, "alice", True)
    assert legs(result) == [(True, "filled", None), (False, "cancelled", Code.TAKEN_OVER)]
    assert desk.legs == {}


def test_a_batch_of_which_nothing_is_proven_fails_as_a_whole(desk: Desk) -> None:
    asked = request_id()
    orders = batch(desk, asked)
    taken = take_over(desk)
    (result,) = answered(taken)
    assert (result.request_id, result.success, result.code) == (asked, False, Code.TAKEN_OVER)
    assert legs(result) == [(False, "cancelled", Code.TAKEN_OVER)] * 2
    assert {order.spec.parent_id for order in orders} == {None}
    assert answered(*(observe(desk, order, Voided("never sent"), at=NOW + 1) for order in orders)) == []


def test_a_cancel_in_flight_is_answered_at_its_decision_in_the_accounts_name(desk: Desk) -> None:
    order, asked = rest(desk), request_id()
    cancelled = decide(desk, "pms.cancel", orderId=order.spec.client_order_id, requestId=asked)
    taken = take_over(desk)
    (result,) = answered(cancelled)
    assert (result.success, result.sub_account_id, result.request_id) == (True, "alice", asked)
    assert answered(taken) == []
    # Both rows are in the journal; the later one counts.
    rebuilt = order_from(taken.entry.rows.orders[0])
    assert (rebuilt.spec.sub_account_id, rebuilt.cancel_wanted) == (HOUSE, True)


def test_a_cancel_or_an_amendment_behind_the_takeover_is_told_where_the_order_went(desk: Desk) -> None:
    order = rest(desk)
    take_over(desk)
    seq = desk.last_seq
    with pytest.raises(Refusal) as refused:
        decide(desk, "pms.cancel", orderId=order.spec.client_order_id)
    assert (refused.value.code, refused.value.field) == (Code.TAKEN_OVER, "orderId")
    with pytest.raises(Refusal) as refused:
        amend(desk, order, quantity="2")
    assert refused.value.code == Code.CANCEL_PENDING
    assert desk.last_seq == seq


def test_a_repeat_that_only_the_journal_remembers_is_not_told_what_the_house_traded(desk: Desk) -> None:
    posting = trade(desk, side="SELL", quantity="1", leverage=50)
    given = decode_entry(encode_entry(posting.entry)).rows.commands[0]
    taken = take_over(desk)
    fill(desk, taken, price="56000")
    answer = recalled(desk, desk.requests[given.request_id][1])
    assert (answer.success, answer.state, answer.code) == (False, "cancelled", Code.TAKEN_OVER)
    assert answer.sub_account_id == "alice"


def test_a_restart_behind_the_takeover_leaves_nobody_to_answer(desk: Desk) -> None:
    order = rest(desk)
    amend(desk, order, quantity="2")
    (row,) = decode_entry(encode_entry(take_over(desk).entry)).rows.orders
    desk.load(Rows(orders=(row,)))
    again = desk.orders[row.client_order_id]
    over = observe(desk, again, Seen(77, "CANCELED", D(0), None, D(1), D(61000), NOW + 5), at=NOW + 5)
    assert again.state is State.CANCELLED
    assert answered(over) == []


@pytest.mark.parametrize("sent", [True, False])
def test_wanting_an_order_cancelled_withholds_what_was_not_sent(desk: Desk, sent: bool) -> None:
    """At the tier before the takeover orders stay the account's own, and so do their answers."""
    asked = request_id()
    posting = trade(
        desk, side="SELL", type="LIMIT", price="61000", quantity="1", leverage=50, requestId=asked
    )
    order = desk.orders[posting.entry.rows.orders[0].client_order_id]
    if sent:
        observe(desk, order, Seen(78, "NEW", D(0)), at=1500)
    low: Decimal = D("59000")
    while not weigh_account(desk, "alice").weight.crossed(D("0.80")):
        low -= 10
        move_price(desk, str(low))
    done = liquidate(desk, "alice", weigh_account(desk, "alice"), DEFAULT, now=NOW)
    assert done is not None
    (row,) = done.entry.rows.orders
    assert (row.sub_account_id, row.cancel_wanted) == ("alice", True)
    assert row.deadline == (6000 if sent else NOW)
    if not sent:
        (result,) = answered(observe(desk, order, Voided("cancelled before it was sent"), at=NOW + 1))
        assert (result.sub_account_id, result.request_id, result.code) == ("alice", asked, Code.NOT_SENT)
