"""One symbol's stream fails; that symbol is healed and no other notices. A real venue, our own clock."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal

import aiohttp
import pytest_asyncio
from pydantic import SecretStr

from pms.binance.client import ExchangeClient, open_session
from pms.binance.limits import RateBudget
from pms.binance.streams import MarketStream
from pms.bus.connection import connect
from pms.domain.desk import Desk
from pms.streamer.market import SILENT_MS, MarketData
from pms.venue.app import AccountSpec, RunningVenue, VenueConfig, serve

BTC, ETH = "BTCUSDT", "ETHUSDT"
PATIENCE_S = 10.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the venue's frames bring about."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.01)


class Market:
    """Market data of a venue that does only what a test says."""

    def __init__(self, venue: RunningVenue, http: aiohttp.ClientSession, desk: Desk) -> None:
        self.venue, self.desk, self._http = venue, desk, http
        self.data: MarketData
        self.now = 1_000_000
        self._price = 0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.02))

    async def post(self, path: str, **body: object) -> None:
        async with self._http.post(f"{self.venue.url}/venue/admin/{path}", json=body) as answer:
            assert answer.status == 200, await answer.text()

    async def move(self, symbol: str) -> Decimal:
        """Change the best bid; returns it."""
        self._price += 1
        price = Decimal(2000) + Decimal(self._price) / 10
        await self.post("levels", symbol=symbol, bids=[[str(price), "1"]])
        return price

    async def live(self, symbol: str) -> None:
        """Follow a symbol, and make diffs until its book is in sync and none is on its way."""
        self.data.follow(symbol)
        price = Decimal(0)
        await self.post("levels", symbol=symbol, asks=[["90000", "1"]])
        async with asyncio.timeout(PATIENCE_S):
            while symbol not in self.desk.tops:
                price = await self.move(symbol)
                await asyncio.sleep(0.05)
        await self.bid(symbol, price)

    async def pass_but_for(self, lively: str) -> None:
        """Let so much time pass that all but one symbol are silent."""
        for _ in range(5):
            self.now += SILENT_MS // 5
            await self.bid(lively, await self.move(lively))

    async def bid(self, symbol: str, price: Decimal) -> None:
        """Wait until the desk has this bid."""
        await until(lambda: symbol in self.desk.tops and self.desk.tops[symbol].bid == price)


@pytest_asyncio.fixture
async def market(redis_url: str) -> AsyncIterator[Market]:
    spec = AccountSpec("demo", "key", SecretStr("secret"), Decimal(1000))
    venue = await serve(VenueConfig(accounts=(spec,), port=0, market="none", limits="off"))
    redis, desk = connect(redis_url, name="test"), Desk(epoch="test")
    async with open_session() as session, aiohttp.ClientSession() as http, redis:
        budget = RateBudget(redis, share=Decimal(1), monotonic=time.monotonic)
        client = ExchangeClient(
            base_url=venue.url,
            api_key=SecretStr("key"),
            api_secret=SecretStr("secret"),
            session=session,
            clock_ms=lambda: time.time_ns() // 1_000_000,
            budget=budget,
        )
        await client.exchange_info()
        made = Market(venue, http, desk)

        async def prepare(symbol: str) -> None:
            """Nothing was traded before."""

        made.data = MarketData(
            desk,
            client,
            redis,
            now_ms=lambda: made.now,
            sleep=made.sleep,
            prepare=prepare,
            spawn=lambda name, work: asyncio.create_task(work, name=name),
        )
        made.data.stream = MarketStream(
            venue.url.replace("http", "ws"),
            session=session,
            on_frame=made.data.frame,
            on_connected=made.data.connected,
            on_disconnected=made.data.disconnected,
            monotonic=time.monotonic,
            sleep=asyncio.sleep,
            jitter=random.random,
        )
        work = [asyncio.create_task(made.data.stream.run()), asyncio.create_task(made.data.watch())]
        yield made
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        made.data.close()
        await budget.close()
    await venue.close()


async def test_a_dead_stream_on_a_lively_connection_is_subscribed_anew(market: Market) -> None:
    await market.live(BTC)
    await market.live(ETH)
    await market.post("faults", kind="drop_diff", symbol=ETH, count=-1)
    await market.move(ETH)
    price = await market.move(BTC)
    await market.bid(BTC, price)
    btc = market.desk.tops[BTC]
    await market.pass_but_for(BTC)
    await until(lambda: market.data.silences > 0)
    assert ETH not in market.desk.tops, "no price is better than an old one"
    market.venue.venue.faults.clear()
    async with asyncio.timeout(PATIENCE_S):
        while ETH not in market.desk.tops:
            await market.move(ETH)
            await asyncio.sleep(0.05)
    assert market.desk.tops[BTC].bid > btc.bid
    assert market.data.resyncs == 0, "BTC never lost its book"


async def test_a_quiet_market_is_proven_quiet_and_left_alone(market: Market) -> None:
    await market.live(BTC)
    await market.live(ETH)
    before = market.desk.tops[ETH]
    await market.pass_but_for(BTC)
    await until(lambda: market.data.ages()[ETH] == 0)
    assert market.data.silences == 0
    proven = market.desk.tops[ETH]
    assert proven.at > before.at, "the price is as good as new"
    assert replace(proven, at=before.at) == before


async def test_a_gap_resyncs_its_symbol_alone(market: Market) -> None:
    await market.live(BTC)
    await market.live(ETH)
    btc = market.desk.tops[BTC]
    lost = market.venue.venue.faults.add({"kind": "drop_diff", "symbol": ETH, "count": 1})
    await market.move(ETH)
    await until(lambda: bool(lost.hits))
    async with asyncio.timeout(PATIENCE_S):
        while not market.data.resyncs or ETH not in market.desk.tops:
            await market.move(ETH)
            await asyncio.sleep(0.05)
    assert market.data.resyncs == 1
    assert market.desk.tops[BTC] is btc
