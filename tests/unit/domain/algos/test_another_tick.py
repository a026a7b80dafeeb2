"""A symbol's tick is widened: prices asked for by the old one are put on the new, and never for worse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from market_world import BTC, SYMBOL, D
from position_world import PositionWorld

from pms.domain.algos.algo import Algo

SLICE = {"symbol": SYMBOL, "totalSize": "0.05", "lots": 1, "duration": 100, "leverage": 10}
ENTRY = {"symbol": SYMBOL, "side": "BUY", "quantity": "0.05", "leverage": 10, "stopLoss": "50000"}
LEG = {"algo": "limit", "symbol": SYMBOL, "quantity": "0.05", "leverage": 10}
BELOW, ABOVE = "59000.2", "61000.1"


def started(name: str, **terms: Any) -> tuple[PositionWorld, Algo]:
    """An algo of somebody who is long, begun before the tick is another."""
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.05")
    if terms.pop("onPosition", False):
        terms["positionId"] = world.position_id
    return world, world.start(name, **terms)


def widened(world: PositionWorld) -> None:
    world.desk.instruments[SYMBOL] = replace(BTC, tick=D("0.5"))


@pytest.mark.parametrize(
    ("name", "terms", "price"),
    [
        ("pms.bracket", {"onPosition": True, "takeProfit": ABOVE}, "61000.5"),
        ("pms.bracket", {**ENTRY, "price": BELOW}, "59000"),
        ("pms.twap", {**SLICE, "side": "SELL", "limitPrice": ABOVE, "timeInForce": "GTC"}, "61000.5"),
        ("pms.twap", {**SLICE, "side": "BUY", "limitPrice": BELOW, "timeInForce": "GTC"}, "59000"),
        ("pms.twap", {**SLICE, "side": "BUY", "limitPrice": BELOW, "passive": True}, "59000"),
        ("pms.twap", {**SLICE, "side": "SELL", "limitPrice": "59000.1"}, "59000.5"),
        ("pms.basket", {"legs": [{**LEG, "side": "SELL", "price": ABOVE}]}, "61000.5"),
    ],
)
def test_an_order_is_placed_on_the_new_tick(name: str, terms: dict[str, Any], price: str) -> None:
    world, algo = started(name, **terms)
    widened(world)
    world.conduct(algo.id)
    (order,) = world.of(algo.id)
    assert order.row.price == D(price)


def test_one_that_rests_is_moved_onto_it() -> None:
    world, algo = started("pms.bracket", onPosition=True, takeProfit=ABOVE)
    world.conduct(algo.id)
    (order,) = world.of(algo.id)
    world.ack(order.row.client_order_id)
    assert order.row.price == D(ABOVE)
    widened(world)
    world.pass_time(1_000)
    world.conduct(algo.id)
    assert order.wished is not None
    assert order.wished[2] == D("61000.5")
