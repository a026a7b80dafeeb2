"""The private stream comes back with a live key, and says that there was a gap."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from exchange_socket import PATIENCE_S, ExchangeSocket, Frames, ManualClock
from structlog.testing import capture_logs

from pms.binance.errors import ExchangeError
from pms.binance.user_stream import UserStream

EXPIRED = {"e": "listenKeyExpired", "E": "1736996475556", "listenKey": "KEY-1"}


class Keys:
    """The account's listen key, as the exchange would answer."""

    def __init__(self) -> None:
        self.live = "KEY-1"
        self.asked = 0
        self.failures = 0

    async def __call__(self) -> str:
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise ExchangeError("no answer")
        return self.live


class Running:
    """A stream under test and what it told."""

    def __init__(
        self,
        base_url: str,
        session: aiohttp.ClientSession,
        keys: Callable[[], Awaitable[str]],
        **options: Any,
    ) -> None:
        self.frames = Frames()
        self.told: list[str] = []
        self.lost = asyncio.Event()
        self.gap_closed = asyncio.Event()
        self.gap_closed.set()
        defaults: dict[str, Any] = {
            "monotonic": asyncio.get_running_loop().time,
            "sleep": asyncio.sleep,
            "jitter": lambda: 0.0,
        }
        self.stream = UserStream(
            base_url,
            session=session,
            new_listen_key=keys,
            on_frame=self.frames,
            on_up=self._up,
            on_down=self._down,
            **(defaults | options),
        )

    async def _up(self, *, first: bool) -> None:
        self.told.append("first" if first else "again")
        await self.gap_closed.wait()

    def _down(self) -> None:
        self.told.append("down")
        self.lost.set()


@asynccontextmanager
async def running(
    base_url: str, keys: Callable[[], Awaitable[str]], **options: Any
) -> AsyncIterator[Running]:
    async with aiohttp.ClientSession() as session:
        under_test = Running(base_url, session, keys, **options)
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


@pytest.fixture
def keys() -> Keys:
    return Keys()


async def test_it_listens_on_the_private_route_and_tells_each_gap(
    exchange: ExchangeSocket, keys: Keys
) -> None:
    async with running(exchange.base_url, keys) as under_test:
        peer = await exchange.peer()
        assert (peer.request.path, peer.request.query_string) == ("/private/ws", "listenKey=KEY-1")
        await peer.send({"e": "TRADE_LITE", "number": 1})
        assert (await under_test.frames.next())["number"] == 1
        peer.abort()
        peer = await exchange.peer()
        await peer.send({"e": "TRADE_LITE", "number": 2})
        assert (await under_test.frames.next())["number"] == 2
        assert under_test.told == ["first", "down", "again"]
        assert keys.asked == 2


async def test_frames_wait_while_the_gap_before_them_is_closed(exchange: ExchangeSocket, keys: Keys) -> None:
    async with running(exchange.base_url, keys) as under_test:
        under_test.gap_closed.clear()
        peer = await exchange.peer()
        for number in range(500):
            await peer.send({"e": "TRADE_LITE", "number": number, "padding": "x" * 1000})
        assert under_test.frames.empty
        under_test.gap_closed.set()
        assert [(await under_test.frames.next())["number"] for _ in range(500)] == list(range(500))


async def test_a_line_lost_while_the_gap_is_closed_is_left_at_once(
    exchange: ExchangeSocket, keys: Keys
) -> None:
    """A socket that nobody reads would tell neither its end nor, once its buffer is full, its life."""
    async with running(exchange.base_url, keys) as under_test:
        under_test.gap_closed.clear()
        (await exchange.peer()).abort()
        await asyncio.wait_for(under_test.lost.wait(), PATIENCE_S)
        under_test.gap_closed.set()
        await (await exchange.peer()).send({"e": "TRADE_LITE", "number": 1})
        assert (await under_test.frames.next())["number"] == 1
        assert under_test.told == ["first", "down", "first"]


async def test_an_expired_key_is_replaced(exchange: ExchangeSocket, keys: Keys) -> None:
    async with running(exchange.base_url, keys) as under_test:
        peer = await exchange.peer()
        keys.live = "KEY-2"
        await peer.send(EXPIRED)
        peer = await exchange.peer()
        assert peer.request.query["listenKey"] == "KEY-2"
        assert under_test.told[:2] == ["first", "down"]
        assert under_test.frames.empty


async def test_an_order_named_like_the_expiry_is_an_order(exchange: ExchangeSocket, keys: Keys) -> None:
    async with running(exchange.base_url, keys) as under_test:
        peer = await exchange.peer()
        await peer.send({"e": "ORDER_TRADE_UPDATE", "o": {"c": "listenKeyExpired"}})
        assert (await under_test.frames.next())["o"] == {"c": "listenKeyExpired"}


async def test_a_key_deleted_without_a_word_is_found_out(exchange: ExchangeSocket, keys: Keys) -> None:
    clock = ManualClock()
    async with running(
        exchange.base_url, keys, monotonic=clock.monotonic, sleep=clock.sleep, key_refresh_s=1200
    ) as under_test:
        await exchange.peer()
        await clock.sleeping_until(2200)
        clock.advance(1200)
        await clock.sleeping_until(3400)
        keys.failures = 1
        clock.advance(1200)
        await clock.sleeping_until(4600)
        assert under_test.told == ["first"]
        keys.live = "KEY-2"
        clock.advance(1200)
        await clock.sleeping_until(4600.05)
        clock.advance(1)
        assert (await exchange.peer()).request.query["listenKey"] == "KEY-2"


async def test_a_peer_that_answers_no_ping_is_left(exchange: ExchangeSocket, keys: Keys) -> None:
    exchange.deaf = True
    async with running(exchange.base_url, keys, heartbeat_s=0.1) as under_test:
        await exchange.peer()
        await asyncio.wait_for(under_test.lost.wait(), PATIENCE_S)
        exchange.deaf = False
        peer = await exchange.peer()
        await peer.send({"e": "TRADE_LITE", "number": 1})
        assert (await under_test.frames.next())["number"] == 1


async def test_a_key_that_cannot_be_had_is_asked_for_again(exchange: ExchangeSocket, keys: Keys) -> None:
    keys.failures = 3
    async with running(exchange.base_url, keys):
        await exchange.peer()
        assert keys.asked == 4


async def test_delays_double_up_to_their_limit_and_carry_jitter(exchange: ExchangeSocket, keys: Keys) -> None:
    keys.failures = 8
    delays: list[float] = []

    async def sleep(delay: float) -> None:
        if delay > 100:
            await asyncio.Event().wait()
        delays.append(delay)

    async with running(exchange.base_url, keys, sleep=sleep, jitter=lambda: 0.5):
        await exchange.peer()
    assert delays == pytest.approx([0.075, 0.15, 0.3, 0.6, 1.2, 2.4, 3.75, 3.75])


async def test_no_log_line_shows_the_key(exchange: ExchangeSocket, keys: Keys) -> None:
    with capture_logs() as lines:
        async with running(exchange.base_url, keys):
            await (await exchange.peer()).send(EXPIRED)
            exchange.refusals = 1
            (await exchange.peer()).abort()
            await exchange.peer()
    assert {line["event"] for line in lines} >= {
        "listen_key_expired",
        "user_stream_lost",
        "user_stream_closed",
    }
    assert 403 in {line.get("status") for line in lines}
    assert "KEY-1" not in json.dumps(lines, default=repr)
