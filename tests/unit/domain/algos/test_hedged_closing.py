"""What takes from one side of a hedged account only reduces, whether it says so or not."""

from __future__ import annotations

import pytest
from basket_world import BasketWorld
from market_world import D, MarketWorld
from position_world import PositionWorld

from pms.contract.journal import HaltRow
from pms.domain.algos.algo import Algo, Status
from pms.domain.algos.reducing import works_on

CLOSES = {"symbol": "BTCUSDT", "side": "SELL", "positionSide": "LONG", "leverage": 10}


def hedged() -> PositionWorld:
    """Alice is long 0.05 on one side of a hedged account."""
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.ask("pms.position_mode", hedge=True)
    world.by_hand("BUY", "0.05", positionSide="LONG")
    return world


def long(world: MarketWorld) -> object:
    position = world.desk.holds(("alice", "BTCUSDT", "LONG"))
    return D(0) if position is None else position.quantity


def fill(world: PositionWorld, algo: Algo) -> None:
    for order in [each for each in world.of(algo.id) if not each.over]:
        world.ack(order.row.client_order_id)
        world.trade(order.row.client_order_id, order.total)


def test_a_twap_goes_on_with_what_is_left_of_its_side() -> None:
    world = hedged()
    algo = world.start(
        "pms.twap", **{**CLOSES, "totalSize": "0.05", "lots": 2, "duration": 60, "jitter": "0"}
    )
    world.conduct(algo.id)
    fill(world, algo)
    world.by_hand("SELL", "0.01", positionSide="LONG")
    world.pass_time(31_000)
    world.conduct(algo.id)
    assert (algo.status, [order.total for order in world.of(algo.id)]) == (
        Status.RUNNING,
        [D("0.025"), D("0.015")],
    )
    fill(world, algo)
    assert long(world) == 0


def test_a_chase_goes_on_with_what_is_left_of_its_side() -> None:
    world = hedged()
    algo = world.start("pms.chase", **CLOSES, quantity="0.05")
    world.conduct(algo.id)
    (first,) = world.of(algo.id)
    world.ack(first.row.client_order_id)
    world.trade(first.row.client_order_id, D("0.01"))
    world.end(first.row.client_order_id, "EXPIRED")
    world.conduct(algo.id)
    world.by_hand("SELL", "0.01", positionSide="LONG")
    world.pass_time(5_000)
    world.conduct(algo.id)
    assert (algo.status, world.of(algo.id)[1].total) == (Status.RUNNING, D("0.03"))


@pytest.mark.parametrize(("side", "position_side"), [("BUY", "LONG"), ("SELL", "SHORT")])
def test_what_opens_a_side_says_of_itself_what_it_said(side: str, position_side: str) -> None:
    world = hedged()
    terms = {**CLOSES, "side": side, "positionSide": position_side, "quantity": "0.05"}
    assert world.start("pms.chase", **terms).terms.reduce_only is False


def test_it_is_asked_when_its_position_may_have_shrunk_and_starts_while_only_reducing_is_permitted() -> None:
    world = hedged()
    world.desk.note_halt(
        HaltRow(scope="alice", mode="REDUCE_ONLY", reason="r", actor="a", since=1, request_id="r")
    )
    assert works_on(world.start("pms.chase", **CLOSES, quantity="0.05"), "BTCUSDT")


def test_a_baskets_leg_closes_what_is_left_of_its_side() -> None:
    world = BasketWorld()
    world.ask("pms.position_mode", hedge=True)
    opens = {**CLOSES, "side": "BUY", "quantity": "0.05"}
    (row,) = world.ask("pms.trade", **opens).entry.rows.orders
    world.ack(row.client_order_id)
    world.trade(row.client_order_id, D("0.05"))
    first = {**CLOSES, "side": "BUY", "positionSide": "LONG", "symbol": "ETHUSDT"}
    algo = world.basket(
        {**first, "quantity": "0.4", "algo": "market"},
        {**CLOSES, "quantity": "0.05", "algo": "chase"},
        mode="sequence",
        onLegFailure="unwind",
    )
    (row,) = world.ask("pms.trade", **CLOSES, quantity="0.02").entry.rows.orders
    world.ack(row.client_order_id)
    world.trade(row.client_order_id, D("0.02"))
    world.fill(world.live(algo.id, 0)[0])
    world.conduct(algo.id)
    world.conduct(algo.id)
    assert works_on(algo, "BTCUSDT")
    (closing,) = world.live(algo.id, 1)
    assert (algo.memory["unwinding"], world.orders[closing].total) == (False, D("0.03"))
