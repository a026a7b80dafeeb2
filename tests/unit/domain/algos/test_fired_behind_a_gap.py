"""A stop that fires while trades may have been missed closes what is held once they are read."""

from __future__ import annotations

import pytest
from market_world import D
from position_world import PositionWorld

from pms.contract.codes import Code, Refusal
from pms.domain.algos.algo import Algo, Status

STOPS = {
    "trail_stop": {"callbackPct": "1"},
    "bracket": {"stopLoss": "59400"},
}


def fired(kind: str) -> tuple[PositionWorld, Algo]:
    """A stop over 0.05 that has fired while the private stream had a gap."""
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.05")
    algo = world.start(f"pms.{kind}", positionId=world.position_id, **STOPS[kind])
    world.conduct(algo.id)
    world.touch("59300", "59300.1")
    world.conduct(algo.id, closed="the user stream is away", certain=False)
    return world, algo


def sell(world: PositionWorld, algo: Algo) -> None:
    """The exchange takes and fills whatever it sends."""
    for _ in range(3):
        world.conduct(algo.id)
        for order in [each for each in world.of(algo.id) if not each.over]:
            world.ack(order.row.client_order_id)
            world.trade(order.row.client_order_id, order.total)
        world.pass_time(1_000)


@pytest.mark.parametrize("kind", STOPS)
@pytest.mark.parametrize("gap", [False, True])
def test_it_closes_what_was_bought_on_the_way_down_too(kind: str, gap: bool) -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.05")
    more = world.by_hand("BUY", "0.05", type="LIMIT", price="59500")
    algo = world.start(f"pms.{kind}", positionId=world.position_id, **STOPS[kind])
    world.conduct(algo.id)
    world.pass_time(1_000)
    (world.trade_silently if gap else world.trade)(more, D("0.05"))
    world.touch("59300", "59300.1")
    world.conduct(algo.id, closed="the user stream is away" if gap else None, certain=not gap)
    assert {"fired", "stopped"} & algo.memory.keys()
    assert ("size" in algo.memory) is not gap
    world.pass_time(1_000)
    world.tell(more)
    world.touch("59700", "59700.1")
    sell(world, algo)
    assert (algo.status, algo.filled, world.holds) == (Status.FINISHED, D("0.10"), 0)


@pytest.mark.parametrize(
    ("kind", "changed"), [("trail_stop", {"callbackPct": "2"}), ("bracket", {"stopLoss": "59000"})]
)
def test_it_has_fired_for_good_and_cannot_be_moved_away(kind: str, changed: dict[str, str]) -> None:
    world, algo = fired(kind)
    with pytest.raises(Refusal) as refused:
        world.ask(f"pms.{kind}", None, algoId=algo.id, action="amend", **changed)
    assert refused.value.code is Code.ALGO_OVER


@pytest.mark.parametrize("kind", STOPS)
def test_paused_meanwhile_it_closes_nothing_that_is_bought_later(kind: str) -> None:
    world, algo = fired(kind)
    world.pause_or_resume(algo.id, "pause")
    world.pass_time(1_000)
    world.conduct(algo.id)
    world.by_hand("BUY", "0.10")
    world.pause_or_resume(algo.id, "resume")
    sell(world, algo)
    assert (algo.status, algo.filled, world.holds) == (Status.FINISHED, D("0.05"), D("0.10"))


@pytest.mark.parametrize("kind", STOPS)
def test_paused_in_the_gap_it_closes_what_was_bought_in_it_when_it_goes_on(kind: str) -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.05")
    more = world.by_hand("BUY", "0.05", type="LIMIT", price="59500")
    algo = world.start(f"pms.{kind}", positionId=world.position_id, **STOPS[kind])
    world.conduct(algo.id)
    world.trade_silently(more, D("0.05"))
    world.touch("59300", "59300.1")
    world.conduct(algo.id, closed="the user stream is away", certain=False)
    world.pause_or_resume(algo.id, "pause")
    world.tell(more)
    world.conduct(algo.id)
    world.pause_or_resume(algo.id, "resume")
    sell(world, algo)
    assert (algo.status, algo.filled, world.holds) == (Status.FINISHED, D("0.10"), 0)
