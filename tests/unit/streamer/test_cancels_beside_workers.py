"""A cancel of many orders: their worker asks ten at a time, and the streamer sends only what it does not."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))
sys.path.insert(0, str(Path(__file__).parent))

from desk_maker import D, decide, desk_at, request_id, trade
from test_cancels_back_off import AtOnce, run

from pms.binance.errors import NotFound
from pms.bus.inbox import Arrived, Attend
from pms.domain import placing
from pms.domain.orders import Seen
from pms.flows.batch import cancel_all_known
from pms.streamer.agenda import Agenda
from pms.streamer.attention import Attention
from pms.streamer.engine import TAKE_OVER_S, Engine, Gate

LATEST_S = 1.0
"""What no worker has cancelled by then the streamer begins to cancel."""


class Cancelling:
    """Resting orders of one account, the exchange half a round trip away, and its feed as far."""

    def __init__(self, orders: int, *, round_trip_s: float) -> None:
        self.half_s = round_trip_s / 2
        self.singles: list[float] = []
        self.batches = self.queries = 0
        self.gone: dict[str, float] = {}
        desk = desk_at(wallet="9000000")
        decide(desk, "pms.transfer", fromAccountId="house", toAccountId="alice", amount="5000000")
        self.engine = Engine(desk, AtOnce(), gate=Gate(closed_because=None), redis_now_ms=lambda: 1_000)
        self.attention = Attention(
            engine=self.engine,
            client=cast(Any, self),
            rights=cast(Any, None),
            placing=cast(Any, SimpleNamespace(recv_window_ms=2000)),
            same_redis=True,
            redis_now_ms=lambda: 1_000,
        )
        self.engine.agenda = cast(Any, SimpleNamespace(put=lambda *_, **__: None))
        for number in range(orders):
            price = str(57_500 + number // 10)
            admitted = trade(desk, quantity="0.001", type="LIMIT", price=price)
            order = desk.orders[admitted.entry.rows.orders[0].client_order_id]
            self.engine.observe(order, Seen(number + 1, "NEW", D(0), at=1_000))

    async def all_cancelled(self, *, works: bool) -> None:
        """All are cancelled on command; the worker serves it, or is dead."""
        loop = asyncio.get_running_loop()
        self.engine.agenda = Agenda(self.attention.attend, clock=loop.time)
        running = asyncio.create_task(self.engine.agenda.run())
        orders = list(self.engine.desk.live)
        request, self.began = request_id(), loop.time()
        text = json.dumps({"requestId": request, "subAccountId": "alice"})
        self.engine.decide(Arrived(request, "pms.cancel_all", text, at=1_000, deadline=6_000))
        if works:
            redis, inbox = cast(Any, self), cast(Any, self)
            await cancel_all_known(redis, cast(Any, self), inbox, orders)
        await asyncio.sleep(20)
        running.cancel()
        assert sorted(self.gone) == sorted(orders)

    # --- Redis, as a worker sees it ---

    def pipeline(self, *, transaction: bool) -> Cancelling:
        self.found = list[bytes]()
        return self

    def hget(self, *_: str) -> Cancelling:
        self.found.append(b"BTCUSDT")
        return self

    def get(self, _: str) -> Cancelling:
        self.found.append(b"1000 worker")
        return self

    async def execute(self) -> list[bytes]:
        return self.found

    async def put(self, message: Attend) -> None:
        self.engine.hear(message)

    # --- the exchange ---

    def exchange_now_ms(self) -> int:
        return 60_000

    def _end(self, coid: str) -> bool:
        if coid in self.gone:
            return False
        loop = asyncio.get_running_loop()
        self.gone[coid] = loop.time() - self.began
        order = self.engine.desk.orders[coid]
        said = Seen(order.exchange_order_id or 0, "CANCELED", D(0), at=2_000)
        loop.call_later(self.half_s, lambda: self.engine.observe(order, said))
        return True

    async def cancel(self, *, symbol: str, client_order_id: str) -> None:
        self.singles.append(asyncio.get_running_loop().time() - self.began)
        await asyncio.sleep(self.half_s)
        known = self._end(client_order_id)
        await asyncio.sleep(self.half_s)
        if not known:
            raise NotFound("Unknown order sent.", code=-2011)

    async def cancel_batch(self, *, symbol: str, client_order_ids: list[str]) -> list[Exception | None]:
        self.batches += 1
        await asyncio.sleep(self.half_s)
        known = [self._end(coid) for coid in client_order_ids]
        await asyncio.sleep(self.half_s)
        return [None if each else NotFound("Unknown order sent.", code=-2011) for each in known]

    async def query_order(self, *, symbol: str, client_order_id: str) -> object:
        self.queries += 1
        await asyncio.sleep(2 * self.half_s)
        order = self.engine.desk.orders[client_order_id]
        return SimpleNamespace(
            order_id=order.exchange_order_id,
            status="CANCELED" if client_order_id in self.gone else "NEW",
            executed_qty=D(0),
            orig_qty=order.quantity,
            price=order.price,
            update_time=2_000,
        )


@pytest.fixture(autouse=True)
def _as_many_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if they were of several symbols, each of which has a most."""
    monkeypatch.setattr(placing, "check_count", lambda *_: None)


@pytest.mark.parametrize(("orders", "round_trip_s"), [(7, 0.2), (200, 0.05), (1000, 0.05), (400, 0.15)])
def test_what_its_worker_cancels_in_time_is_cancelled_by_nobody_else(
    orders: int, round_trip_s: float
) -> None:
    world = Cancelling(orders, round_trip_s=round_trip_s)
    run(world.all_cancelled(works=True))
    assert (world.batches, world.singles, world.queries) == (-(-orders // 10), [], 0)


def test_a_worker_that_is_slower_is_helped_and_not_outdone() -> None:
    world = Cancelling(1000, round_trip_s=0.15)
    run(world.all_cancelled(works=True))
    assert world.batches == 100
    assert min(world.singles) >= LATEST_S
    assert len(world.singles) + world.queries < 300


@pytest.mark.parametrize("orders", [1, 7, 200])
def test_what_a_dead_worker_leaves_the_streamer_begins_within_a_second(orders: int) -> None:
    world = Cancelling(orders, round_trip_s=0.001)
    run(world.all_cancelled(works=False))
    assert len(world.singles) == orders
    assert min(world.singles) == pytest.approx(TAKE_OVER_S)
    assert max(world.singles) < LATEST_S + 0.05
