"""Whose workers send what an algo wants: a stop waits behind nobody's moves."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "domain" / "algos"))

from position_world import PositionWorld

from pms.contract import names
from pms.domain.algos.algo import Algo
from pms.domain.posting import Posting
from pms.streamer.algos import Algos
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox


class Woken:
    """Wake-ups as they were pushed, by algo."""

    def __init__(self) -> None:
        self.pushed: list[tuple[str, str, str]] = []

    def wake(self, task: str, client_order_id: str, *, queue: str) -> None:
        self.pushed.append((task, client_order_id, queue))


def asked(world: PositionWorld, algo: Algo) -> list[tuple[str, str]]:
    """Ask an algo as the streamer does; what it woke whom for."""
    woken, outbox = Woken(), Outbox(cast(Any, None), withdraw=lambda _: None, sleep=asyncio.sleep)

    def add(posting: Posting | None, confirmed: Any = None) -> None:
        if posting is not None:
            world._journal(posting)
            confirmed(True)

    cast(Any, outbox).add = add
    engine = Engine(world.desk, outbox, gate=Gate(closed_because=None), redis_now_ms=lambda: world.now)
    engine.agenda = cast(Any, type("Agenda", (), {"put": staticmethod(lambda *_, **__: None)}))
    algos = Algos(engine, cast(Any, woken), lambda: 0.0)
    algos._conduct(algo.id)
    return [(task, queue) for task, _, queue in woken.pushed]


async def test_stops_and_what_guards_a_position_go_by_the_urgent_workers() -> None:
    place, move = names.Task.PLACE, names.Task.SEND_AMEND
    orders, urgent = names.Queue.ORDERS, names.Queue.URGENT
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.05")
    half = world.start(
        "pms.bracket", positionId=world.position_id, quantity="0.02", takeProfit="63000", stopLoss="50000"
    )
    chase = world.start(
        "pms.chase", symbol="BTCUSDT", side="BUY", quantity="0.05", leverage=10, stalkOffset="5",
        stalkMode="maintain", repriceMs=100,
    )  # fmt: skip
    assert asked(world, half) == [(place, urgent)]
    assert asked(world, chase) == [(place, orders)]
    for order in list(world.desk.live):
        world.ack(order)
    world.pass_time(1_000)
    world.touch("60100", "60100.1")
    assert asked(world, chase) == [(move, orders)]
    world.ask("pms.bracket", None, action="amend", algoId=half.id, takeProfit="63500")
    assert asked(world, half) == [(move, urgent)]


async def test_a_fired_stop_is_placed_by_the_urgent_workers() -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.05")
    trail = world.start("pms.trail_stop", positionId=world.position_id, callbackPct="1")
    assert asked(world, trail) == []
    world.touch("59000", "59000.1")
    assert asked(world, trail) == [(names.Task.PLACE, names.Queue.URGENT)]
