"""An order that somebody wants gone is asked about ever more seldom, whatever the exchange answers."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import D, desk_at, request_id, trade

from pms.binance.errors import ExchangeError, NotFound, Overloaded
from pms.bus.inbox import Arrived
from pms.domain.orders import Order, Seen
from pms.sim.machines.loop import Loop
from pms.streamer.agenda import Agenda
from pms.streamer.attention import Attention
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox

MOST_CANCELS = 8
"""In ten seconds: at once, then after a quarter, a half, one, two and five."""


class AtOnce(Outbox):
    """A journal that takes everything."""

    def __init__(self) -> None:
        Outbox.__init__(self, cast(Any, None), withdraw=lambda _: None, sleep=asyncio.sleep)

    def add(self, posting: Any, confirmed: Any = None) -> None:
        if posting is not None and confirmed is not None:
            confirmed(True)


class Exchange:
    """An exchange that answers each cancel and each query with the same."""

    def __init__(self, cancelled: ExchangeError | None, shown: object | None) -> None:
        self.cancelled, self.shown = cancelled, shown
        self.cancels = self.queries = 0

    def exchange_now_ms(self) -> int:
        return 60_000

    async def cancel(self, **_: object) -> None:
        self.cancels += 1
        if self.cancelled is not None:
            raise self.cancelled

    async def query_order(self, **_: object) -> object:
        self.queries += 1
        if self.shown is None:
            raise NotFound("Order does not exist.", code=-2013)
        return self.shown

    async def query_algo_order(self, **_: object) -> None:
        raise NotFound("Order does not exist.", code=-2013)


def resting(engine: Engine) -> Order:
    """An order that rests, and that its trader has cancelled."""
    admitted = trade(engine.desk, type="LIMIT", price="59000")
    order = engine.desk.orders[admitted.entry.rows.orders[0].client_order_id]
    engine.observe(order, Seen(1, "NEW", D(0), at=1_000))
    request = request_id()
    text = json.dumps({"requestId": request, "orderId": order.spec.client_order_id})
    engine.decide(Arrived(request, "pms.cancel", text, at=1_000, deadline=6_000))
    assert order.cancel_wanted
    return order


async def ten_seconds(exchange: Exchange) -> None:
    engine = Engine(desk_at(), AtOnce(), gate=Gate(closed_because=None), redis_now_ms=lambda: 1_000)
    attention = Attention(
        engine=engine,
        client=cast(Any, exchange),
        rights=cast(Any, None),
        placing=cast(Any, SimpleNamespace(recv_window_ms=2000)),
        same_redis=True,
        redis_now_ms=lambda: 1_000,
    )
    engine.agenda = Agenda(attention.attend, clock=asyncio.get_running_loop().time)
    running = asyncio.create_task(engine.agenda.run())
    order = resting(engine)
    await asyncio.sleep(10)
    running.cancel()
    assert not order.state.terminal


RESTS = SimpleNamespace(
    order_id=1, status="NEW", executed_qty=D(0), orig_qty=D("0.01"), price=D(59000), update_time=1_000
)


@pytest.mark.parametrize(
    ("cancelled", "shown"),
    [
        (NotFound("Unknown order sent.", code=-2011), None),
        (NotFound("Unknown order sent.", code=-2011), RESTS),
        (Overloaded("Request throttled by system-level protection.", code=-1008), RESTS),
        (None, RESTS),
    ],
    ids=["forgotten", "the query lags", "overloaded", "the feed is silent"],
)
def test_a_cancel_that_changes_nothing_is_sent_ever_more_seldom(
    cancelled: ExchangeError | None, shown: object | None
) -> None:
    exchange = Exchange(cancelled, shown)
    Loop().run(ten_seconds(exchange), until=60)  # type: ignore[abstract]
    assert 3 <= exchange.cancels <= MOST_CANCELS
    assert exchange.queries <= MOST_CANCELS
