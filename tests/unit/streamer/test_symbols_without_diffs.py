"""A listed symbol of which no diff comes costs next to nothing: it may not trade yet, or no more."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

import msgspec
from desk_maker import BTC

from pms.binance.answers import DepthSnapshot
from pms.binance.errors import ExchangeError, Refused, Unsent
from pms.binance.frames import DepthUpdate
from pms.domain.desk import Desk
from pms.streamer.market import MarketData

SYMBOL = BTC.symbol


@dataclass
class Exchange:
    """Has a snapshot, or none, and may say nothing more for ever."""

    fault: ExchangeError | None = None
    last_id: int = 10
    bid: str = "100"
    asked: list[int] = field(default_factory=list)

    async def depth(self, symbol: str, limit: int = 1000) -> DepthSnapshot:
        self.asked.append(limit)
        if self.fault is not None:
            raise self.fault
        return DepthSnapshot(last_update_id=self.last_id, bids=[(self.bid, "2")], asks=[("101", "3")])

    def exchange_now_ms(self) -> int:
        return 1


def _diff(first: int, last: int, *, previous: int) -> DepthUpdate:
    return DepthUpdate(
        event_time=1,
        time=1,
        symbol=SYMBOL,
        first_id=first,
        last_id=last,
        previous_id=previous,
        bids=[],
        asks=[],
    )


class Stream:
    """Lively with other symbols."""

    def subscribe(self, streams: list[str]) -> None:
        """Take it."""

    unsubscribe = subscribe

    def age(self) -> float:
        return 0.0


class Place:
    """Market data on a clock that goes on when everybody sleeps."""

    def __init__(self, exchange: Exchange) -> None:
        self.now_s = 0.0
        self.desk = Desk(epoch="e1")
        self.desk.instruments[SYMBOL] = BTC
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        client: Any = exchange
        self.data = MarketData(
            self.desk,
            client,
            Any,  # type: ignore[arg-type]  no price is ever written
            now_ms=lambda: int(self.now_s * 1000),
            sleep=self.sleep,
            prepare=self.prepare,
            spawn=self.spawn,
        )
        stream: Any = Stream()
        self.data.stream = stream

    async def prepare(self, symbol: str) -> None:
        """Nothing was traded before."""

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now_s + seconds, woken))
        await woken

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        return task

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def pass_s(self, seconds: float) -> None:
        """Let virtual time pass, waking everybody at his moment."""
        until = self.now_s + seconds
        await self.settle()
        while self._sleepers and min(self._sleepers, key=lambda each: each[0])[0] <= until:
            first = min(self._sleepers, key=lambda each: each[0])
            self._sleepers.remove(first)
            self.now_s = max(self.now_s, first[0])
            if not first[1].done():
                first[1].set_result(None)
            await self.settle()
        self.now_s = until

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_a_snapshot_that_waits_for_its_diff_is_not_fetched_again() -> None:
    exchange = Exchange()
    place = Place(exchange)
    place.spawn("watch", place.data.watch())
    place.data.follow(SYMBOL)
    await place.pass_s(60)
    assert exchange.asked == [1000]
    await place.close()


async def test_the_diff_that_does_not_fit_it_has_another_fetched_at_once() -> None:
    exchange = Exchange()
    place = Place(exchange)
    followed = place.data.follow(SYMBOL)
    await place.pass_s(60)
    exchange.last_id = 22
    followed.book.apply(_diff(20, 22, previous=15))
    await place.pass_s(3)
    assert exchange.asked == [1000, 1000]
    assert SYMBOL in place.desk.tops
    await place.close()


async def test_a_snapshot_that_is_refused_is_asked_for_ever_more_seldom() -> None:
    """A symbol that is no more: the exchange says so every time."""
    exchange = Exchange(Refused("Invalid symbol.", code=-1121))
    place = Place(exchange)
    place.data.follow(SYMBOL)
    await place.pass_s(600)
    assert len(exchange.asked) < 20
    exchange.fault = Unsent("no connection")
    await place.pass_s(60)
    before = len(exchange.asked)
    await place.pass_s(60)
    assert len(exchange.asked) - before >= 19
    await place.close()


async def test_no_command_has_a_symbol_followed_that_does_not_trade() -> None:
    place = Place(Exchange())
    place.desk.instruments[SYMBOL] = replace(BTC, status="PENDING_TRADING")
    assert not place.data.follow_for(SYMBOL, lambda: None)
    assert place.data.ages() == {}
    place.desk.instruments[SYMBOL] = BTC
    assert place.data.follow_for(SYMBOL, lambda: None)
    await place.close()


async def _quiet(exchange: Exchange) -> tuple[Place, list[str]]:
    """A place with a book in sync of which no diff comes any more; what is told of it from here on."""
    place, told = Place(exchange), list[str]()
    place.data.follow(SYMBOL)
    await place.pass_s(1)
    place.data.frame(msgspec.json.encode(_diff(10, 12, previous=9)))
    assert SYMBOL in place.desk.tops
    place.data.ticked = told.append
    place.spawn("watch", place.data.watch())
    return place, told


async def test_a_quiet_symbol_has_its_price_again_after_the_whole_feed_was_silent() -> None:
    place, told = await _quiet(Exchange())
    before = place.desk.tops[SYMBOL]
    place.data.expire_stale()
    await place.pass_s(15)
    assert (place.desk.tops[SYMBOL].bid, place.desk.tops[SYMBOL].ask) == (before.bid, before.ask)
    assert told[:1] == [SYMBOL], "whoever waits for this price is judged by it"
    await place.close()


async def test_a_price_that_the_exchange_does_not_confirm_stays_away() -> None:
    exchange = Exchange()
    place, told = await _quiet(exchange)
    place.data.expire_stale()
    exchange.bid = "99"
    await place.pass_s(15)
    assert (place.desk.tops, told) == ({}, [])
    await place.close()


async def test_who_waits_for_a_quiet_symbol_is_judged_when_it_is_proven_quiet() -> None:
    """Its mark may have come back to its price meanwhile, and no diff tells of that."""
    place, told = await _quiet(Exchange())
    await place.pass_s(15)
    assert told == [SYMBOL]
    await place.close()
