"""A fault in one algo's machine ends that algo, and no other; nothing it half did is left in memory."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "domain" / "algos"))

from market_world import D, MarketWorld

from pms.domain.algos.algo import Algo, Status
from pms.domain.algos.chase import ChaseMachine
from pms.domain.algos.machine import Plan, View
from pms.domain.desk import Desk
from pms.domain.posting import Posting
from pms.streamer.algos import Algos
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox

CHASE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.05", "leverage": 10}


class Faulty(dict[int, Any]):
    """Wants whose second look finds a fault: the first slot's order is in memory by then."""

    def get(self, number: int, default: Any = None) -> Any:
        if number == 1:
            raise ZeroDivisionError("a fault of ours")
        return super().get(number, default)


def faulty_plan(self: ChaseMachine, algo: Algo, view: View) -> Plan:
    plan = real(self, algo, view)
    if algo.account != "alice":
        return plan
    algo.slots.setdefault(1, algo.slots[0])
    return Plan(wants=Faulty({**plan.wants, 1: plan.wants[0]}))


real = ChaseMachine.plan


def engine_of(desk: Desk, told: list[Posting]) -> Engine:
    outbox = Outbox(cast(Any, None), withdraw=lambda _: None, sleep=asyncio.sleep)
    engine = Engine(desk, outbox, gate=Gate(closed_because=None), redis_now_ms=lambda: 2_000)
    cast(Any, outbox).add = lambda posting, confirmed=None: told.append(posting) if posting else None
    return engine


async def test_it_ends_that_algo_alone_and_leaves_nothing_half_done(monkeypatch: pytest.MonkeyPatch) -> None:
    world, told = MarketWorld(), list[Posting]()
    world.move(0)
    bad, good = world.start("pms.chase", **CHASE), None
    posting = world.ask("pms.chase", None, **CHASE, subAccountId="bob")
    good = world.desk.algos.every[posting.entry.rows.algos[0].id]
    monkeypatch.setattr(ChaseMachine, "plan", faulty_plan)
    algos = Algos(engine_of(world.desk, told), cast(Any, None), lambda: 0.0)
    before = world.desk.reserved_margin("alice")
    algos.begin()
    running = asyncio.create_task(algos.run())
    await asyncio.sleep(0.05)
    running.cancel()

    assert (bad.status, bad.outcome) == (Status.FAILED, Status.FAILED)
    assert (good.status, len(good.busy)) == (Status.RUNNING, 1)
    assert world.desk.reserved_margin("alice") == before == D(0)
    assert [order.spec.sub_account_id for order in world.desk.live.values()] == ["bob"]
    kinds = [row.kind for each in told for row in each.entry.rows.incidents]
    assert kinds == ["algo_failed"]
