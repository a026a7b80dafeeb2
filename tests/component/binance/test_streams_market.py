"""The market stream stays connected and subscribed, whatever the line and its listeners do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any

import aiohttp
import pytest
from exchange_socket import PATIENCE_S, ExchangeSocket, Frames, ManualClock

from pms.binance.streams import CONTROL_EVERY_S, MarketStream

BTC, ETH, XRP = "btcusdt@depth@100ms", "ethusdt@depth@100ms", "xrpusdt@depth@100ms"


class Running:
    """A stream under test and what it told."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession, **options: Any) -> None:
        self.frames = Frames()
        self.told: list[str] = []
        self.lost = asyncio.Event()
        defaults: dict[str, Any] = {
            "on_frame": self.frames,
            "monotonic": asyncio.get_running_loop().time,
            "sleep": asyncio.sleep,
            "jitter": lambda: 0.0,
        }
        self.stream = MarketStream(
            base_url,
            session=session,
            on_connected=lambda: self.told.append("up"),
            on_disconnected=self._down,
            **(defaults | options),
        )

    def _down(self) -> None:
        self.told.append("down")
        self.lost.set()


@asynccontextmanager
async def running(base_url: str, *, streams: list[str], **options: Any) -> AsyncIterator[Running]:
    async with aiohttp.ClientSession() as session:
        under_test = Running(base_url, session, **options)
        under_test.stream.subscribe(streams)
        task = asyncio.create_task(under_test.stream.run())
        try:
            yield under_test
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def exchange() -> AsyncIterator[ExchangeSocket]:
    async with ExchangeSocket() as server:
        yield server


async def test_it_subscribes_and_hands_frames_over_in_order(exchange: ExchangeSocket) -> None:
    async with running(exchange.base_url, streams=[BTC]) as under_test:
        peer = await exchange.peer()
        assert peer.request.path == "/public/stream"
        assert await peer.control() == {"method": "SUBSCRIBE", "params": [BTC], "id": 1}
        under_test.stream.subscribe([BTC, ETH])
        assert await peer.control() == {"method": "SUBSCRIBE", "params": [ETH], "id": 2}
        under_test.stream.unsubscribe([ETH, XRP])
        assert await peer.control() == {"method": "UNSUBSCRIBE", "params": [ETH], "id": 3}
        for number in range(50):
            await peer.data(number)
        assert [await under_test.frames.number() for _ in range(50)] == list(range(50))
        assert under_test.stream.age() < PATIENCE_S


@pytest.mark.parametrize("polite", [True, False])
async def test_it_comes_back_and_subscribes_to_what_is_wanted_now(
    exchange: ExchangeSocket, *, polite: bool
) -> None:
    async with running(exchange.base_url, streams=[BTC, ETH]) as under_test:
        peer = await exchange.peer()
        await peer.control()
        if polite:
            await peer.socket.close()
        else:
            peer.abort()
        await asyncio.wait_for(under_test.lost.wait(), PATIENCE_S)
        under_test.stream.unsubscribe([ETH])
        under_test.stream.subscribe([XRP])
        peer = await exchange.peer()
        assert (await peer.control())["params"] == [BTC, XRP]
        await peer.data(7)
        assert await under_test.frames.number() == 7
        assert under_test.told == ["up", "down", "up"]


async def test_it_waits_for_an_exchange_that_is_not_there_yet() -> None:
    async with ExchangeSocket() as before:
        port = before.port
    refused = asyncio.Event()

    async def sleep(delay: float) -> None:
        refused.set()
        await asyncio.sleep(delay)

    async with running(f"ws://127.0.0.1:{port}", streams=[BTC], sleep=sleep):
        await asyncio.wait_for(refused.wait(), PATIENCE_S)
        async with ExchangeSocket(port=port) as exchange:
            assert (await (await exchange.peer()).control())["params"] == [BTC]


