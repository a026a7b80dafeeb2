"""A takeover at market: what is ordered on the tick and after it, and what ends it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from closing_maker import (
    actions,
    desk_at_market,
    go_on,
    limit,
    ordered,
    rest,
    tell,
    tick,
    total,
    watching,
)
from desk_maker import BTC, D, decide, desk_at, trade

from pms.contract.names import HOUSE, INSURANCE
from pms.domain.booking import observe
from pms.domain.close_pace import ALARM_AFTER, DELAYS_MS, ClosePace
from pms.domain.desk import Desk, Top
from pms.domain.fees import settle_open
from pms.domain.orders import Doubtful, Refused, Seen, State, Voided
from pms.domain.risk_watch import RiskWatch
from pms.domain.rows import order_row
from pms.domain.tiers import Tier


@pytest.fixture
def desk() -> Desk:
    return desk_at_market()


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


def test_an_order_of_unknown_outcome_blocks_its_part_and_no_more(desk: Desk, watch: RiskWatch) -> None:
    (row,) = ordered(tick(desk, watch, "56600"))
    observe(desk, desk.orders[row.client_order_id], Doubtful(), at=3100)
    assert desk.orders[row.client_order_id].state is State.UNKNOWN
    assert go_on(desk) is None
    # A late trade of an order that was over makes more of it: only that may be ordered.
    tell(desk, order_row(next(iter(desk.orders.values()))), "56600", "0.2")
    assert [each.quantity for each in ordered(go_on(desk))] == [D("0.2")]


def test_an_order_that_was_never_sent_takes_its_part_until_it_is_void(desk: Desk, watch: RiskWatch) -> None:
    (row,) = ordered(tick(desk, watch, "56600"))
    order = desk.orders[row.client_order_id]
    assert go_on(desk) is None, "somebody may have sent it"
    observe(desk, order, Voided("its deadline passed"), at=9500)
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


def test_what_the_insurance_pays_while_an_order_still_lives_is_journaled(
    desk: Desk, watch: RiskWatch
) -> None:
    rest(desk, "BUY", "58000", "0.1")
    (row,) = ordered(tick(desk, watch, "56000"))
    tell(desk, row, "56000")
    charged = desk.draft("fees", at=3000)
    desk.post(charged, account="alice", amount=D(-1), reason="COMMISSION", reference="late")
    desk.sealed(charged)
    posting = go_on(desk)
    assert posting is not None
    paid = [line.amount for line in posting.entry.rows.ledger if line.sub_account_id == "alice"]
    assert paid == [1]
    assert desk.accounts["alice"].balance == 0
    assert go_on(desk) is None


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
    assert {symbol: row.quantity for symbol, row in desk.unwinds.items()} == {"BTCUSDT": D("0.001")}
    assert not desk.held["alice"]


def test_a_fee_that_waits_for_its_price_keeps_it_open_and_is_covered_when_it_is_known(
    desk: Desk, watch: RiskWatch
) -> None:
    (row,) = ordered(tick(desk, watch, "56000"))
    last = tell(desk, row, "56000", paid="2", asset="BNB")
    assert actions(last) == []
    assert desk.accounts["alice"].balance == 0
    assert go_on(desk) is None
    before = total(desk)
    desk.price("BNBUSDT", Top(D(600), D(1), D(600), D(1), 1))
    paid = settle_open(desk, at=3600)
    assert paid is not None
    covered = [line.amount for line in paid.entry.rows.ledger if line.reason == "INSURANCE"]
    assert sum(covered) == 0
    assert max(covered) == 1200
    assert desk.accounts["alice"].balance == 0
    ended = go_on(desk)
    assert actions(ended) == ["CLOSED"]
    assert total(desk) == before
