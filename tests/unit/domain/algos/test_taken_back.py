"""A fault in a turn leaves nothing of what it decided in memory, and the next turn decides it anew."""

from __future__ import annotations

import pytest
from market_world import D, MarketWorld

from pms.domain.algos import conduct as conducting
from pms.domain.algos.algo import Status
from pms.domain.algos.conduct import end
from pms.domain.orders import Order

CHASE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.05", "leverage": 10}


def resting() -> tuple[MarketWorld, str, Order]:
    world = MarketWorld()
    world.move(0)
    algo_id = world.start("pms.chase", **CHASE).id
    world.conduct(algo_id)
    (order,) = world.of(algo_id)
    world.ack(order.row.client_order_id)
    return world, algo_id, world.desk.orders[order.row.client_order_id]


def fails_once(world: MarketWorld, algo_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The turn finds a fault when all is decided and nothing is journaled."""

    def faulty(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    with monkeypatch.context() as patched:
        patched.setattr(conducting, "tell", faulty)
        with pytest.raises(ZeroDivisionError):
            world.conduct(algo_id)


def test_a_cancel_is_wanted_again_by_the_next_turn_and_journaled(monkeypatch: pytest.MonkeyPatch) -> None:
    world, algo_id, order = resting()
    end(world.desk.algos.every[algo_id], Status.CANCELLED, "enough")
    fails_once(world, algo_id, monkeypatch)
    assert not order.cancel_wanted
    world.conduct(algo_id)
    (row,) = world.postings[-1].entry.rows.orders
    assert (row.client_order_id, row.cancel_wanted) == (order.spec.client_order_id, True)


def test_an_amendment_is_wished_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world, algo_id, order = resting()
    world.move(10)
    world.pass_time(1_000)
    fails_once(world, algo_id, monkeypatch)
    assert (order.amend, order.amends) == (None, 0)
    world.pass_time(1_000)
    world.conduct(algo_id)
    world.pass_time(1_000)
    world.conduct(algo_id)
    assert order.amend is not None
    assert order.amend.price == D(60_001)


def test_a_new_order_holds_no_margin_and_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    world = MarketWorld()
    world.move(0)
    algo_id = world.start("pms.chase", **CHASE).id
    fails_once(world, algo_id, monkeypatch)
    assert (world.desk.reserved_margin("alice"), world.desk.live) == (0, {})
    world.conduct(algo_id)
    assert world.exposed(algo_id) == D("0.05")
