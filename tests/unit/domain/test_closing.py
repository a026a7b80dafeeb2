"""Closing at market: what is ordered on the tick and after it, what ends it, what nobody may do meanwhile."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest
from desk_maker import BTC, D, decide, desk_at, move_price, trade
from filling import trade_of

from pms.contract.codes import Code, Refusal
from pms.contract.journal import OrderRow
from pms.contract.names import HOUSE, INSURANCE
from pms.domain.booking import book, confirm, observe, unvoid
from pms.domain.close_pace import ALARM_AFTER, DELAYS_MS, ClosePace
from pms.domain.closing import close_on
from pms.domain.desk import Desk
from pms.domain.halts import halted_order
from pms.domain.orders import Doubtful, Order, Refused, Seen, State, Voided
from pms.domain.posting import Posting
from pms.domain.risk_watch import RiskWatch
from pms.domain.rows import order_row
from pms.domain.tiers import DEFAULT, Tier, tiers_of
from pms.domain.weighing import weigh_account

_number = 0


def limit(desk: Desk, name: str, value: str, scope: str = "*") -> None:
    decide(desk, "pms.limits", action="set", scope=scope, limit=name, value=value, reason="r", actor="a")


def tell(desk: Desk, row: OrderRow, price: str, quantity: str | None = None, paid: str = "0") -> Posting:
    """The exchange trades an order, all of what is left of it unless told otherwise."""
    global _number  # noqa: PLW0603  ids must differ, not be random
    _number += 1
    order = desk.orders[row.client_order_id]
    traded = order.leaves if quantity is None else D(quantity)
    word = "FILLED" if order.filled_qty + traded == order.quantity else "PARTIALLY_FILLED"
    number = order.exchange_order_id or 9_000 + _number
    made = trade_of(row, number, trade_id=_number, quantity=traded, price=D(price), paid=D(paid))
    posting = book(desk, made, fact=Seen(number, word, order.filled_qty + traded))
    assert posting is not None
    return posting


def hold(desk: Desk, account: str, quantity: str, **fields: object) -> None:
    side = "BUY" if D(quantity) > 0 else "SELL"
    posting = trade(desk, account, side=side, quantity=str(abs(D(quantity))), leverage=50, **fields)
    tell(desk, posting.entry.rows.orders[0], "60000")


def rest(desk: Desk, side: str, price: str, quantity: str, **fields: object) -> Order:
    posting = trade(desk, side=side, type="LIMIT", price=price, quantity=quantity, leverage=50, **fields)
    row = posting.entry.rows.orders[0]
    order = desk.orders[row.client_order_id]
    observe(desk, order, Seen(desk.last_seq, "NEW", D(0)), at=1500)
    return order


def watching(desk: Desk) -> RiskWatch:
    watch = RiskWatch(desk, partial(tiers_of, desk))
    watch.begin()
    return watch


def tick(desk: Desk, watch: RiskWatch, price: str) -> Posting | None:
    """The price moves; alice is judged if she is due, on the book as it is then."""
    move_price(desk, price)
    desk.last_tops["BTCUSDT"] = desk.tops["BTCUSDT"]
    done = None
    for account in watch.due("BTCUSDT", desk.tops["BTCUSDT"].mid):
        judged = watch.judge(account, now=3000)
        assert not isinstance(judged, str)
        done = judged if account == "alice" else done
    return done


def go_on(desk: Desk, *, pace: ClosePace | None = None, now: int = 4000) -> Posting | None:
    pace = pace or ClosePace()
    return close_on(desk, "alice", tiers_of(desk, "alice"), now=now, may=lambda p: pace.may(p, now=now))


def ordered(posting: Posting | None) -> list[OrderRow]:
    """The closing orders that an entry made."""
    rows = posting.entry.rows.orders if posting else ()
    return [row for row in rows if row.origin == "LIQUIDATION" and row.state == "placing"]


def actions(posting: Posting | None) -> list[str]:
    return [row.action for row in posting.entry.rows.liquidations] if posting else []


def total(desk: Desk) -> Decimal:
    return sum((account.balance for account in desk.accounts.values()), D(0))


@pytest.fixture
def desk() -> Desk:
    desk = desk_at()
    limit(desk, "liquidation.mode", "market", "group:default")
    hold(desk, "alice", "3")
    return desk


@pytest.fixture
def watch(desk: Desk) -> RiskWatch:
    return watching(desk)


def test_a_takeover_orders_the_closing_in_the_accounts_own_name_in_the_entry_of_the_tick(
    desk: Desk, watch: RiskWatch
) -> None:
    opener, reducer = rest(desk, "BUY", "58000", "0.1"), rest(desk, "SELL", "61000", "1")
    posting = tick(desk, watch, "56600")
    assert posting is not None
    assert actions(posting) == ["WARN", "CANCEL", "CLOSE"]
    (row,) = ordered(posting)
    assert (row.sub_account_id, row.side, row.type, row.reduce_only) == ("alice", "SELL", "MARKET", True)
    assert row.quantity == 2, "the resting order may take the third"
    assert opener.cancel_wanted
    assert reducer.cancel_wanted
    assert desk.position("alice", "BTCUSDT").quantity == 3
    assert not desk.unwinds
    assert desk.accounts["alice"].closing == Tier.TAKEOVER == desk.accounts["alice"].tier
    assert tick(desk, watch, "56500") is None, "not twice"
    assert go_on(desk) is None


def test_what_a_cancelled_order_left_and_what_another_brought_is_closed_next(
    desk: Desk, watch: RiskWatch
) -> None:
    opener, reducer = rest(desk, "BUY", "58000", "0.1"), rest(desk, "SELL", "61000", "1")
    (first,) = ordered(tick(desk, watch, "56600"))
    tell(desk, order_row(opener), "58000")
    observe(desk, reducer, Seen(reducer.exchange_order_id or 0, "CANCELED", D(0)), at=3500)
    (second,) = ordered(go_on(desk))
    assert second.quantity == D("1.1")
    assert second.client_order_id != first.client_order_id
    assert "CLOSED" not in actions(tell(desk, first, "56500"))
    ended = tell(desk, second, "56500")
    assert actions(ended) == ["CLOSED"]
    assert not desk.held["alice"]
    assert (desk.accounts["alice"].closing, desk.accounts["alice"].tier) == (0, Tier.NONE)
    assert desk.closing == set()


def test_what_is_owed_is_paid_once_in_the_entry_of_the_last_fill(desk: Desk, watch: RiskWatch) -> None:
    decide(desk, "pms.transfer", fromAccountId=HOUSE, toAccountId=INSURANCE, amount="700")
    before = total(desk)
    (row,) = ordered(tick(desk, watch, "56000"))
    part = tell(desk, row, "56000", "2")
    assert not [line for line in part.entry.rows.ledger if line.reason == "INSURANCE"], "not while it holds"
    last = tell(desk, row, "56000", "1", paid="5")
    lines = {
        (line.sub_account_id, line.reason): line.amount
        for line in last.entry.rows.ledger
        if line.reason == "INSURANCE" and line.sub_account_id != "alice"
    }
    # 10000 - 3 x 4000 - 5 of fee
    assert lines == {(INSURANCE, "INSURANCE"): D(-700), (HOUSE, "INSURANCE"): D(-1305)}
    assert desk.accounts["alice"].balance == 0
    assert total(desk) == before - 5, "only the fee left the wallet"
    told = [event.account.balance for event in last.events if event.sub_account_id == "alice"]
    assert set(told) == {D(0)}, "nobody is shown the debt"
    assert actions(last) == ["CLOSED"]


def test_a_takeover_once_begun_is_finished(desk: Desk, watch: RiskWatch) -> None:
    (row,) = ordered(tick(desk, watch, "56600"))
    assert tick(desk, watch, "64000") is None
    assert desk.accounts["alice"].tier == Tier.TAKEOVER
    tell(desk, row, "64000", "1")
    observe(desk, desk.orders[row.client_order_id], Seen(1, "EXPIRED", D(1)), at=3500)
    (again,) = ordered(go_on(desk))
    assert again.quantity == 2
    assert actions(tell(desk, again, "64000")) == ["CLOSED"]


def at_ratio(desk: Desk, watch: RiskWatch, ratio: str) -> Posting | None:
    """The first tick at which alice's long has this maintenance over equity."""
    low, high = D(1), desk.tops["BTCUSDT"].mid
    for _ in range(60):
        middle = (low + high) / 2
        move_price(desk, str(middle.quantize(D("0.1"))))
        weight = weigh_account(desk, "alice").weight
        low, high = (middle, high) if weight.crossed(D(ratio)) else (low, middle)
    return tick(desk, watch, str(low.quantize(D("0.1"))))


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


