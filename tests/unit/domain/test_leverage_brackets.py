"""A leverage carries what its bracket permits: by an order, an amendment, an import, or by command."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from desk_maker import BTC, D, decide, desk_at, trade
from filling import fill

from pms.contract.codes import Code, Refusal
from pms.contract.journal import decode_entry, encode_entry
from pms.contract.names import LONG, SHORT
from pms.domain.booking import observe
from pms.domain.brackets import ENDLESS, UNKNOWN, ladder, most_notional, permitted_leverage
from pms.domain.desk import Desk, Top
from pms.domain.orders import Seen
from pms.domain.posting import Posting

# BTCUSDT of September 2026, as the protocol document has it.
REAL = ladder(
    [
        (150, D(0), D(300_000), D("0.004")),
        (100, D(300_000), D(800_000), D("0.005")),
        (75, D(800_000), D(3_000_000), D("0.0065")),
        (50, D(3_000_000), D(12_000_000), D("0.01")),
        (25, D(12_000_000), D(70_000_000), D("0.02")),
        (20, D(70_000_000), D(100_000_000), D("0.025")),
        (10, D(100_000_000), D(230_000_000), D("0.05")),
    ]
)
# Steps that an account of ten thousand reaches.
STEPS = ladder(
    [
        (125, D(0), D(600), D("0.004")),
        (50, D(600), D(1_200), D("0.01")),
        (20, D(1_200), D(6_000), D("0.025")),
        (5, D(6_000), D(30_000), D("0.1")),
    ]
)


def stepped() -> Desk:
    desk = desk_at()
    desk.instruments["BTCUSDT"] = replace(BTC, brackets=STEPS)
    move_mid(desk, 60_000)
    return desk


def move_mid(desk: Desk, mid: int) -> None:
    desk.tops["BTCUSDT"] = Top(mid - BTC.tick, D(1), mid + BTC.tick, D(1), 1)


def refused(desk: Desk, name: str, **fields: object) -> tuple[str | None, str | None, str | None]:
    """The refusal's field, limit and actual value; it is for the bracket, and changed nothing."""
    before = desk.last_seq, desk.snapshot("alice"), sorted(desk.live)
    with pytest.raises(Refusal) as found:
        decide(desk, name, **fields)
    assert found.value.code is Code.LEVERAGE_BRACKET, found.value.error
    assert (desk.last_seq, desk.snapshot("alice"), sorted(desk.live)) == before
    return found.value.field, found.value.limit, found.value.actual


def order(**fields: object) -> dict[str, object]:
    terms = {"side": "BUY", "quantity": "0.01", "type": "LIMIT", "price": "60000", "leverage": 50}
    return {"subAccountId": "alice", "symbol": "BTCUSDT", **terms, **fields}


def rest(desk: Desk, **fields: object) -> Posting:
    posting = decide(desk, "pms.trade", **order(**fields))
    placed = desk.orders[posting.entry.rows.orders[0].client_order_id]
    observe(desk, placed, Seen(desk.last_seq, "NEW", D(0)), at=2000)
    return posting


def test_the_exchange_s_own_table() -> None:
    carried = {leverage: most_notional(REAL, leverage) for leverage in (150, 101, 100, 50, 21, 20, 10, 1)}
    millions = {50: 12, 21: 70, 20: 100, 10: 230, 1: 230}
    assert carried == {
        150: 300_000,
        101: 300_000,
        100: 800_000,
        **{leverage: each * 1_000_000 for leverage, each in millions.items()},
    }
    assert most_notional(REAL, 151) == 0
    worth = [300_000, 300_001, 800_000, 70_000_000, 230_000_000, 230_000_001]
    assert [permitted_leverage(REAL, D(each)) for each in worth] == [150, 100, 100, 25, 10, 0]
    assert most_notional(UNKNOWN, 20) == ENDLESS
    assert most_notional(UNKNOWN, 21) == 0, (
        "it would be beyond the line by which it is judged as it is opened"
    )


