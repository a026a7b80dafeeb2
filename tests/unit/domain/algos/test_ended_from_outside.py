"""Algos that are ended by others: by a liquidation, and by whoever cancels everything."""

from __future__ import annotations

import pytest
from desk_maker import decide
from market_world import D, MarketWorld

from pms.contract.codes import Code, Refusal
from pms.contract.names import HOUSE
from pms.domain.algos.algo import Status
from pms.domain.algos.conduct import end
from pms.domain.algos.ending import settle
from pms.domain.liquidation import liquidate
from pms.domain.posting import Posting
from pms.domain.tiers import DEFAULT
from pms.domain.weighing import weigh_account

CHASE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.05", "leverage": 10}


def holding() -> tuple[MarketWorld, str]:
    """A filled chase, and another one whose order rests."""
    world = MarketWorld()
    world.move(0)
    for _ in range(2):
        algo_id = world.start("pms.chase", **CHASE).id
        world.conduct(algo_id)
        (order,) = world.of(algo_id)
        world.ack(order.row.client_order_id)
        if not world.desk.held.get("alice"):
            world.trade(order.row.client_order_id, D("0.05"))
            world.conduct(algo_id)
    return world, algo_id


def fallen(world: MarketWorld, ratio: str) -> Posting:
    """Let the account's money be so little that its ratio is this."""
    weight = weigh_account(world.desk, "alice").weight
    world.desk.accounts["alice"].balance += weight.maintenance / D(ratio) - weight.equity
    posting = liquidate(world.desk, "alice", weigh_account(world.desk, "alice"), DEFAULT, now=world.now)
    assert posting is not None
    world._journal(posting)
    return posting


@pytest.mark.parametrize("ratio", ["0.81", "0.92", "1.2"])
def test_a_liquidation_ends_them_in_its_own_entry(ratio: str) -> None:
    world, algo_id = holding()
    posting = fallen(world, ratio)
    (row,) = posting.entry.rows.algos
    assert (row.id, row.status, row.outcome, row.reason) == (algo_id, "ending", "cancelled", "liquidation")
    (order,) = world.of(algo_id)
    assert world.desk.orders[order.row.client_order_id].cancel_wanted
    world.conduct(algo_id)
    world.end(order.row.client_order_id, "CANCELED")
    world.conduct(algo_id)
    assert world.desk.algos.every[algo_id].status is Status.CANCELLED
    assert len(world.of(algo_id)) == 1


def test_a_warning_leaves_them_alone() -> None:
    world, algo_id = holding()
    assert fallen(world, "0.75").entry.rows.algos == ()
    assert world.desk.algos.every[algo_id].status is Status.RUNNING


def test_what_still_trades_of_an_order_that_went_to_the_house_is_the_houses() -> None:
    world, algo_id = holding()
    fallen(world, "1.2")
    (order,) = world.of(algo_id)
    world.trade(order.row.client_order_id, D("0.01"))
    assert world.desk.orders[order.row.client_order_id].spec.sub_account_id == HOUSE
    assert world.desk.algos.every[algo_id].filled == 0


@pytest.mark.parametrize("scope", [{}, {"subAccountId": "alice"}, {"symbol": "BTCUSDT"}])
def test_who_cancels_all_ends_them_too(scope: dict[str, str]) -> None:
    world, algo_id = holding()
    posting = world.ask("pms.cancel_all", None, **scope)
    (row,) = posting.entry.rows.algos
    assert (row.id, row.status, row.reason) == (algo_id, "ending", "all orders were cancelled")


def condemned() -> tuple[MarketWorld, str, Posting]:
    """An algo that a cancel of all is to end; the journal has not answered yet."""
    world, algo_id = holding()
    return world, algo_id, world.ask("pms.cancel_all")


def test_what_trades_before_the_end_is_known_to_stand_does_not_revive_it() -> None:
    world, algo_id, _ = condemned()
    (order,) = world.of(algo_id)
    world.trade(order.row.client_order_id, D("0.01"))
    assert world.postings[-1].entry.rows.algos[0].status == "ending"
    world.restart()
    algo = world.desk.algos.every[algo_id]
    assert (algo.status, algo.filled, algo.reason) == (Status.ENDING, D("0.01"), "all orders were cancelled")


def test_nothing_is_decided_of_it_meanwhile() -> None:
    world, algo_id, posting = condemned()
    world.end(world.of(algo_id)[0].row.client_order_id, "EXPIRED")
    world.pass_time(1_000)
    assert world.conduct(algo_id) is None
    assert len(world.of(algo_id)) == 1
    for action in ("pause", "resume", "cancel"):
        with pytest.raises(Refusal) as refused:
            decide(world.desk, "pms.algo", now=world.now, algoId=algo_id, action=action)
        assert refused.value.code is Code.NOT_READY
    assert settle(world.desk, posting.entry, held=True) is None
    world.conduct(algo_id)
    assert world.desk.algos.every[algo_id].status is Status.CANCELLED


def test_a_decision_that_did_not_stand_lets_it_go_on() -> None:
    world, algo_id, posting = condemned()
    again = settle(world.desk, posting.entry, held=False)
    assert again is not None
    # What traded meanwhile has told the journal of an end.
    assert [(row.id, row.status) for row in again.entry.rows.algos] == [(algo_id, "running")]
    world.end(world.of(algo_id)[0].row.client_order_id, "EXPIRED")
    world.pass_time(1_000)
    world.conduct(algo_id)
    world.pass_time(1_000)
    world.conduct(algo_id)
    assert len(world.of(algo_id)) == 2


@pytest.mark.parametrize("stands", [0, 1])
def test_of_two_ends_the_one_that_stands_holds(stands: int) -> None:
    world, algo_id, first = condemned()
    for number, posting in enumerate([first, world.ask("pms.cancel_all")]):
        settle(world.desk, posting.entry, held=number == stands)
    assert world.desk.algos.every[algo_id].status is Status.ENDING


@pytest.mark.parametrize("held", [True, False])
def test_a_liquidation_meanwhile_is_what_ended_it(held: bool) -> None:
    world, algo_id, posting = condemned()
    assert fallen(world, "0.92").entry.rows.algos[0].reason == "liquidation"
    settle(world.desk, posting.entry, held=held)
    assert world.desk.algos.every[algo_id].reason == "liquidation"


@pytest.mark.parametrize("scope", [{"subAccountId": "bob"}, {"symbol": "ETHUSDT"}])
def test_but_not_those_of_others(scope: dict[str, str]) -> None:
    world, _ = holding()
    assert world.ask("pms.cancel_all", None, **scope).entry.rows.algos == ()


def test_a_cancel_of_one_that_ends_already_leaves_what_it_came_to() -> None:
    world, algo_id = holding()
    algo = world.desk.algos.every[algo_id]
    end(algo, Status.FAILED, "its legs have failed")
    posting = world.ask("pms.cancel_algo", None, algoId=algo_id)
    (row,) = posting.entry.rows.algos
    assert (row.status, row.outcome, row.reason) == ("ending", "failed", "its legs have failed")
    world.conduct(algo_id)
    world.end(world.of(algo_id)[0].row.client_order_id, "CANCELED")
    world.conduct(algo_id)
    assert (algo.status, algo.reason) == (Status.FAILED, "its legs have failed")