def test_an_order_of_unknown_outcome_blocks_its_part_and_no_more(desk: Desk, watch: RiskWatch) -> None:
    (row,) = ordered(tick(desk, watch, "56600"))
    observe(desk, desk.orders[row.client_order_id], Doubtful(), at=3100)
    assert desk.orders[row.client_order_id].state is State.UNKNOWN
    assert go_on(desk) is None
    # A late trade of an order that was over makes more of it: only that may be ordered.
    tell(desk, order_row(next(iter(desk.orders.values()))), "56600", "0.2")
    assert [each.quantity for each in ordered(go_on(desk))] == [D("0.2")]


def test_an_order_that_is_void_but_for_its_proof_still_takes_its_part(desk: Desk, watch: RiskWatch) -> None:
    (row,) = ordered(tick(desk, watch, "56600"))
    order = desk.orders[row.client_order_id]
    proof = observe(desk, order, Voided("its deadline passed"), at=9000)
    assert proof is not None
    assert proof.guard is not None
    assert order.state is State.VOID
    assert go_on(desk) is None, "the proof may fail yet"
    unvoid(desk, order)
    assert go_on(desk) is None, "it did: the order was sent"
    observe(desk, order, Voided("once more"), at=9500)
    confirm(desk, order, at=9600)
    assert [each.quantity for each in ordered(go_on(desk))] == [3]


