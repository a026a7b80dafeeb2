"""Several orders under one command: each judged by itself, one result for all."""

from __future__ import annotations

import pytest
from desk_maker import D, decide, desk_at, request_id, trade

from pms.contract.codes import Code, Refusal
from pms.contract.results import read_result
from pms.domain.booking import Trade, book, observe
from pms.domain.desk import Desk
from pms.domain.orders import Doubtful, Order, Refused, Seen, Voided

BID = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "0.1",
    "price": "59000",
    "leverage": 10,
}


def orders_of(desk: Desk, posting: object) -> list[Order]:
    return [desk.orders[row.client_order_id] for row in posting.entry.rows.orders]  # type: ignore[attr-defined]


def test_each_order_sees_what_those_before_it_reserved() -> None:
    desk = desk_at()
    each = {**BID, "quantity": "0.8"}
    posting = decide(desk, "pms.batch", subAccountId="alice", orders=[each, each, {**BID, "quantity": "0.1"}])
    answer = read_result(posting.entry.rows.commands[0].answer)
    told = (answer.details or {})["orders"]
    assert [leg["success"] for leg in told] == [True, True, False]
    assert told[2]["code"] == Code.MARGIN
    assert answer.success
    assert len(desk.live) == 2


def test_the_result_is_given_when_the_last_order_is_proven() -> None:
    desk = desk_at()
    orders = [BID, {**BID, "price": "58000"}, {**BID, "quantity": "0"}]
    posting = decide(desk, "pms.batch", subAccountId="alice", orders=orders)
    assert posting.results == ()
    first, second = orders_of(desk, posting)
    assert {order.spec.parent_id for order in (first, second)} == set(desk.legs)
    early = observe(desk, first, Seen(1, "NEW", D(0)), at=1)
    assert early is not None
    assert early.results == ()
    last = observe(desk, second, Refused("-2019"), at=2, code=Code.EXCHANGE_REFUSED)
    assert last is not None
    [result] = last.results
    told = (result.details or {})["orders"]
    assert [leg.get("state") for leg in told] == ["active", "rejected", None]
    assert (result.success, result.state, result.command) == (True, "done", "pms.batch")
    assert desk.legs == {}


def test_until_then_what_is_known_is_noted_for_the_deadline() -> None:
    desk = desk_at()
    orders = [{**BID, "price": price} for price in ("59000", "58999", "58998", "58997")]
    refused, voided, traded, lost = orders_of(
        desk, decide(desk, "pms.batch", subAccountId="alice", orders=orders)
    )
    first = observe(desk, refused, Refused("-2019"), at=1, code=Code.EXCHANGE_REFUSED)
    second = observe(desk, voided, Voided("deadline"), at=2)
    third = observe(desk, traded, Seen(1, "NEW", D(0)), at=4)
    doubtful = observe(desk, lost, Doubtful(), at=5)
    so_far = [
        [leg["state"] for leg in (result.details or {})["orders"]]
        for posting in (first, second, third, doubtful)
        if posting is not None
        for result in posting.so_far
    ]
    assert so_far == [
        ["rejected", "placing", "placing", "placing"],
        ["rejected", "void", "placing", "placing"],
        ["rejected", "void", "active", "placing"],
    ]


def test_a_batch_of_which_nothing_came_has_failed() -> None:
    desk = desk_at()
    [order] = orders_of(desk, decide(desk, "pms.batch", subAccountId="alice", orders=[BID]))
    posting = observe(desk, order, Refused("-2019"), at=2, code=Code.EXCHANGE_REFUSED)
    assert posting is not None
    assert [(r.success, r.code) for r in posting.results] == [(False, Code.EXCHANGE_REFUSED)]
    refused = decide(desk, "pms.batch", subAccountId="alice", orders=[{**BID, "quantity": "0"}])
    [result] = refused.results
    assert (result.success, result.code, result.field) == (False, "QUANTITY_ZERO", "orders[0].quantity")
    assert refused.entry.rows.commands[0].decision == "refused"


def test_an_id_names_its_place_in_the_batch_and_keeps_to_36_characters() -> None:
    desk = desk_at()
    desk.tags["alice"] = "alice"
    bids = [{**BID, "quantity": "0.001", "price": str(59000 - n)} for n in range(20)]
    request = request_id()
    posting = decide(desk, "pms.batch", requestId=request, subAccountId="alice", orders=bids)
    ids = [row.client_order_id for row in posting.entry.rows.orders]
    assert len(set(ids)) == 20
    assert max(map(len, ids)) + len("longname") - len("alice") == 36
    again = decide(desk, "pms.batch", requestId=request, subAccountId="alice", orders=bids)
    assert again.entry.rows.orders == ()


def test_what_is_wrong_with_the_whole_refuses_it() -> None:
    desk = desk_at()
    for fields, code, field in (
        ({"orders": []}, Code.BAD_FIELD, "orders"),
        ({"orders": [BID] * 21}, Code.BAD_FIELD, "orders"),
        ({"orders": [BID, {**BID, "side": "UP"}]}, Code.BAD_FIELD, "orders[1].side"),
        ({"orders": [BID], "subAccountId": "nobody"}, Code.UNKNOWN_ACCOUNT, "subAccountId"),
    ):
        with pytest.raises(Refusal) as refused:
            decide(desk, "pms.batch", **{"subAccountId": "alice", **fields})
        assert (refused.value.code, refused.value.field) == (code, field)


def test_close_all_leaves_the_house_and_what_is_closing_already() -> None:
    desk = desk_at()
    for number, account in enumerate(("alice", "bob"), start=1):
        [order] = orders_of(desk, trade(desk, account, quantity="0.1"))
        fill(desk, order, number)
    position = next(iter(desk.held["bob"].values()))
    decide(desk, "pms.close", positionId=position.id)
    posting = decide(desk, "pms.close_all")
    told = (read_result(posting.entry.rows.commands[0].answer).details or {})["orders"]
    assert [(leg["subAccountId"], leg["success"], leg["code"]) for leg in told] == [
        ("alice", True, None),
        ("bob", False, "REDUCE_ONLY"),
    ]
    [order] = orders_of(desk, posting)
    assert (order.spec.side, order.quantity, order.spec.reduce_only) == ("SELL", D("0.1"), True)
    assert decide(desk, "pms.close_all", symbol="ETHUSDT").results[0].success


def fill(desk: Desk, order: Order, number: int) -> None:
    row = Trade(
        symbol="BTCUSDT",
        exchange_order_id=number,
        trade_id=number,
        client_order_id=order.spec.client_order_id,
        side=order.spec.side,
        price=D(60000),
        quantity=order.quantity,
        commission=D(0),
        commission_asset="USDT",
        realized_pnl=D(0),
        maker=False,
        at=2,
    )
    book(desk, row)


def test_with_the_proof_of_the_last_order_all_is_told() -> None:
    desk = desk_at()
    posting = decide(desk, "pms.batch", subAccountId="alice", orders=[BID, {**BID, "price": "58000"}])
    first, second = orders_of(desk, posting)
    observe(desk, first, Seen(1, "NEW", D(0)), at=1)
    void = observe(desk, second, Voided("deadline"), at=2)
    assert void is not None
    legs = (void.results[0].details or {})["orders"]
    assert [(leg["state"], leg["code"]) for leg in legs] == [("active", None), ("void", "NOT_SENT")]
