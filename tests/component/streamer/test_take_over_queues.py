"""Who is waited for before the streamer sends an order by itself: the workers of the order's own queue."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis.asyncio import Redis

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "domain" / "algos"))

from position_world import PositionWorld

from pms.bus.connection import connect
from pms.bus.inbox import Outcome
from pms.contract.names import Queue
from pms.streamer import attention
from pms.streamer.attention import MOST_TAKE_OVERS_PER_S, Attention
from pms.streamer.engine import TAKE_OVER_S, Engine, Gate
from pms.streamer.outbox import Outbox

HANGS_S = 10.0
"""Who waits for so long waits for ever."""
BUSY = {Queue.COMMANDS, Queue.ORDERS, Queue.URGENT, Queue.SCHEDULE}


class NoRights:
    """No order's right was taken."""

    async def taken(self, subjects: list[str]) -> list[None]:
        return [None for _ in subjects]


class Place:
    """A desk with an order for each queue, and what looks after them; what it sends is only noted."""

    def __init__(self, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        self.redis, self.sent = redis, list[str]()
        self.world = PositionWorld()
        self.world.touch("60000", "60000.1")
        self.world.by_hand("BUY", "0.05")
        self.now = self.world.now
        outbox = Outbox(cast(Any, None), withdraw=lambda _: None, sleep=asyncio.sleep)
        self.engine = Engine(
            self.world.desk, outbox, gate=Gate(closed_because=None), redis_now_ms=lambda: self.now
        )
        self.engine.agenda = cast(Any, SimpleNamespace(put=lambda *_, **__: None))
        self.attention = Attention(
            engine=self.engine,
            client=cast(Any, None),
            rights=cast(Any, NoRights()),
            placing=cast(Any, SimpleNamespace(redis=redis)),
            same_redis=True,
            redis_now_ms=lambda: self.now,
        )

        async def place(_: object, client_order_id: str) -> None:
            self.sent.append(client_order_id)

        async def amend(_: object, client_order_id: str) -> None:
            self.sent.append(f"amend {client_order_id}")
            await self.room.wait()

        self.room = asyncio.Event()
        #: at the exchange, for amendments
        monkeypatch.setattr(attention, "place", place)
        monkeypatch.setattr(attention, "amend", amend)
        trail = self.world.start("pms.trail_stop", positionId=self.world.position_id, callbackPct="1")
        self.world.conduct(trail.id)
        self.world.touch("59000", "59000.1")
        self.of = {
            Queue.URGENT: self._child(trail.id),
            Queue.COMMANDS: self.world.ask(
                "pms.trade", symbol="BTCUSDT", side="BUY", quantity="0.01", leverage=10
            )
            .entry.rows.orders[0]
            .client_order_id,
            Queue.SCHEDULE: self._worked(
                "pms.twap", symbol="BTCUSDT", side="BUY", totalSize="0.02", lots=2, duration=60, leverage=10
            ),
            Queue.ORDERS: self._worked(
                "pms.chase", symbol="BTCUSDT", side="BUY", quantity="0.05", leverage=10
            ),
        }

    def _worked(self, name: str, **fields: object) -> str:
        return self._child(self.world.start(name, **fields).id)

    def _child(self, algo_id: str) -> str:
        self.world.conduct(algo_id)
        (order,) = self.world.of(algo_id)
        return order.row.client_order_id

    async def waits(self, *queues: str) -> None:
        """Messages wait in these queues."""
        untyped: Any = self.redis
        for queue in queues:
            await untyped.lpush(queue, "a message")

    def seen(self, *queues: str) -> None:
        """A worker of each of these tells what became of an order that it sent."""
        for queue in queues:
            self.engine.hear(Outcome(self.of[queue], "worker:1", "accepted"))

    async def looks(self, queue: str) -> list[str]:
        """The streamer looks at the order of a queue."""
        coid = self.of[queue]
        assert await self.attention.attend(coid) is not None
        await asyncio.gather(*self.attention.sending.values())
        return self.sent


@pytest.fixture
async def here(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with connect(redis_url, name="test") as redis:
        made = Place(redis, monkeypatch)
        made.now += int(TAKE_OVER_S * 1000)
        yield made


@pytest.mark.parametrize("queue", sorted(BUSY))
async def test_what_all_other_workers_are_busy_with_holds_up_no_take_over(here: Place, queue: str) -> None:
    """Its own wake-up was lost."""
    await here.waits(*BUSY - {queue})
    here.seen(*BUSY)
    assert await here.looks(queue) == [here.of[queue]]


@pytest.mark.parametrize("queue", sorted(BUSY))
async def test_nor_are_dead_workers_waited_for(here: Place, queue: str) -> None:
    await here.waits(*BUSY)
    here.seen(*BUSY - {queue})
    assert await here.looks(queue) == [here.of[queue]]


@pytest.mark.parametrize("queue", sorted(BUSY))
async def test_workers_that_come_to_it_are(here: Place, queue: str) -> None:
    await here.waits(queue)
    here.seen(queue)
    assert await here.looks(queue) == []
    here.now += int(TAKE_OVER_S * 1000)
    assert await here.looks(queue) == [here.of[queue]]


async def test_a_stop_waits_behind_no_take_overs_of_others(here: Place) -> None:
    for _ in range(MOST_TAKE_OVERS_PER_S):
        await here.looks(Queue.ORDERS)
    here.sent.clear()
    assert await here.looks(Queue.ORDERS) == []
    assert await here.looks(Queue.URGENT) == [here.of[Queue.URGENT]]


async def test_nothing_waits_behind_an_amendment_that_waits_for_room(here: Place) -> None:
    coid = here.world.by_hand("SELL", "0.02", type="LIMIT", price="61000")
    assert coid is not None
    cancelled: list[str] = []

    async def cancel(*, client_order_id: str, **_: object) -> None:
        cancelled.append(client_order_id)

    here.attention.client = cast(Any, SimpleNamespace(cancel=cancel))
    here.world.ask("pms.amend", None, orderId=coid, price="61100")
    here.now = here.world.now + int(TAKE_OVER_S * 1000)
    for _ in range(3):
        async with asyncio.timeout(HANGS_S):
            assert await here.attention.attend(coid) is not None
        await asyncio.sleep(0)
    assert (here.sent, cancelled) == ([f"amend {coid}"], []), "it is sent once, however long it waits"
    here.engine.desk.orders[coid].cancel_wanted = True
    async with asyncio.timeout(HANGS_S):
        await here.attention.attend(coid)
    assert cancelled == [coid]
    here.room.set()
    await asyncio.gather(*here.attention.sending.values())
    await asyncio.sleep(0)
    assert here.attention.sending == {}