def test_an_order_may_reach_the_bracket_s_end_and_not_go_beyond() -> None:
    desk = stepped()
    rest(desk, quantity="0.010", leverage=125)
    assert refused(desk, "pms.trade", **order(quantity="0.001", leverage=125)) == ("quantity", "600", "660")
    rest(desk, quantity="0.001", leverage=50)
    assert desk.position("alice", "BTCUSDT").leverage == 50


def test_an_order_that_borrows_more_is_judged_with_what_stands() -> None:
    desk = stepped()
    rest(desk, quantity="0.02", leverage=50)
    small = order(side="SELL", quantity="0.001", price="60500", leverage=51)
    assert refused(desk, "pms.trade", **small) == ("quantity", "600", "1200")
    decide(desk, "pms.trade", **{**small, "leverage": 50})


def test_what_a_market_order_adds_counts_too() -> None:
    desk = stepped()
    fill(desk, trade(desk, quantity="0.01", leverage=50), price="60000")
    market = {"subAccountId": "alice", "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.011"}
    assert refused(desk, "pms.trade", **market)[:2] == ("quantity", "1200")
    decide(desk, "pms.trade", **{**market, "quantity": "0.009"})


def test_each_side_by_itself() -> None:
    desk = stepped()
    rest(desk, quantity="0.02", leverage=50)
    rest(desk, side="SELL", quantity="0.019", price="60500")
    assert refused(desk, "pms.trade", **order(side="SELL", quantity="0.001", price="60500"))[1] == "1200"


def test_leverage_itself() -> None:
    desk = stepped()
    fill(desk, trade(desk, quantity="0.015", leverage=20), price="60000")
    rest(desk, quantity="0.01", price="59000", leverage=20)
    wish = {"subAccountId": "alice", "symbol": "BTCUSDT"}
    assert refused(desk, "pms.leverage", **wish, leverage=21) == ("leverage", "20", "21")
    decide(desk, "pms.leverage", **wish, leverage=19)
    decide(desk, "pms.leverage", **wish, leverage=20)


def test_less_leverage_is_never_refused_and_what_reduces_never_is() -> None:
    """The market has carried the position beyond: it may be left by the same leverage, or by any other."""
    desk = stepped()
    fill(desk, rest(desk, quantity="0.02"), price="60000")
    move_mid(desk, 61_000)
    assert refused(desk, "pms.trade", **order(quantity="0.001", price="61000"))[1] == "1200"
    decide(desk, "pms.leverage", subAccountId="alice", symbol="BTCUSDT", leverage=49)
    sell = order(side="SELL", quantity="0.01", price="61100", leverage=125)
    posting = decide(desk, "pms.trade", **sell)
    assert posting.entry.rows.orders[0].leverage == 49, "what stands, for the bracket permits no more"
    decide(desk, "pms.trade", **{**sell, "reduceOnly": True, "leverage": 49})
    assert desk.position("alice", "BTCUSDT").leverage == 49


def test_a_close_is_never_refused() -> None:
    desk = stepped()
    fill(desk, rest(desk, quantity="0.02"), price="60000")
    move_mid(desk, 61_000)
    (view,) = desk.snapshot("alice").positions
    decide(desk, "pms.close", positionId=view.id)


def test_an_amendment_that_asks_for_more() -> None:
    desk = stepped()
    (row,) = rest(desk, quantity="0.02", price="59000", leverage=50).entry.rows.orders
    amend = {"orderId": row.client_order_id}
    assert refused(desk, "pms.amend", **amend, quantity="0.021") == ("quantity", "1200", "1260")
    assert refused(desk, "pms.amend", **amend, price="60000.1")[2] == "1200.002"
    decide(desk, "pms.amend", **amend, quantity="0.019", price="60000")


def test_the_orders_of_a_batch_are_judged_one_after_the_other() -> None:
    desk = stepped()
    leg = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "type": "LIMIT", "price": "60000"}
    legs = [{**leg, "leverage": 50}, {**leg, "leverage": 50}, {**leg, "leverage": 50}]
    posting = decide(desk, "pms.batch", subAccountId="alice", orders=legs)
    assert len(posting.entry.rows.orders) == 2


