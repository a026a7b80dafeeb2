"""An order that somebody wants gone is asked about ever more seldom, whatever the exchange answers."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import D, desk_at, request_id, trade

from pms.binance.errors import ExchangeError, NotFound, Overloaded, Throttled, Unsent
from pms.bus.inbox import Arrived
from pms.domain.orders import Accepted, Fact, Order, Seen
from pms.sim.machines.loop import Loop
from pms.streamer.agenda import Agenda
from pms.streamer.attention import Attention
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox

MOST_CANCELS = 8
"""In ten seconds: at once, then after a quarter, a half, one, two and five."""

NEW = Seen(1, "NEW", D(0), at=1_000)

LONGEST_S = 5.0
"""Between two cancels of an order that may still trade."""


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


def resting(engine: Engine, told: Fact) -> Order:
    """An order that rests, and that its trader has cancelled."""
    admitted = trade(engine.desk, type="LIMIT", price="59000")
    order = engine.desk.orders[admitted.entry.rows.orders[0].client_order_id]
    engine.observe(order, told)
    request = request_id()
    text = json.dumps({"requestId": request, "orderId": order.spec.client_order_id})
    engine.decide(Arrived(request, "pms.cancel", text, at=1_000, deadline=6_000))
    assert order.cancel_wanted
    return order


class Away(Exchange):
    """An exchange that cannot be reached, or asked, for a while; notes when it was sent a cancel."""

    def __init__(self, cancels: ExchangeError | None, queries: ExchangeError, *, back_at: float) -> None:
        super().__init__(None, RESTS)
        self.refusals, self.back_at = (cancels, queries), back_at
        self.sent: list[float] = []

    @property
    def away(self) -> bool:
        return asyncio.get_running_loop().time() < self.back_at

    async def cancel(self, **_: object) -> None:
        self.sent.append(asyncio.get_running_loop().time())
        if self.away and self.refusals[0] is not None:
            raise self.refusals[0]

    async def query_order(self, **_: object) -> object:
        self.queries += 1
        if self.away:
            raise self.refusals[1]
        return self.shown


class Behind(Exchange):
    """An exchange that counts a trade which its list of trades does not show."""

    def __init__(self, word: str) -> None:
        super().__init__(None, SimpleNamespace(**vars(RESTS) | {"status": word, "executed_qty": D("0.005")}))

    async def user_trades(self, **_: object) -> list[object]:
        return []


async def wanted_gone(
    exchange: Exchange, *, seconds: float, told: Fact = NEW, heard: Seen | None = None
) -> None:
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
    order = resting(engine, told)
    if heard is not None:
        engine.observe(order, heard)
        assert order.trades_missing
    await asyncio.sleep(seconds)
    running.cancel()
    assert not order.state.terminal


def run(work: Coroutine[Any, Any, None]) -> None:
    Loop().run(work, until=200)  # type: ignore[abstract]


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
    run(wanted_gone(exchange, seconds=10))
    assert 3 <= exchange.cancels <= MOST_CANCELS
    assert exchange.queries <= MOST_CANCELS


def test_a_trade_that_is_missing_keeps_no_order_from_being_cancelled() -> None:
    exchange = Behind("PARTIALLY_FILLED")
    run(wanted_gone(exchange, seconds=10, heard=Seen(1, "PARTIALLY_FILLED", D("0.005"), at=1_001)))
    assert 3 <= exchange.cancels <= MOST_CANCELS
    assert 3 <= exchange.queries <= MOST_CANCELS, "and its trades are asked for beside"


def test_an_order_that_is_over_is_asked_for_its_trades_and_cancelled_no_more() -> None:
    exchange = Behind("CANCELED")
    run(wanted_gone(exchange, seconds=60, heard=Seen(1, "CANCELED", D("0.005"), at=1_001)))
    assert exchange.cancels == 0
    assert 3 <= exchange.queries <= MOST_CANCELS


@pytest.mark.parametrize("told", [NEW, Accepted(1)], ids=["by the feed", "by REST alone"])
@pytest.mark.parametrize("back_at", [10.0, 33.0, 62.0])
@pytest.mark.parametrize(
    ("cancels", "queries"),
    [(Unsent("no connection"), Unsent("no connection")), (None, Throttled("no room"))],
    ids=["no line", "no room for queries"],
)
def test_a_standing_cancel_waits_for_no_query(
    cancels: ExchangeError | None, queries: ExchangeError, back_at: float, told: Fact
) -> None:
    exchange = Away(cancels, queries, back_at=back_at)
    run(wanted_gone(exchange, seconds=back_at + 10, told=told))
    assert exchange.sent[0] < 1
    assert max(later - sooner for sooner, later in pairwise(exchange.sent)) <= LONGEST_S
    assert exchange.sent[-1] > back_at


def test_trades_of_what_is_over_are_asked_for_ever_more_seldom_where_the_line_is_down() -> None:
    exchange = Away(Unsent("no connection"), Unsent("no connection"), back_at=200)
    run(wanted_gone(exchange, seconds=60, heard=Seen(1, "CANCELED", D("0.005"), at=1_001)))
    assert exchange.sent == []
    assert exchange.queries <= MOST_CANCELS
