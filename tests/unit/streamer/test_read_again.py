"""Behind a Redis that forgot all orders are read twice: an exchange that lags shows one in the second only.

An order that expired without a trade is on no other list: nobody would know of it, and its trader be told
that nothing was sent.
"""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import desk_at, request_id

from pms.binance.answers import OrderAnswer
from pms.binance.errors import Throttled
from pms.bus.inbox import Arrived
from pms.domain.orders import State
from pms.domain.posting import Posting
from pms.sim.machines.loop import Loop
from pms.streamer.catch_up import CatchUp
from pms.streamer.engine import Engine, Gate
from pms.streamer.user_feed import CATCH_UP_EVERY_S, PROVED_AT_A_TIME, READ_AGAIN_S, UserFeed

NOW = 60_000
REQUEST = request_id()
TEXT = json.dumps({
    "requestId": REQUEST, "subAccountId": "alice", "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01",
    "type": "LIMIT", "price": "59000", "timeInForce": "IOC",
})  # fmt: skip


class Exchange:
    """Its list of all orders lags; it has no room for a symbol's trades while it is busy."""

    def __init__(self) -> None:
        self.orders: list[OrderAnswer] = []
        self.readings = 0
        self.busy = False
        self.read: list[str] = []

    def exchange_now_ms(self) -> int:
        return NOW

    async def orders_since(self, *_: object) -> list[OrderAnswer]:
        self.readings += 1
        return self.orders if self.readings > 1 else []

    async def nothing(self, *_: object, **__: object) -> list[Any]:
        return []

    open_orders = position_risk = balances = nothing

    async def user_trades(self, *, symbol: str, lane: str = "query", **_: object) -> list[Any]:
        if self.busy and lane == "background":
            raise Throttled("no room", retry_after=1.0)
        self.read.append(symbol)
        return []


class World:
    def __init__(self) -> None:
        self.exchange, self.desk = Exchange(), desk_at()
        self.desk.cursors = {"BTCUSDT": 1}
        self.posted: list[Posting] = []
        outbox = SimpleNamespace(add=self._add)
        self.engine = Engine(self.desk, cast(Any, outbox), gate=Gate(), redis_now_ms=lambda: NOW)
        self.engine.agenda = cast(Any, SimpleNamespace(put=lambda *_, **__: None))
        self.feed = UserFeed(self.engine, CatchUp(self.engine, cast(Any, self.exchange)), failed=print)
        self.feed.lifeline = cast(Any, SimpleNamespace(caught_up=lambda _: None))
        self.loop = Loop()  # type: ignore[abstract]

    def _add(self, posting: Posting | None, *_: object) -> None:
        if posting is not None:
            self.posted.append(posting)

    def recall(self) -> None:
        """The sweep finds the command, of which this Redis does not know what came."""
        self.engine.recall(Arrived(REQUEST, "pms.trade", TEXT, at=1_000, deadline=2_000))

    async def begun(self, *, remembered: bool) -> None:
        await self.feed.is_up(first=True)
        await self.feed.begin(remembered=remembered)

    def play(self, script: Any) -> None:
        async def run() -> None:
            running: list[asyncio.Task[None]] = []
            await script(lambda: running.append(self.loop.create_task(self.feed.run())))
            for task in running:
                task.cancel()

        self.loop.run(run(), until=3600)


def expired_unfilled() -> OrderAnswer:
    """The order as the exchange has it: admitted, sent, and over in the second that Redis lost."""
    twin = World()
    twin.engine.gate.closed_because = None
    twin.engine.follow = lambda *_: False
    twin.engine.decide(Arrived(REQUEST, "pms.trade", TEXT, at=NOW, deadline=NOW + 1_000))
    [order] = twin.desk.live.values()
    return OrderAnswer(
        order_id=3,
        symbol="BTCUSDT",
        status="EXPIRED",
        client_order_id=order.spec.client_order_id,
        side="BUY",
        type="LIMIT",
        price=Decimal(59000),
        orig_qty=Decimal("0.01"),
        executed_qty=Decimal(0),
        time_in_force="IOC",
        update_time=1_500,
    )


def test_nothing_is_denied_before_the_second_reading_which_shows_the_order() -> None:
    world, answer = World(), expired_unfilled()
    world.exchange.orders = [answer]

    async def script(run: Any) -> None:
        await world.begun(remembered=False)
        run()
        await asyncio.sleep(READ_AGAIN_S - 0.1)
        world.recall()
        assert (world.exchange.readings, world.posted) == (1, [])
        await asyncio.sleep(0.2)
        assert world.exchange.readings == 2
        world.recall()

    world.play(script)
    adopted, answered = world.posted
    assert [row.state for row in adopted.entry.rows.orders] == [State.EXPIRED]
    [result] = answered.results
    assert (result.success, result.order_id, result.state) == (True, answer.client_order_id, "expired")


def test_one_that_is_in_neither_is_denied_then_and_all_are_not_read_a_third_time() -> None:
    world = World()

    async def script(run: Any) -> None:
        await world.begun(remembered=False)
        run()
        await asyncio.sleep(READ_AGAIN_S + 3 * CATCH_UP_EVERY_S)
        world.recall()

    world.play(script)
    assert world.exchange.readings == 2
    [refused] = world.posted
    assert [result.code for result in refused.results] == ["EXPIRED"]


def test_where_redis_remembers_all_orders_are_not_read() -> None:
    world = World()

    async def script(run: Any) -> None:
        await world.begun(remembered=True)
        run()
        await asyncio.sleep(2 * CATCH_UP_EVERY_S)

    world.play(script)
    assert (world.exchange.readings, world.engine.gate.denies) == (0, True)


def test_cursors_of_many_symbols_are_proven_some_at_a_time_and_all_in_their_turn() -> None:
    """Five of weight each: thirty a turn would take from questions about orders what they need."""
    world = World()
    names = [f"S{number:02}USDT" for number in range(3 * PROVED_AT_A_TIME)]
    world.desk.newest_trades = dict.fromkeys(names, 5)
    world.feed.held = None

    async def script(run: Any) -> None:
        run()
        for turn in range(1, 4):
            await asyncio.sleep(CATCH_UP_EVERY_S + 0.01)
            assert len(world.exchange.read) == turn * PROVED_AT_A_TIME

    world.play(script)
    assert sorted(world.exchange.read) == names


def test_where_there_is_no_room_cursors_wait_and_a_gap_does_not() -> None:
    world = World()
    world.desk.newest_trades = {"S1USDT": 5}
    world.exchange.busy, world.feed.held = True, None

    async def script(run: Any) -> None:
        run()
        await asyncio.sleep(CATCH_UP_EVERY_S + 0.1)
        assert world.exchange.read == []
        world.feed.is_down()
        await world.feed.is_up(first=False)
        await asyncio.sleep(0.1)
        assert world.feed.ready()

    world.play(script)
    assert world.exchange.read == ["S1USDT", "BTCUSDT"]
