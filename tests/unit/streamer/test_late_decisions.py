"""Decisions that came too late are taken back, with all that entries between them and the journal said."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

import pytest
from desk_maker import D, desk_at, request_id

from pms.bus.inbox import Arrived
from pms.contract.journal import OrderRow
from pms.contract.results import Result
from pms.domain.booking import Trade
from pms.domain.orders import Order, Seen, Voided
from pms.domain.posting import Posting, Undecided
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox, _Waiting

LATE = 6_001


class Box(Outbox):
    """An outbox whose appends are the test's: one batch, in which guards of some kinds fail."""

    def __init__(self) -> None:
        super().__init__(cast("Any", None), withdraw=self._take_back, sleep=asyncio.sleep)
        self.engine: Engine
        self.written: list[tuple[Posting, bool]] = []

    def _take_back(self, posting: Posting) -> None:
        self.engine.withdraw(posting)

    def append(self, *failing: type) -> None:
        batch: list[_Waiting] = list(self._waiting)
        self._waiting.clear()
        held = [not isinstance(waiting.posting.guard, failing) for waiting in batch]
        self.written += [(waiting.posting, good) for waiting, good in zip(batch, held, strict=True)]
        for waiting, good in zip(batch, held, strict=True):
            self._settle(waiting, good=good)


class Life:
    """An engine whose journal is a list."""

    def __init__(self) -> None:
        self.now, self.box, self.due = 1_000, Box(), list[str]()
        gate = Gate(closed_because=None)
        self.engine = Engine(desk_at(), self.box, gate=gate, redis_now_ms=lambda: self.now)
        self.box.engine = self.engine
        self.engine.agenda = cast("Any", SimpleNamespace(put=lambda coid, **__: self.due.append(coid)))
        self.engine.follow = lambda *_: False
        self.engine.time_passed = self.engine.repeat = lambda _: None

    def ask(self, name: str, **fields: object) -> str:
        request = request_id()
        text = json.dumps({"requestId": request, **fields})
        self.engine.decide(Arrived(request, name, text, at=self.now, deadline=self.now + 5_000))
        return request

    def results(self, request: str) -> list[Result]:
        told = [posting.results for posting, good in self.box.written if good]
        return [result for results in told for result in results if result.request_id == request]

    def journaled(self, order: Order) -> OrderRow:
        rows = [row for posting, good in self.box.written if good for row in posting.entry.rows.orders]
        return [row for row in rows if row.client_order_id == order.spec.client_order_id][-1]


def filled(life: Life, order: Order, quantity: str = "0.01") -> None:
    life.engine.book(
        Trade(
            symbol="BTCUSDT",
            exchange_order_id=7,
            trade_id=1,
            client_order_id=order.spec.client_order_id,
            side=order.spec.side,
            price=D(59000),
            quantity=D(quantity),
            commission=D(0),
            commission_asset="USDT",
            realized_pnl=D(0),
            maker=False,
            at=2_000,
        )
    )


def resting(life: Life, order: Order) -> None:
    life.engine.observe(order, Seen(7, "NEW", D(0), at=2_000))


def test_two_cancels_that_are_both_too_late_leave_no_wish_in_the_journal() -> None:
    life = Life()
    terms = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "type": "LIMIT", "price": "59000"}
    life.ask("pms.trade", subAccountId="alice", **terms)
    life.box.append()
    [order] = life.engine.desk.live.values()
    resting(life, order)
    life.box.append()
    life.ask("pms.cancel", orderId=order.spec.client_order_id)
    filled(life, order, "0.004")
    life.ask("pms.cancel", orderId=order.spec.client_order_id)
    for _ in range(2):
        life.box.append(Undecided)
    assert (order.cancel_wanted, life.journaled(order).cancel_wanted) == (False, False)


def test_an_order_of_a_late_decision_that_is_told_already_is_sent_by_nobody() -> None:
    life = Life()
    terms = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "type": "LIMIT", "price": "59000"}
    life.ask("pms.trade", subAccountId="alice", **terms)
    [order] = life.engine.desk.live.values()
    life.ask("pms.cancel_all", subAccountId="alice")
    life.now = LATE
    for _ in range(2):
        life.box.append(Undecided)
    told = life.journaled(order)
    assert (told.state, told.deadline < LATE, told.cancel_wanted) == ("placing", True, False)
    assert life.due == [order.spec.client_order_id]
    life.engine.observe(order, Voided("its deadline passed before it was sent"))
    life.box.append()
    assert life.journaled(order).state == "void"
    assert not life.engine.desk.live


def test_a_requestid_that_redis_forgot_and_another_command_uses_is_answered_with_what_stands() -> None:
    life, told = Life(), list[Result]()
    life.engine.answer = told.append
    terms = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "type": "LIMIT", "price": "59000"}
    request = life.ask("pms.trade", subAccountId="alice", **terms)
    life.box.append()
    (text, _), deadline = life.engine.desk.requests[request], life.now + 5_000
    for sent in (text, text.replace("BUY", "SELL")):
        life.engine.recall(Arrived(request, "pms.trade", sent, at=life.now, deadline=deadline))
    assert [(each.success, each.side) for each in told] == [(True, "BUY")] * 2
    assert [row.kind for row in life.engine.desk.incidents.rows()] == ["request_id_reused"]


def test_an_order_that_a_late_amendment_kept_open_is_told_as_filled() -> None:
    life, moved = Life(), list[Order]()
    life.engine.moved = moved.append
    terms = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "type": "LIMIT", "price": "59000"}
    life.ask("pms.trade", subAccountId="alice", **terms)
    life.box.append()
    [order] = life.engine.desk.live.values()
    resting(life, order)
    life.box.append()
    life.ask("pms.amend", orderId=order.spec.client_order_id, quantity="0.02")
    filled(life, order, "0.01")
    assert order.state.value == "partially_filled"
    for _ in range(2):
        life.box.append(Undecided)
    told = [event.type for posting, _ in life.box.written for event in posting.events]
    assert (order.state.value, life.journaled(order).state, told[-1]) == ("filled", "filled", "order_filled")
    assert moved[-1] is order


@pytest.mark.parametrize(("balance", "leverage"), [(D(500), 5), (D(50), 50)])
def test_a_position_has_its_leverage_again_behind_a_late_decision_if_it_can(
    balance: D, leverage: int
) -> None:
    life = Life()
    desk = life.engine.desk
    life.ask("pms.trade", subAccountId="alice", symbol="BTCUSDT", side="BUY", quantity="0.01", leverage=5)
    life.box.append()
    [order] = desk.live.values()
    filled(life, order, "0.01")
    life.box.append()
    terms = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.001", "type": "LIMIT", "price": "59000"}
    life.ask("pms.trade", subAccountId="alice", **terms, leverage=50)
    assert desk.position("alice", "BTCUSDT").leverage == 50
    # What came between binds all but so much.
    desk.accounts["alice"].balance = balance
    for _ in range(2):
        life.box.append(Undecided)
    posting, _ = life.box.written[-1]
    [row], [event] = posting.entry.rows.positions, posting.events
    assert (desk.position("alice", "BTCUSDT").leverage, row.leverage) == (leverage, leverage)
    assert (event.type, desk.live) == ("position_updated", {})
