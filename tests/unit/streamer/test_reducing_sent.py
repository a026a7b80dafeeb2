"""What no longer fits into a position is cancelled at the exchange, once that entry is journaled."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import D, desk_at, request_id, trade
from filling import fill, trade_of

from pms.contract.reading import command_from
from pms.domain.decisions import Asked
from pms.domain.orders import Seen
from pms.domain.posting import Posting
from pms.streamer.engine import Engine, Gate
from pms.streamer.local import LocalCommands
from pms.streamer.outbox import Outbox


class Recorded(Outbox):
    """Keeps what is to be journaled, until the journal has it."""

    def __init__(self) -> None:
        Outbox.__init__(self, cast("Any", None), withdraw=lambda _: None, sleep=asyncio.sleep)
        self.waiting = list[Callable[[bool], None] | None]()

    def add(self, posting: Posting | None, confirmed: Callable[[bool], None] | None = None) -> None:
        if posting is not None:
            self.waiting.append(confirmed)

    def journaled(self) -> None:
        waiting, self.waiting = self.waiting, []
        for confirmed in waiting:
            if confirmed is not None:
                confirmed(True)


class Holding:
    """An engine; alice holds 0.1, and an order that may only reduce rests for all of it."""

    def __init__(self) -> None:
        self.desk, self.outbox, self.due, self.asked = desk_at(), Recorded(), list[str](), list[str]()
        fill(self.desk, trade(self.desk, quantity="0.1"), price="60000")
        self.engine = Engine(
            self.desk, self.outbox, gate=Gate(closed_because=None), redis_now_ms=lambda: 1_000
        )
        self.engine.algo_told = self.asked.append
        target = {"side": "SELL", "type": "LIMIT", "price": "61000", "quantity": "0.1", "reduceOnly": True}
        self.coid = trade(self.desk, **target).entry.rows.orders[0].client_order_id
        self.engine.observe(self.desk.orders[self.coid], Seen(70, "NEW", D(0), at=1_000))
        self.engine.agenda = cast("Any", SimpleNamespace(put=self._put))

    def _put(self, coid: str, *, in_s: float) -> None:
        if not in_s:
            self.due.append(coid)

    def decided(self, name: str, **fields: object) -> tuple[Asked, Any]:
        request = request_id()
        command = command_from(name, {"requestId": request, **fields})
        return Asked(
            request_id=request, command=name, text="{}", at=1_000, deadline=6_000, now=1_000
        ), command


async def turns() -> None:
    """Let the loop turn until nothing is left to be done."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_behind_a_trade() -> None:
    world = Holding()
    row = trade(world.desk, side="SELL", quantity="0.1").entry.rows.orders[0]
    sold = trade_of(row, 71, trade_id=71, quantity=D("0.1"), price=D(60_000), paid=D(0))
    world.engine.book(sold)
    assert world.due == []
    world.outbox.journaled()
    assert world.due == [world.coid]


def test_behind_a_trade_of_an_order_that_nobody_remembers() -> None:
    world = Holding()
    row = trade(world.desk, side="SELL", quantity="0.05").entry.rows.orders[0]
    world.desk.forget_order(world.desk.orders[row.client_order_id])
    world.engine.book(trade_of(row, 71, trade_id=71, quantity=D("0.05"), price=D(60_000), paid=D(0)))
    world.outbox.journaled()
    assert world.due == [world.coid]


async def test_behind_a_correction_and_the_algos_of_the_position_are_asked() -> None:
    world = Holding()
    position = world.desk.position("alice", "BTCUSDT").id
    stop = world.decided("pms.trail_stop", subAccountId="alice", positionId=position, callbackPct="1")
    algo = world.engine.decide_local(*stop).entry.rows.algos[0].id

    async def claim(request_id: str, *, nonce: str) -> bool:
        return True

    async def prepare(command: object) -> None:
        return None

    local = LocalCommands(
        engine=world.engine,
        requests=cast("Any", SimpleNamespace(claim=claim)),
        redis=cast("Any", None),
        nonce="n",
        sleep=asyncio.sleep,
        monotonic=lambda: 0.0,
        spawn=lambda _, asking: asking.close(),
        hurry=lambda: None,
        prepare=prepare,
    )
    why = {"actor": "ann", "reason": "a test"}
    taken = world.decided("pms.adjust", subAccountId="alice", symbol="BTCUSDT", quantity="-0.04", **why)
    world.outbox.waiting.clear()
    serving = asyncio.create_task(local._serve(*taken))
    await turns()
    assert (world.due, world.asked) == ([], [])
    world.outbox.journaled()
    await turns()
    assert (world.due, world.asked) == ([world.coid], [algo])
    serving.cancel()
