"""An order that moved concerns its own algo, and all that work on the position it may have taken from.

A liquidation that ends algos concerns each of them, whatever the market of its symbol does.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))
sys.path.insert(0, str(Path(__file__).parents[1] / "domain" / "algos"))

from basket_world import BasketWorld
from market_world import SYMBOL, D
from position_world import PositionWorld

from pms.domain.algos.algo import Status
from pms.domain.desk import Mark
from pms.domain.posting import Posting
from pms.domain.tiers import Tier, tiers_of
from pms.streamer.algos import Algos
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox
from pms.streamer.risk import RiskGuard

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


class Journaled(Outbox):
    """Whatever is added is journaled at once."""

    def add(self, posting: Posting | None, confirmed: Any = None) -> None:
        if posting is not None and confirmed is not None:
            confirmed(True)


def test_an_algo_in_a_quiet_symbol_is_asked_when_a_worse_tier_ends_it() -> None:
    """Its account's orders were cancelled a tier before: nothing else cancels what it placed since."""
    world = BasketWorld()
    for symbol, quantity in ((SYMBOL, "1"), ("ETHUSDT", "0.1")):
        posting = world.ask("pms.trade", symbol=symbol, side="BUY", quantity=quantity, leverage=10)
        world.fill(posting.entry.rows.orders[0].client_order_id)
    desk, nothing = world.desk, cast("Any", None)
    outbox = Journaled(nothing, withdraw=lambda _: None, sleep=asyncio.sleep)
    engine = Engine(desk, outbox, gate=Gate(), redis_now_ms=lambda: world.now)
    asked: list[str] = []
    engine.algo_told = asked.append
    engine.agenda = cast("Any", SimpleNamespace(put=lambda *_, **__: None))
    guard = RiskGuard(
        engine,
        tiers_of=partial(tiers_of, desk),
        unwind=lambda: None,
        close=lambda _: None,
        fatal=lambda error: pytest.fail(str(error)),
    )
    guard.begin()

    def fall_until(so: Callable[[], bool]) -> None:
        while not so():
            world.move(-100)
            desk.marks[SYMBOL] = Mark(world.mid, world.now)
            guard.ticked(SYMBOL)
            assert world.mid > 45_000

    desk.marks["ETHUSDT"] = Mark(D(3_000), world.now)
    fall_until(lambda: desk.accounts["alice"].tier == Tier.CANCEL)
    algo = world.start("pms.chase", symbol="ETHUSDT", side="SELL", quantity="0.1", reduceOnly=True)
    world.conduct(algo.id)
    (order,) = (each for each in world.of(algo.id) if not each.over)
    world.ack(order.row.client_order_id)
    asked.clear()
    fall_until(lambda: desk.quantity(("alice", SYMBOL, "BOTH")) < 1)
    assert (algo.status, asked) == (Status.ENDING, [algo.id])
    assert not desk.orders[order.row.client_order_id].cancel_wanted
    world.conduct(algo.id)
    assert desk.orders[order.row.client_order_id].cancel_wanted
