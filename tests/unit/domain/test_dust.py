"""Dust: a close is of all that an order can trade, and what none can trade is told as such."""

from __future__ import annotations

from dataclasses import replace

import pytest
from desk_maker import BTC, D, decide, desk_at, trade
from filling import fill

from pms.bus.journal import _send_text
from pms.contract.codes import Code, Refusal
from pms.domain.desk import Desk, Mark
from pms.flows.place import order_from


def holding(quantity: str, *, price: str = "60000", account: str = "alice", side: str = "BUY") -> Desk:
    desk = desk_at(price)
    hold(desk, quantity, price=price, account=account, side=side)
    return desk


def hold(desk: Desk, quantity: str, *, price: str, account: str, side: str = "BUY") -> None:
    fill(desk, trade(desk, account, side=side, quantity=quantity), price=price)


def close(desk: Desk, account: str = "alice") -> object:
    return decide(desk, "pms.close", positionId=desk.snapshot(account).positions[0].id)


def test_a_close_is_of_all_that_is_on_the_step() -> None:
    desk = holding("0.015")
    desk.instruments["BTCUSDT"] = replace(BTC, market_step=D("0.01"), market_min_quantity=D("0.01"))
    posting = close(desk)
    (row,) = posting.entry.rows.orders  # type: ignore[attr-defined]
    assert row.quantity == D("0.01")
    fill(desk, posting, price="60000")  # type: ignore[arg-type]
    with pytest.raises(Refusal) as refused:
        close(desk)
    assert (refused.value.code, refused.value.limit, refused.value.actual) == (Code.DUST, "0.01", "0.005")
    (view,) = desk.snapshot("alice").positions
    assert view.quantity == D("0.005"), "it is shown for what it is"
    leaving = {"symbol": "BTCUSDT", "fromAccountId": "alice", "toAccountId": "house"}
    decide(desk, "pms.reassign", **leaving, actor="ann", reason="dust")
    assert desk.snapshot("alice").positions == []


def test_a_close_below_the_least_notional_says_reduce_only_to_the_exchange() -> None:
    desk = holding("0.002", price="4000")
    desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(10))
    (row,) = close(desk).entry.rows.orders  # type: ignore[attr-defined]
    assert (row.quantity, row.reduce_only, row.venue_reduce_only) == (D("0.002"), True, True)
    sent = order_from(_send_text(row))
    assert sent is not None
    assert ("reduceOnly", "true") in sent.params()


def test_an_ordinary_close_says_nothing_of_it_to_the_exchange() -> None:
    desk = holding("0.002")
    (row,) = close(desk).entry.rows.orders  # type: ignore[attr-defined]
    sent = order_from(_send_text(row))
    assert sent is not None
    assert not dict(sent.params()).get("reduceOnly"), "it would act on what others hold"


@pytest.mark.parametrize(
    ("mark", "heard_at", "said"), [("4999.9", 1000, True), ("4999.9", -2001, False), ("5000", 1000, False)]
)
def test_what_the_mark_makes_too_little_says_reduce_only_too(mark: str, heard_at: int, said: bool) -> None:
    """The exchange goes by its mark, where an order at market is concerned."""
    desk = holding("0.002", price="5000")
    desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(10))
    desk.marks["BTCUSDT"] = Mark(D(mark), heard_at)
    hers = {"side": "SELL", "quantity": "0.002", "reduceOnly": True}
    posting = trade(desk, **hers, type="LIMIT", price="5000", timeInForce="IOC")
    assert not posting.entry.rows.orders[0].venue_reduce_only, "its own price counts"
    desk.forget_order(desk.orders[posting.entry.rows.orders[0].client_order_id])
    (row,) = close(desk).entry.rows.orders  # type: ignore[attr-defined]
    assert row.venue_reduce_only is said


def test_what_the_mark_makes_too_little_is_the_exchanges_to_judge_where_the_net_is_not_reduced() -> None:
    desk = holding("0.002", price="5000")
    hold(desk, "0.003", price="5000", account="bob", side="SELL")
    desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(10))
    desk.marks["BTCUSDT"] = Mark(D("4999.9"), 1000)
    (row,) = close(desk).entry.rows.orders  # type: ignore[attr-defined]
    assert not row.venue_reduce_only


@pytest.mark.parametrize("others", ["0.002", "0.003"])
def test_where_the_net_is_not_reduced_the_exchange_would_refuse_and_so_do_we(others: str) -> None:
    desk = holding("0.002", price="4000")
    hold(desk, others, price="4000", account="bob", side="SELL")
    desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(10))
    seq = desk.last_seq
    with pytest.raises(Refusal) as refused:
        close(desk)
    assert (refused.value.code, refused.value.limit, refused.value.actual) == (Code.MIN_NOTIONAL, "10", "8")
    assert desk.last_seq == seq


def test_a_reduce_only_order_of_too_little_goes_the_same_way() -> None:
    desk = holding("0.002", price="4000")
    wish = {"side": "SELL", "quantity": "0.001", "type": "LIMIT", "price": "4010"}
    (row,) = trade(desk, **wish, reduceOnly=True).entry.rows.orders
    assert row.venue_reduce_only
    with pytest.raises(Refusal) as refused:
        trade(desk, **wish)
    assert refused.value.code is Code.MIN_NOTIONAL
