"""In hedge mode an adopted order is for the position that its algo meant, whatever is held by now."""

from __future__ import annotations

import pytest
from market_world import SYMBOL, D, MarketWorld

from pms.contract.names import BOTH, LONG, SHORT
from pms.domain.adoption import adopt
from pms.domain.algos.ids import child_id
from pms.domain.algos.machines import LETTERS
from pms.domain.orders import Order

SCALPER = {"symbol": SYMBOL, "quantity": "0.01", "layers": 2, "baseOffsetPct": "0.1", "spacingPct": "0.05"}
CHASE = {"symbol": SYMBOL, "quantity": "0.05", "leverage": 10}


def holding(world: MarketWorld, position_side: str | None) -> str | None:
    """Alice holds 0.02 on a side, or nothing; returns her position's id."""
    if position_side is None:
        return None
    world.ask(
        "pms.trade",
        symbol=SYMBOL,
        side="BUY" if position_side == LONG else "SELL",
        quantity="0.02",
        leverage=10,
        positionSide=position_side,
    )
    coid = list(world.orders)[-1]
    world.ack(coid)
    world.trade(coid, D("0.02"))
    return world.desk.position("alice", SYMBOL, position_side).id


def hedged(position_side: str | None) -> tuple[MarketWorld, str | None]:
    world = MarketWorld()
    world.move(0)
    world.ask("pms.position_mode", hedge=True, reason="both sides")
    return world, holding(world, position_side)


def adopted(world: MarketWorld, algo_id: str, *, slot: int, side: str) -> Order:
    """The first order of an algo's slot is found at the exchange, and nobody remembers it."""
    algo = world.desk.algos.every[algo_id]
    step = algo.slots[slot].steps + 1
    coid = child_id(algo.account, LETTERS[algo.kind], algo.id, slot, step, started_at=algo.started_at)
    order, _ = adopt(
        world.desk,
        client_order_id=coid,
        exchange_order_id=77,
        symbol=SYMBOL,
        side=side,
        order_type="LIMIT",
        quantity=D("0.01"),
        price=D(60_000),
        time_in_force="GTC",
        word="NEW",
        filled=D(0),
        at=world.now,
    )
    assert order.spec.parent_id == algo_id
    return order


@pytest.mark.parametrize("held", [LONG, SHORT, None])
@pytest.mark.parametrize(
    ("slot", "side", "meant"),
    [(0, "BUY", LONG), (1, "SELL", LONG), (2, "BUY", LONG), (4, "SELL", SHORT), (7, "BUY", SHORT)],
)
def test_a_scalper_s_slots_are_long_first_and_then_short(
    held: str | None, slot: int, side: str, meant: str
) -> None:
    world, _ = hedged(held)
    algo = world.start("pms.scalper", **SCALPER)
    assert adopted(world, algo.id, slot=slot, side=side).spec.position_side == meant


@pytest.mark.parametrize("held", [LONG, SHORT, None])
@pytest.mark.parametrize(("side", "meant"), [("BUY", LONG), ("SELL", SHORT)])
def test_what_names_its_side_is_for_that(held: str | None, side: str, meant: str) -> None:
    world, _ = hedged(held)
    algo = world.start("pms.chase", **CHASE, side=side, positionSide=meant)
    assert adopted(world, algo.id, slot=0, side=side).spec.position_side == meant


@pytest.mark.parametrize("held", [LONG, SHORT])
def test_each_leg_of_a_basket_names_its_own(held: str) -> None:
    world, _ = hedged(held)
    legs = [
        {"algo": "market", "symbol": SYMBOL, "side": side, "quantity": "0.02", "positionSide": meant}
        for side, meant in (("BUY", LONG), ("SELL", SHORT))
    ]
    algo = world.start("pms.basket", legs=legs)
    first, second = (int(leg["first"]) for leg in algo.memory["legs"])
    placed = {first: "BUY", first + 1: "SELL", second: "SELL", second + 1: "BUY"}
    found = {
        slot: adopted(world, algo.id, slot=slot, side=side).spec.position_side
        for slot, side in placed.items()
    }
    assert found == {first: LONG, first + 1: LONG, second: SHORT, second + 1: SHORT}


@pytest.mark.parametrize(("held", "closes"), [(LONG, "SELL"), (SHORT, "BUY")])
@pytest.mark.parametrize("since", ["still held", "closed"])
def test_what_was_started_on_a_position_closes_that_side(held: str, closes: str, since: str) -> None:
    world, position_id = hedged(held)
    algo = world.start("pms.trail_stop", positionId=position_id, callbackPct="1")
    if since == "closed":
        world.ask("pms.close", None, positionId=position_id)
        coid = list(world.orders)[-1]
        world.ack(coid)
        world.trade(coid, D("0.02"))
    assert adopted(world, algo.id, slot=0, side=closes).spec.position_side == held


def test_in_one_way_mode_there_is_one_position() -> None:
    world = MarketWorld()
    world.move(0)
    algo = world.start("pms.scalper", **SCALPER)
    assert adopted(world, algo.id, slot=4, side="SELL").spec.position_side == BOTH
