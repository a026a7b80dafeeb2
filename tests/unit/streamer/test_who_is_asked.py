"""An order that moved concerns its own algo, and all that work on the position it may have taken from."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain" / "algos"))

from market_world import SYMBOL
from position_world import PositionWorld

from pms.streamer.algos import Algos

REDUCING = {"symbol": SYMBOL, "side": "SELL", "quantity": "0.05", "reduceOnly": True}
ADDING = {"symbol": SYMBOL, "side": "BUY", "quantity": "0.05"}


@pytest.mark.parametrize(
    ("name", "terms", "asked"),
    [
        ("pms.chase", REDUCING, True),
        ("pms.chase", ADDING, False),
        ("pms.twap", {**REDUCING, "totalSize": "0.05", "lots": 1, "duration": 100}, True),
        ("pms.basket", {"legs": [{**REDUCING, "algo": "chase"}]}, True),
        ("pms.basket", {"legs": [{**ADDING, "algo": "chase"}]}, False),
        ("pms.bracket", {"takeProfit": "61000"}, True),
    ],
)
def test_what_only_reduces_is_asked_when_another_order_of_its_account_moved(
    name: str, terms: dict[str, Any], asked: bool
) -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    by_hand = world.by_hand("BUY", "0.05")
    fields = {key: value for key, value in terms.items() if name != "pms.twap" or key != "quantity"}
    if name == "pms.bracket":
        fields["positionId"] = world.position_id
    algo = world.start(name, **fields)
    engine = SimpleNamespace(desk=world.desk, now=lambda: world.now)
    algos = Algos(cast("Any", engine), cast("Any", None), lambda: 0.0)
    algos.moved(world.desk.orders[by_hand or ""])
    assert list(algos._due) == ([algo.id] if asked else [])
