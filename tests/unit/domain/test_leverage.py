"""Leverage changes what is held back at once, and stands until somebody changes it again."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from desk_maker import BTC, D, decide, desk_at, move_price, trade
from filling import fill

from pms.contract.codes import Code, Refusal
from pms.contract.journal import Rows
from pms.domain.desk import Desk
from pms.domain.rows import position_row


def leverage(desk: Desk, value: int, account: str = "alice", symbol: str = "BTCUSDT") -> object:
    return decide(desk, "pms.leverage", subAccountId=account, symbol=symbol, leverage=value)


def test_margin_of_positions_and_orders_is_another_at_once() -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="0.1", leverage=10), price="60000")
    trade(desk, quantity="0.1", leverage=10, type="LIMIT", price="59000")
    assert desk.snapshot("alice").margin_used == D(600) + D(590)
    posting = decide(desk, "pms.leverage", subAccountId="alice", symbol="BTCUSDT", leverage=20)
    assert desk.snapshot("alice").margin_used == D(300) + D(295)
    (row,) = posting.entry.rows.positions
    assert (row.leverage, row.leverage_set) == (20, True)
    (event,) = posting.events
    assert (event.type, event.account) == ("position_updated", desk.snapshot("alice"))
    assert event.account.positions[0].leverage == 20


def test_it_is_refused_where_it_would_take_more_than_there_is() -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="1", leverage=10), price="60000")
    before = desk.snapshot("alice")
    with pytest.raises(Refusal) as refused:
        leverage(desk, 5)
    available = before.available_margin
    assert refused.value.code is Code.MARGIN
    assert (refused.value.limit, refused.value.actual) == (str(available.normalize()), "6000")
    assert desk.snapshot("alice") == before
    leverage(desk, 6)


def test_more_leverage_is_never_refused_for_margin() -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="1", leverage=10), price="60000")
    move_price(desk, "51000")
    assert desk.snapshot("alice").available_margin < 0
    with pytest.raises(Refusal):
        leverage(desk, 9)
    desk.tops.clear()
    leverage(desk, 20)
    assert desk.snapshot("alice").margin_used == D(3000)


def test_less_leverage_waits_for_a_price() -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="0.01", leverage=10), price="60000")
    desk.tops.clear()
    with pytest.raises(Refusal) as refused:
        leverage(desk, 5)
    assert refused.value.code is Code.PRICE_STALE


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"value": 126}, Code.LEVERAGE_RANGE),
        ({"value": 5, "symbol": "NOSUCH"}, Code.UNKNOWN_SYMBOL),
        ({"value": 5, "account": "nobody"}, Code.UNKNOWN_ACCOUNT),
        ({"value": 5, "account": "house"}, Code.HOUSE_ONLY),
        ({"value": 0}, Code.BAD_FIELD),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, object], code: Code) -> None:
    desk = desk_at()
    seq = desk.last_seq
    with pytest.raises(Refusal) as refused:
        leverage(desk, **fields)  # type: ignore[arg-type]
    assert (refused.value.code, desk.last_seq) == (code, seq)


def test_an_order_admitted_before_does_not_bring_its_leverage_back() -> None:
    desk = desk_at()
    older = trade(desk, quantity="0.1", leverage=10, type="LIMIT", price="59000")
    leverage(desk, 25)
    fill(desk, older, price="59000", quantity="0.05")
    fill(desk, older, price="59000", quantity="0.05")
    assert desk.position("alice", "BTCUSDT").leverage == 25
    assert desk.snapshot("alice").margin_used == D(236)


def test_it_stands_for_the_next_order_and_after_a_restart() -> None:
    desk = desk_at()
    rows = [leverage(desk, 25).entry.rows]  # type: ignore[attr-defined]
    order = decide(desk, "pms.trade", subAccountId="alice", symbol="BTCUSDT", side="BUY", quantity="0.1")
    assert order.entry.rows.orders[0].leverage == 25
    named = trade(desk, quantity="0.1", leverage=30)
    (row,) = named.entry.rows.positions
    assert (row.leverage, row.quantity, row.leverage_set) == (30, 0, True), "a flat one's too"
    again = Desk(epoch="e2")
    again.load(Rows(sub_accounts=tuple(account.row() for account in desk.accounts.values())))
    for each in (*rows, order.entry.rows, named.entry.rows):
        again.load(each)
    position = again.position("alice", "BTCUSDT")
    assert (position.leverage, position.leverage_set) == (30, True)


LOWERED = replace(BTC, max_leverage=5)
"""The symbol once the exchange has lowered its largest leverage."""


@pytest.mark.parametrize("said", [None, 10, 20], ids=["nothing", "the position's", "another"])
def test_what_only_reduces_passes_where_the_exchange_has_lowered_the_largest(said: int | None) -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="0.1", leverage=10), price="60000")
    desk.instruments["BTCUSDT"] = LOWERED
    out = {"side": "SELL", "quantity": "0.04", "leverage": said}
    marked = trade(desk, **out, reduceOnly=True)
    plainly = trade(desk, **{**out, "quantity": "0.03"})
    assert [posting.entry.rows.orders[0].leverage for posting in (marked, plainly)] == [10, 10]
    assert desk.position("alice", "BTCUSDT").leverage == 10


@pytest.mark.parametrize("said", [True, False])
def test_what_only_reduces_holds_back_no_margin_by_the_leverage_it_names(said: bool) -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="1", leverage=10), price="60000")
    before = desk.available_margin("alice")
    trade(desk, side="SELL", quantity="0.1", leverage=1, reduceOnly=said)
    assert desk.available_margin("alice") == before
    assert desk.position("alice", "BTCUSDT").leverage == 10


@pytest.mark.parametrize(
    "fields",
    [
        {"side": "BUY", "quantity": "0.01", "leverage": None},
        {"side": "SELL", "quantity": "0.2", "leverage": None},
        {"side": "SELL", "quantity": "0.2", "leverage": 6},
    ],
    ids=["adds", "turns it", "turns it, at another"],
)
def test_what_opens_more_is_refused_above_the_lowered_leverage(fields: dict[str, object]) -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="0.1", leverage=10), price="60000")
    desk.instruments["BTCUSDT"] = LOWERED
    with pytest.raises(Refusal) as refused:
        trade(desk, **fields)  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.limit) == (Code.LEVERAGE_RANGE, "5")


def test_what_should_only_reduce_and_is_for_more_is_refused_for_that() -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="0.1", leverage=10), price="60000")
    desk.instruments["BTCUSDT"] = LOWERED
    with pytest.raises(Refusal) as refused:
        trade(desk, side="SELL", quantity="0.2", leverage=None, reduceOnly=True)
    assert (refused.value.code, refused.value.limit) == (Code.REDUCE_ONLY, "0.1")


def most(desk: Desk, value: int | str) -> Desk:
    """Limit how much alice may borrow."""
    who = {"actor": "ann", "reason": "a test"}
    decide(desk, "pms.limits", action="set", scope="alice", limit="leverage", value=value, **who)
    return desk


def refused(desk: Desk, value: int) -> Refusal:
    """A leverage that must be refused, and then change nothing."""
    before = desk.snapshot("alice"), desk.position("alice", "BTCUSDT").leverage, desk.last_seq
    with pytest.raises(Refusal) as found:
        leverage(desk, value)
    assert (desk.snapshot("alice"), desk.position("alice", "BTCUSDT").leverage, desk.last_seq) == before
    return found.value


def test_nobody_borrows_more_than_his_limit_behind_his_order() -> None:
    desk = most(desk_at(), 5)
    fill(desk, trade(desk, quantity="0.1", leverage=5), price="60000")
    refusal = refused(desk, 100)
    assert (refusal.code, refusal.field) == (Code.LEVERAGE_LIMIT, "leverage")
    assert (refusal.limit, refusal.actual) == ("5", "100")
    leverage(desk, 4)
    assert refused(desk, 6).code is Code.LEVERAGE_LIMIT
    leverage(desk, 5)


def test_less_leverage_passes_where_what_stands_is_above_the_limit() -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="0.1", leverage=20), price="60000")
    most(desk, 5)
    leverage(desk, 20)
    assert refused(desk, 21).limit == "5"
    leverage(desk, 10)
    assert refused(desk, 11).limit == "5", "what it was lowered from does not come back"


def test_the_leverage_of_an_order_that_rests_stands_too() -> None:
    desk = desk_at()
    trade(desk, quantity="0.1", leverage=20, type="LIMIT", price="59000")
    most(desk, 5)
    assert refused(desk, 21).code is Code.LEVERAGE_LIMIT
    leverage(desk, 10)


def test_where_nothing_is_held_nothing_stands_above_the_limit() -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="0.1", leverage=20), price="60000")
    fill(desk, trade(desk, side="SELL", quantity="0.1", leverage=20), price="60000")
    most(desk, "9.5")
    assert refused(desk, 10).limit == "9.5", "that of a position that is over is no one's"
    leverage(desk, 9)


@pytest.mark.parametrize("rows", list(permutations(range(3))))
def test_the_sides_that_an_account_has_left_say_nothing_of_the_one_it_has(rows: tuple[int, ...]) -> None:
    """The database gives the rows in no order."""
    desk = desk_at()
    for hedge, leverage in ((False, 20), (True, 100), (False, 5)):
        if desk.accounts["alice"].hedge != hedge:
            decide(desk, "pms.position_mode", subAccountId="alice", hedge=hedge, reason="r")
        decide(desk, "pms.leverage", subAccountId="alice", symbol="BTCUSDT", leverage=leverage, reason="r")
    fill(desk, trade(desk, quantity="0.5", leverage=5), price="60000")
    kept = [position_row(each) for each in desk.positions.values() if each.sub_account_id == "alice"]
    assert len(kept) == 3
    again = Desk(epoch="e2")
    again.instruments.update(desk.instruments)
    again.price("BTCUSDT", desk.tops["BTCUSDT"])
    accounts = tuple(account.row() for account in desk.accounts.values())
    again.load(Rows(sub_accounts=accounts, positions=tuple(kept[number] for number in rows)))
    assert again.position("alice", "BTCUSDT").leverage == 5
    assert again.margin_used("alice") == desk.margin_used("alice") == 6000
