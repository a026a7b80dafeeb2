"""Views of accounts in the outbox's turn: in slices, of whom nothing waits for, and again where it failed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from redis.exceptions import RedisError

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import decide, desk_at, trade
from filling import fill

from pms.bus.shown import View
from pms.contract.account import Account
from pms.domain.desk import Desk
from pms.domain.posting import Posting
from pms.domain.sub_accounts import SubAccount
from pms.sim.machines.loop import Loop
from pms.streamer.outbox import BATCH, Outbox
from pms.streamer.risk_views import AT_ONCE, EVERY_S, RiskViews, named

HELD = "alice"


class Called:
    """The journal and what shows accounts, as the outbox calls them, one behind the other."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.slices: list[tuple[float, int, dict[str, Account]]] = []
        self.at_stake: set[str] = set()
        self.answers: list[bool | Exception] = []

    async def append(self, postings: Sequence[Posting]) -> list[bool]:
        self.calls.append(f"append {len(postings)}")
        await asyncio.sleep(0.001)
        return [True] * len(postings)

    async def show(self, views: Sequence[View], *, seq: int) -> bool:
        self.calls.append("show")
        await asyncio.sleep(0.001)
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        now = asyncio.get_running_loop().time()
        if answer:
            self.slices.append((now, seq, {view.account: view.snapshot for view in views}))
            self.at_stake |= {view.account for view in views if view.at_stake}
        return answer

    def shown(self, *, until: float) -> list[str]:
        """The accounts shown, in order, each as often as it was."""
        return [account for at, _, views in self.slices if at < until for account in views]


def desk_of(accounts: int) -> Desk:
    """A desk where alice holds something, bob has an order, and so many others have nothing."""
    desk = desk_at()
    fill(desk, trade(desk, HELD), price="60000")
    trade(desk, "bob", type="LIMIT", price="59000")
    for number in range(accounts):
        desk.accounts[f"a{number}"] = SubAccount(f"a{number}")
    return desk


def outbox_of(called: Called) -> Outbox:
    return Outbox(cast(Any, called), withdraw=lambda _: None, sleep=asyncio.sleep)


def run(desk: Desk, called: Called, outbox: Outbox, *, seconds: float) -> None:
    """Show for so long, on virtual time."""
    loop = Loop()  # type: ignore[abstract]

    async def play() -> None:
        views = RiskViews(desk, outbox, cast(Any, called), asyncio.sleep, loop.time)
        running = [loop.create_task(outbox.run()), loop.create_task(views.run())]
        await asyncio.sleep(seconds)
        assert not any(task.done() for task in running)
        for task in running:
            task.cancel()

    loop.run(play(), until=3600)


def test_the_first_round_is_of_all_and_then_of_those_with_something_at_stake() -> None:
    desk, called = desk_of(100), Called()
    run(desk, called, outbox_of(called), seconds=2.5 * EVERY_S)
    first, both = called.shown(until=EVERY_S), called.shown(until=2 * EVERY_S)
    assert sorted(first) == sorted(desk.accounts)
    assert called.at_stake == {HELD, "bob"}
    assert sorted(both[len(first) :]) == [HELD, "bob"]


@pytest.mark.parametrize("accounts", [0, 500, 5000])
def test_no_slice_is_large_and_they_are_spread(accounts: int) -> None:
    desk, called = desk_of(accounts), Called()
    run(desk, called, outbox_of(called), seconds=EVERY_S)
    times = [at for at, _, _ in called.slices]
    assert max(len(views) for _, _, views in called.slices) <= AT_ONCE
    assert len(called.shown(until=EVERY_S)) == len(desk.accounts)
    assert all(later - earlier > 0.004 for earlier, later in pairwise(times))


def test_whom_a_waiting_posting_names_is_shown_once_it_is_journaled() -> None:
    desk, called = desk_of(0), Called()
    outbox = outbox_of(called)
    before, stood = desk.last_seq, desk.snapshot("bob")
    moved = decide(desk, "pms.transfer", fromAccountId="house", toAccountId=HELD, amount="1")
    waits = [moved]
    outbox.flushed = lambda: outbox.add(waits.pop()) if waits else None
    nothing = decide(desk_at(), "pms.create_account", subAccountId="carol")
    outbox.add(nothing)
    run(desk, called, outbox, seconds=EVERY_S)
    (_, seq, views), *later = called.slices
    assert (seq, views["bob"]) == (before, stood)
    assert not named([moved]) & views.keys()
    assert named([moved]) == {"house", HELD}
    assert {account for _, _, views in later for account in views} == named([moved])
    assert {seq for _, seq, _ in later} == {desk.last_seq}
    assert called.calls[:3] == ["append 1", "show", "append 1"]


def test_a_posting_names_whose_money_positions_or_orders_it_moves() -> None:
    desk = desk_at()
    admitted = trade(desk)
    assert named([admitted]) == {HELD}
    assert HELD in named([fill(desk, admitted, price="60000")])
    assert named([decide(desk, "pms.transfer", fromAccountId="bob", toAccountId="house", amount="1")]) == {
        "bob",
        "house",
    }


@pytest.mark.parametrize("answer", [False, RedisError("gone"), TimeoutError()])
def test_a_slice_that_failed_is_tried_in_a_later_turn(answer: bool | Exception) -> None:
    desk, called = desk_of(0), Called()
    called.answers = [answer, answer]
    outbox, failed = outbox_of(called), list[Exception]()
    outbox.failed = failed.append
    run(desk, called, outbox, seconds=EVERY_S)
    assert failed == []
    assert called.calls == ["show"] * 3
    assert sorted(called.shown(until=EVERY_S)) == sorted(desk.accounts)


def outbox_with(called: Called, postings: int, work: Callable[[Sequence[Posting]], Any]) -> Outbox:
    outbox = outbox_of(called)
    posting = decide(desk_at(), "pms.create_account", subAccountId="carol")
    for _ in range(postings):
        outbox.add(posting)
    outbox.between(work)
    return outbox


def play_outbox(outbox: Outbox) -> None:
    loop = Loop()  # type: ignore[abstract]

    async def play() -> None:
        running = loop.create_task(outbox.run())
        await asyncio.sleep(1)
        assert not running.done()
        running.cancel()

    loop.run(play(), until=3600)


def test_what_is_done_between_waits_for_a_long_queue_and_is_done_once() -> None:
    called = Called()

    async def work(waiting: Sequence[Posting]) -> None:
        called.calls.append(f"work before {len(waiting)}")

    play_outbox(outbox_with(called, 2 * BATCH + 1, work))
    assert called.calls == [f"append {BATCH}", f"append {BATCH}", "work before 1", "append 1"]


def test_a_fault_in_what_is_done_between_costs_no_posting() -> None:
    called, told = Called(), list[Exception]()

    async def work(_: Sequence[Posting]) -> None:
        raise ValueError("broken")

    outbox = outbox_with(called, BATCH + 1, work)
    outbox.failed = told.append
    play_outbox(outbox)
    assert called.calls == [f"append {BATCH}", "append 1"]
    assert [str(error) for error in told] == ["broken"]
