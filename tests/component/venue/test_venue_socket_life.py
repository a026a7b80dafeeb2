"""A connection's day, its heartbeat, and rules that a seed draws."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from venue_client import Stream, VenueClient

from pms.venue.app import RunningVenue
from pms.venue.faults.drawn import FaultPlan
from pms.venue.ws.life import SocketLife

PATHS = ("/public/ws/btcusdt@trade", "/market/stream", "/private/ws", "/ws-fapi/v1")


@pytest.mark.parametrize("path", PATHS)
async def test_a_day_ends_behind_a_warning(start: Any, session: aiohttp.ClientSession, path: str) -> None:
    running: RunningVenue = await start(socket_life=SocketLife(day_s=0.5))
    feed = Stream(await session.ws_connect(running.url + path))
    assert (await feed.next())["e"] == "serverShutdown"
    ended = await feed.socket.receive(timeout=10)
    assert (ended.type, ended.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.GOING_AWAY)


@pytest.mark.parametrize("path", PATHS)
async def test_who_answers_no_ping_is_dropped_and_who_does_stays(
    start: Any, session: aiohttp.ClientSession, path: str
) -> None:
    running: RunningVenue = await start(socket_life=SocketLife(ping_every_s=0.05, pong_within_s=0.4))
    deaf = await session.ws_connect(running.url + path, autoping=False)
    alive = await session.ws_connect(running.url + path)
    reading = asyncio.create_task(alive.receive())
    pings = 0
    while (message := await deaf.receive(timeout=10)).type is aiohttp.WSMsgType.PING:
        pings += 1
    assert pings > 1
    assert message.type is aiohttp.WSMsgType.CLOSE
    assert (message.data, message.extra) == (aiohttp.WSCloseCode.POLICY_VIOLATION, "Pong timeout")
    assert not reading.done()
    reading.cancel()


async def test_a_stop_is_told_before_the_goodbye(start: Any, session: aiohttp.ClientSession) -> None:
    running: RunningVenue = await start()
    feed = Stream(await session.ws_connect(f"{running.url}/public/ws/btcusdt@trade"))
    closing = asyncio.create_task(running.close())
    assert (await feed.next())["e"] == "serverShutdown"
    assert (await feed.socket.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE
    await closing


async def test_pongs_count_among_the_ten_messages_of_a_second(
    start: Any, session: aiohttp.ClientSession
) -> None:
    running: RunningVenue = await start(limits="binance")
    socket = await session.ws_connect(f"{running.url}/public/ws")
    for _ in range(12):
        await socket.pong()
    ended = await socket.receive(timeout=10)
    assert (ended.type, ended.extra) == (aiohttp.WSMsgType.CLOSE, "Too many requests")


async def test_rules_of_a_seed_come_by_themselves_and_leave_the_books_right(
    start: Any, session: aiohttp.ClientSession
) -> None:
    running: RunningVenue = await start(faults=FaultPlan(seed=7, per_minute=600.0))
    client = VenueClient(session, running.url)
    await client.levels(bids=[["59999.9", "1000"]], asks=[["60000.1", "1000"]])
    events: Any = None
    tried, faults = 0, running.venue.faults
    async with asyncio.timeout(60):
        while sum(len(rule.hits) for rule in faults.rules.values()) < 8:
            tried += 1
            try:
                async with asyncio.timeout(1):
                    if events is None or events.closed:
                        _, key = await client.raw("POST", "/fapi/v1/listenKey")
                        events = await session.ws_connect(f"{running.url}/private/ws/{key['listenKey']}")
                    await client.call(
                        "POST",
                        "/fapi/v1/order",
                        symbol="BTCUSDT",
                        side="BUY" if tried % 2 else "SELL",
                        type="MARKET",
                        quantity="1",
                        newClientOrderId=f"order-{tried}",
                    )
            except (TimeoutError, aiohttp.ClientError, KeyError):
                continue
    account = running.venue.exchange.accounts["demo"]
    trades = account.trades["BTCUSDT"]
    assert account.position("BTCUSDT").lots == sum(each.quantity * each.side for each in trades)
    assert len(account.orders["BTCUSDT"]) <= tried
    assert {each.order_id for each in trades} <= set(account.orders["BTCUSDT"])
