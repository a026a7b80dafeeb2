"""Closing at market in parts, and what a trader and an operator may do meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest
from closing_maker import (
    actions,
    at_ratio,
    desk_at_market,
    go_on,
    limit,
    ordered,
    rest,
    tell,
    tick,
    watching,
)
from desk_maker import D, decide, request_id, trade

from pms.contract.codes import Code, Refusal
from pms.contract.names import HOUSE
from pms.domain.booking import observe
from pms.domain.desk import Desk
from pms.domain.halts import halted_order
from pms.domain.orders import Seen
from pms.domain.risk_watch import RiskWatch
from pms.domain.tiers import DEFAULT, Tier, tiers_of
from pms.domain.weighing import weigh_account


@pytest.fixture
def desk() -> Desk:
    return desk_at_market()


@pytest.fixture
def watch(desk: Desk) -> RiskWatch:
    return watching(desk)


def refusal(desk: Desk, name: str, **fields: object) -> Refusal:
    with pytest.raises(Refusal) as refused:
        decide(desk, name, **fields)
    return refused.value


def test_a_deleveraging_closes_the_part_and_stops_at_its_target(desk: Desk, watch: RiskWatch) -> None:
    posting = at_ratio(desk, watch, "0.90")
    assert actions(posting) == ["WARN", "CANCEL", "CLOSE"]
    (row,) = ordered(posting)
    assert 0 < row.quantity < 3
    assert desk.accounts["alice"].closing == Tier.DELEVERAGE
    assert go_on(desk) is None, "a round lives"
    tell(desk, row, str(desk.tops["BTCUSDT"].bid))
    assert actions(go_on(desk)) == ["CLOSED"]
    assert not weigh_account(desk, "alice").weight.slack(D("0.75")) < 0
    assert desk.accounts["alice"].tier == Tier.WARN, "as after a book transfer"
    assert desk.position("alice", "BTCUSDT").quantity == 3 - row.quantity


def test_a_deleveraging_is_over_as_soon_as_the_price_has_brought_the_ratio_back(
    desk: Desk, watch: RiskWatch
) -> None:
    (row,) = ordered(at_ratio(desk, watch, "0.90"))
    tell(desk, row, str(desk.tops["BTCUSDT"].bid), "0.001")
    assert tick(desk, watch, "60000") is None, "no tier is left while it lasts"
    observe(desk, desk.orders[row.client_order_id], Seen(1, "EXPIRED", D("0.001")), at=3500)
    assert actions(go_on(desk)) == ["CLOSED"]
    assert desk.accounts["alice"].tier == Tier.NONE
    assert desk.position("alice", "BTCUSDT").quantity == D("2.999")


def test_a_deleveraging_that_was_not_enough_goes_another_round(desk: Desk, watch: RiskWatch) -> None:
    (row,) = ordered(at_ratio(desk, watch, "0.90"))
    tell(desk, row, str(desk.tops["BTCUSDT"].bid - 400))
    (more,) = ordered(go_on(desk))
    assert 0 < more.quantity < 3 - row.quantity


def test_a_deleveraging_that_falls_on_becomes_a_takeover_of_what_no_order_takes_yet(
    desk: Desk, watch: RiskWatch
) -> None:
    (row,) = ordered(at_ratio(desk, watch, "0.90"))
    posting = tick(desk, watch, "56000")
    assert actions(posting) == ["CLOSE"]
    (rest_of_it,) = ordered(posting)
    assert rest_of_it.quantity == 3 - row.quantity
    assert not desk.orders[row.client_order_id].cancel_wanted
    assert desk.accounts["alice"].closing == Tier.TAKEOVER


def test_an_operator_may_have_the_rest_moved_to_the_house_after_all(desk: Desk, watch: RiskWatch) -> None:
    (row,) = ordered(tick(desk, watch, "56600"))
    tell(desk, row, "56500", "1")
    limit(desk, "liquidation.mode", "transfer", "alice")
    assert go_on(desk) is None
    posting = tick(desk, watch, "56500")
    assert actions(posting) == ["TAKEOVER"]
    order = desk.orders[row.client_order_id]
    assert (order.spec.sub_account_id, order.cancel_wanted) == (HOUSE, True)
    assert desk.unwinds == {"BTCUSDT": D(2)}
    assert (desk.accounts["alice"].closing, desk.accounts["alice"].tier) == (0, Tier.NONE)
    tell(desk, row, "56500", "2")
    assert not desk.unwinds


def test_nothing_opens_rests_or_leaves_until_it_is_over(desk: Desk, watch: RiskWatch) -> None:
    reducer = rest(desk, "SELL", "59000", "0.5")
    (row,) = ordered(tick(desk, watch, "56600"))
    seq = desk.last_seq
    order = {"subAccountId": "alice", "symbol": "BTCUSDT", "quantity": "0.01"}
    resting = {**order, "side": "SELL", "type": "LIMIT", "price": "57000", "reduceOnly": True}
    for name, field, fields in (
        ("pms.trade", "subAccountId", {**order, "side": "BUY"}),
        ("pms.trade", "subAccountId", {**order, "side": "SELL"}),
        ("pms.trade", "subAccountId", resting),
        ("pms.withdraw", "subAccountId", {"subAccountId": "alice", "amount": "1"}),
        ("pms.transfer", "fromAccountId", {"fromAccountId": "alice", "toAccountId": "bob", "amount": "1"}),
        ("pms.cancel", "orderId", {"orderId": row.client_order_id}),
        (
            "pms.import_position",
            "subAccountId",
            {"subAccountId": "alice", "symbol": "BTCUSDT", "quantity": "1", "entryPrice": "1"},
        ),
    ):
        found = refusal(desk, name, **fields)
        assert (found.code, found.field, found.actual) == (Code.LIQUIDATING, field, "alice")
    # What reduces at once is judged by what is left for it, and that is nothing.
    found = refusal(desk, "pms.trade", **order, side="SELL", reduceOnly=True)
    assert found.code == Code.REDUCE_ONLY
    assert desk.last_seq == seq
    posting = decide(desk, "pms.cancel_all", subAccountId="alice")
    assert [each.client_order_id for each in posting.entry.rows.orders] == [reducer.spec.client_order_id]
    tell(desk, row, "56500")
    observe(desk, reducer, Seen(reducer.exchange_order_id or 0, "CANCELED", D(0)), at=3500)
    (rest_of_it,) = ordered(go_on(desk))
    tell(desk, rest_of_it, "56500")
    decide(desk, "pms.transfer", fromAccountId=HOUSE, toAccountId="alice", amount="1000")
    trade(desk, side="BUY")


def test_no_halt_holds_up_a_closing_order(desk: Desk, watch: RiskWatch) -> None:
    (row,) = ordered(tick(desk, watch, "56600"))
    decide(desk, "pms.halt", reason="for the test", actor="a", mode="HALTED")
    assert halted_order(desk, desk.orders[row.client_order_id]) is None
    desk.orders[row.client_order_id].spec = replace(desk.orders[row.client_order_id].spec, origin="MANUAL")
    assert halted_order(desk, desk.orders[row.client_order_id]) is not None


def test_the_mode_is_each_groups_own(desk: Desk, watch: RiskWatch) -> None:
    decide(desk, "pms.group", subAccountId="alice", group="house", reason="r", actor="a")
    posting = tick(desk, watch, "56000")
    assert actions(posting) == ["WARN", "CANCEL", "TAKEOVER"]
    assert tiers_of(desk, "alice") == DEFAULT
    found = refusal(
        desk,
        "pms.limits",
        action="set",
        scope="*",
        limit="liquidation.mode",
        value="never",
        reason="r",
        actor="a",
    )
    assert (found.code, found.limit) == (Code.BAD_LIMIT, "transfer or market")


def test_an_amendment_in_flight_is_answered_to_the_account_when_its_order_is_over(
    desk: Desk, watch: RiskWatch
) -> None:
    order, asked = rest(desk, "SELL", "61000", "1"), request_id()
    decide(desk, "pms.amend", orderId=order.spec.client_order_id, quantity="2", requestId=asked)
    (row,) = ordered(tick(desk, watch, "56600"))
    assert row.quantity == 1, "the larger of both terms may trade"
    assert order.amend is not None
    assert order.amend.deadline == 3000, "what was not sent is sent by nobody"
    over = observe(desk, order, Seen(order.exchange_order_id or 0, "CANCELED", D(0)), at=3500)
    assert over is not None
    (result,) = [each for each in over.results if each.command == "pms.amend"]
    assert (result.sub_account_id, result.request_id, result.code) == ("alice", asked, Code.ORDER_CLOSED)