async def test_a_handlers_exception_is_counted_and_the_feed_goes_on(exchange: ExchangeSocket) -> None:
    frames = Frames()

    def fragile(raw: bytes) -> None:
        if b":13" in raw:
            raise RuntimeError("unlucky")
        frames(raw)

    async with running(exchange.base_url, streams=[BTC], on_frame=fragile) as under_test:
        peer = await exchange.peer()
        for number in (12, 13, 14):
            await peer.data(number)
        assert [await frames.number(), await frames.number()] == [12, 14]
        assert under_test.stream.failed_frames == 1
        assert under_test.told == ["up"]


async def test_silence_is_measured_on_data_and_ends_the_connection(exchange: ExchangeSocket) -> None:
    clock = ManualClock()
    async with running(
        exchange.base_url, streams=[BTC], monotonic=clock.monotonic, sleep=clock.sleep
    ) as under_test:
        peer = await exchange.peer()
        answered = (await peer.control())["id"]
        await clock.sleeping_until(1010)
        clock.advance(6)
        await peer.data(1)
        await under_test.frames.number()
        clock.advance(4)
        await clock.sleeping_until(1016)
        await peer.send({"result": None, "id": answered})
        await under_test.frames.next()
        clock.advance(6)
        await asyncio.wait_for(under_test.lost.wait(), PATIENCE_S)
        await clock.sleeping_until(1016.05)
        clock.advance(0.1)
        assert (await (await exchange.peer()).control())["params"] == [BTC]


async def test_without_subscriptions_nothing_is_expected(exchange: ExchangeSocket) -> None:
    clock = ManualClock()
    async with running(
        exchange.base_url, streams=[], monotonic=clock.monotonic, sleep=clock.sleep
    ) as under_test:
        peer = await exchange.peer()
        for due in range(1010, 1110, 10):
            await clock.sleeping_until(due)
            clock.advance(10)
        await clock.sleeping_until(1110)
        under_test.stream.subscribe([BTC])
        await peer.control()
        clock.advance(9)
        await peer.data(1)
        assert await under_test.frames.number() == 1
        assert under_test.told == ["up"]


async def test_control_messages_keep_their_distance(exchange: ExchangeSocket) -> None:
    clock = ManualClock()
    async with running(
        exchange.base_url, streams=[BTC], monotonic=clock.monotonic, sleep=clock.sleep
    ) as under_test:
        peer = await exchange.peer()
        for stream in (ETH, XRP):
            under_test.stream.subscribe([stream])
        for stream in (BTC, ETH, XRP):
            assert (await peer.control())["params"] == [stream]
            await clock.sleeping_until(clock.now + CONTROL_EVERY_S)
            assert peer.controls.empty()
            clock.advance(CONTROL_EVERY_S)


async def test_many_streams_go_in_parts(exchange: ExchangeSocket) -> None:
    streams = [f"s{number}@depth" for number in range(250)]
    async with running(exchange.base_url, streams=streams):
        peer = await exchange.peer()
        parts = [(await peer.control())["params"] for _ in range(3)]
        assert [len(part) for part in parts] == [100, 100, 50]
        assert [*chain(*parts)] == streams


async def test_a_refused_subscription_is_counted(exchange: ExchangeSocket) -> None:
    async with running(exchange.base_url, streams=[BTC]) as under_test:
        peer = await exchange.peer()
        await peer.send({"error": {"code": 2, "msg": "Invalid request"}, "id": 1})
        await under_test.frames.next()
        assert under_test.stream.refused_subscriptions == 1
        assert under_test.stream.age() == float("inf")


async def test_a_peer_that_answers_no_ping_is_left(exchange: ExchangeSocket) -> None:
    exchange.deaf = True
    async with running(exchange.base_url, streams=[BTC], heartbeat_s=0.1) as under_test:
        await exchange.peer()
        await asyncio.wait_for(under_test.lost.wait(), PATIENCE_S)
        exchange.deaf = False
        assert (await (await exchange.peer()).control())["params"] == [BTC]
