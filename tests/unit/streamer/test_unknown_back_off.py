"""An order of which nothing is known is asked about ever more seldom, whatever its kind."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import desk_at, trade
from test_cancels_back_off import AtOnce, run

from pms.binance.errors import ExchangeError, NotFound, Refused, Throttled, Unknown
from pms.streamer.agenda import Agenda
from pms.streamer.attention import Attention
from pms.streamer.engine import Engine, Gate

SECONDS, MOST_ASKED = 190.0, 16
KINDS: dict[str, dict[str, str]] = {
    "rests": {"type": "LIMIT", "price": "59000"},
    "at market": {},
    "immediate": {"type": "LIMIT", "price": "60100", "timeInForce": "IOC"},
}
ANSWERS: dict[str, tuple[ExchangeError, int]] = {
    "no answer in time": (Unknown("time-out"), 0),
    "no room": (Throttled("no room"), 0),
    "the symbol is not listed": (Refused("Invalid symbol.", code=-1121, http=400), 0),
    "signed by a clock that was an hour ahead": (NotFound("Order does not exist.", code=-2013), 3_600_000),
}


class Exchange:
    """It gives each query the same answer."""

    def __init__(self, error: ExchangeError) -> None:
        self.error, self.asked = error, 0

    def exchange_now_ms(self) -> int:
        return now()

    async def query_order(self, **_: object) -> None:
        self.asked += 1
        raise self.error

    async def query_algo_order(self, **_: object) -> None:
        raise self.error


def now() -> int:
    return 1_000 + int(asyncio.get_running_loop().time() * 1000)


async def unknown(exchange: Exchange, *, ahead: int, terms: dict[str, str]) -> None:
    async def taken(ids: list[str]) -> list[int]:
        return [1_000 + ahead for _ in ids]

    engine = Engine(desk_at(), AtOnce(), gate=Gate(closed_because=None), redis_now_ms=now)
    attention = Attention(
        engine=engine,
        client=cast(Any, exchange),
        rights=cast(Any, SimpleNamespace(taken=taken)),
        placing=cast(Any, SimpleNamespace(recv_window_ms=2000)),
        same_redis=True,
        redis_now_ms=now,
    )
    engine.agenda = Agenda(attention.attend, clock=asyncio.get_running_loop().time)
    running = asyncio.create_task(engine.agenda.run())
    admitted = trade(engine.desk, **terms)
    engine.agenda.put(admitted.entry.rows.orders[0].client_order_id, in_s=0.25)
    await asyncio.sleep(SECONDS)
    running.cancel()


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("kind", KINDS)
def test_it_leaves_the_room_to_others(kind: str, answer: str) -> None:
    error, ahead = ANSWERS[answer]
    exchange = Exchange(error)
    run(unknown(exchange, ahead=ahead, terms=KINDS[kind]))
    assert 4 <= exchange.asked <= MOST_ASKED