def test_a_position_that_is_handed_over() -> None:
    desk = stepped()
    wish = {"subAccountId": "alice", "symbol": "BTCUSDT", "quantity": "0.021", "entryPrice": "50000"}
    assert refused(desk, "pms.import_position", **wish, leverage=50) == ("quantity", "1200", "1260")
    decide(desk, "pms.import_position", **wish, leverage=20)
    house = {"fromAccountId": "house", "toAccountId": "alice", "symbol": "BTCUSDT", "actor": "ann"}
    assert desk.position("house", "BTCUSDT").quantity == D("-0.021")
    fill(desk, trade(desk, "bob", side="SELL", quantity="0.02", leverage=50), price="60000")
    taken = {"subAccountId": "bob", "symbol": "BTCUSDT", "actor": "ann", "reason": "counted anew"}
    with pytest.raises(Refusal) as found:
        decide(desk, "pms.adjust", **taken, quantity="-0.001")
    assert (found.value.code, found.value.limit) == (Code.LEVERAGE_BRACKET, "1200")
    with pytest.raises(Refusal) as found:
        decide(desk, "pms.reassign", **{**house, "toAccountId": "bob"}, quantity="-0.001", reason="his own")
    assert found.value.code is Code.LEVERAGE_BRACKET
    decide(desk, "pms.adjust", **taken, quantity="0.005")


def test_each_side_of_a_hedged_account_by_itself_and_their_one_leverage_by_both() -> None:
    desk = stepped()
    decide(desk, "pms.position_mode", subAccountId="alice", hedge=True)
    rest(desk, quantity="0.02", positionSide=LONG)
    rest(desk, side="SELL", quantity="0.01", price="60500", positionSide=SHORT)
    wish = {"subAccountId": "alice", "symbol": "BTCUSDT", "leverage": 51}
    assert refused(desk, "pms.leverage", **wish) == ("leverage", "50", "51")
    short = order(side="SELL", quantity="0.001", price="60500", leverage=60, positionSide=SHORT)
    assert refused(desk, "pms.trade", **short)[1:] == ("600", "1200")


def test_an_older_order_that_trades_first_brings_no_leverage_back() -> None:
    desk = stepped()
    older = rest(desk, quantity="0.005", price="60000", leverage=125)
    later = decide(desk, "pms.trade", now=1001, **order(quantity="0.09", price="60000", leverage=5))
    fill(desk, older, price="60000")
    assert desk.position("alice", "BTCUSDT").leverage == 5
    assert later.entry.rows.orders[0].leverage == 5


def test_the_newest_live_order_says_the_leverage_of_what_is_flat_also_after_a_restart() -> None:
    desk = stepped()
    older = decide(desk, "pms.trade", **order(quantity="0.005", leverage=125))
    newer = decide(desk, "pms.trade", now=1001, **order(quantity="0.01", leverage=20))
    for sequence in ((older, newer), (newer, older)):
        again = Desk(epoch="e2", instruments=desk.instruments, tops=desk.tops)
        for account in desk.accounts.values():
            again.open_account(replace(account, open_orders=0))
        for posting in sequence:
            again.load(decode_entry(encode_entry(posting.entry)).rows)
        assert again.position("alice", "BTCUSDT").leverage == 20
        assert again.margin_used("alice") == desk.margin_used("alice")
    placed = desk.orders[newer.entry.rows.orders[0].client_order_id]
    observe(desk, placed, Seen(7, "CANCELED", Decimal(0)), at=2000)
    assert desk.position("alice", "BTCUSDT").leverage == 125


def test_an_amendment_is_judged_by_the_leverage_that_may_come_back() -> None:
    """The order of 125 is smaller than its bracket; made larger under another's 5 it would outgrow it."""
    desk = stepped()
    (row,) = rest(desk, quantity="0.005", leverage=125).entry.rows.orders
    later = decide(desk, "pms.trade", now=1001, **order(quantity="0.09", leverage=5))
    amend = {"orderId": row.client_order_id, "quantity": "0.011"}
    assert refused(desk, "pms.amend", **amend)[:2] == ("quantity", "600")
    placed = desk.orders[later.entry.rows.orders[0].client_order_id]
    observe(desk, placed, Seen(7, "NEW", D(0)), at=2000)
    decide(desk, "pms.amend", orderId=placed.spec.client_order_id, quantity="0.091")