def test_a_refused_order_is_tried_again_ever_later(desk: Desk, watch: RiskWatch) -> None:
    pace, now = ClosePace(), 4000
    (row,) = ordered(tick(desk, watch, "56600"))
    for delay in (*DELAYS_MS, DELAYS_MS[-1]):
        order = desk.orders[row.client_order_id]
        observe(desk, order, Refused("-2019: Margin is insufficient."), at=now)
        pace.ended(order, now=now)
        assert go_on(desk, pace=pace, now=now + delay - 1) is None
        now += delay
        (row,) = ordered(go_on(desk, pace=pace, now=now))
        assert row.quantity == 3
    assert len(DELAYS_MS) >= ALARM_AFTER
    assert pace.stuck("alice") == ["BTCUSDT"]
    tell(desk, row, "56500", "1")
    pace.ended(desk.orders[row.client_order_id], now=now)
    assert pace.stuck("alice") == []


def test_more_than_one_market_order_may_be_for_is_split(desk: Desk, watch: RiskWatch) -> None:
    desk.instruments["BTCUSDT"] = replace(BTC, market_max_quantity=D("1.25"))
    rows = ordered(tick(desk, watch, "56600"))
    assert [row.quantity for row in rows] == [D("1.25"), D("1.25"), D("0.5")]
    assert len({row.client_order_id for row in rows}) == 3
    assert all(len(row.client_order_id) <= 36 for row in rows)


def test_a_hedged_account_is_closed_on_both_sides() -> None:
    desk = desk_at()
    limit(desk, "liquidation.mode", "market")
    decide(desk, "pms.position_mode", subAccountId="alice", hedge=True, reason="for the test")
    for side, quantity, position_side in (("BUY", "4", "LONG"), ("SELL", "1", "SHORT")):
        row = trade(
            desk, side=side, quantity=quantity, leverage=50, positionSide=position_side
        ).entry.rows.orders[0]
        tell(desk, row, "60000")
    rows = {row.position_side: row for row in ordered(tick(desk, watching(desk), "56000"))}
    assert {side: (row.side, row.quantity) for side, row in rows.items()} == {
        "LONG": ("SELL", 4),
        "SHORT": ("BUY", 1),
    }
    assert actions(tell(desk, rows["LONG"], "56000")) == []
    assert actions(tell(desk, rows["SHORT"], "56000")) == ["CLOSED"]
    assert desk.accounts["alice"].balance == 0


def test_the_account_is_not_closed_while_an_order_of_it_lives(desk: Desk, watch: RiskWatch) -> None:
    opener = rest(desk, "BUY", "58000", "0.1")
    (row,) = ordered(tick(desk, watch, "56000"))
    last = tell(desk, row, "56000")
    assert actions(last) == []
    assert desk.accounts["alice"].balance == 0, "what is owed is paid all the same"
    tell(desk, order_row(opener), "56500")
    (more,) = ordered(go_on(desk))
    assert more.quantity == D("0.1")
    assert actions(tell(desk, more, "55000")) == ["CLOSED"]
    assert desk.accounts["alice"].balance == 0


def test_a_cancel_that_comes_last_ends_it(desk: Desk, watch: RiskWatch) -> None:
    opener = rest(desk, "BUY", "58000", "0.1")
    (row,) = ordered(tick(desk, watch, "56000"))
    tell(desk, row, "56000")
    assert go_on(desk) is None
    observe(desk, opener, Seen(opener.exchange_order_id or 0, "CANCELED", D(0)), at=3500)
    assert actions(go_on(desk)) == ["CLOSED"]
    assert go_on(desk) is None


def test_dust_goes_to_the_house(desk: Desk, watch: RiskWatch) -> None:
    (row,) = ordered(tick(desk, watch, "56600"))
    desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(100))
    tell(desk, row, "56500", "2.999")
    observe(desk, desk.orders[row.client_order_id], Seen(1, "EXPIRED", D("2.999")), at=3500)
    posting = go_on(desk)
    assert actions(posting) == ["TAKEOVER", "CLOSED"]
    assert desk.unwinds == {"BTCUSDT": D("0.001")}
    assert not desk.held["alice"]


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


def refusal(desk: Desk, name: str, **fields: object) -> Refusal:
    with pytest.raises(Refusal) as refused:
        decide(desk, name, **fields)
    return refused.value


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
