"""From the venue's emission of a fill to a subscriber that has the engine's event of it.

Beside it a bare relay: a WebSocket client that publishes each frame as it came. The engine trades on one
account, the relay listens to another; both get their fills from the same market orders, in blocks that
take turns. The time of emission is the venue's own, by the monotonic clock both share.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import count
from typing import Any, Literal
from uuid import uuid4

import msgspec

from benchmarks import relay
from benchmarks.samples import LAST_TURN_ENDS_S, Progress, Samples, ratio, turns
from benchmarks.system import FLOOR, Bench, bench
from pms.binance.client import PlaceOrder

TURNS, EVERY_S = 5, 0.01
PATH, BARE = 200, 100
"""The two blocks of one turn: with either policy 1,000 samples of the path, 500 of the floor."""

ENDS_S = {"always": 24, "everysec": LAST_TURN_ENDS_S}
"""When the last turn with a policy is to have ended, in seconds since the start."""

ACCOUNT = "bench"


async def run() -> dict[str, Any]:
    """Measure with both policies of the append-only file; returns the figures."""
    progress = Progress()
    always = await _measure("always", progress)
    everysec = await _measure("everysec", progress)
    return {
        "name": "fill",
        "n": always["n"] + everysec["n"],
        "planned": 2 * TURNS * PATH,
        "unit": "us",
        **{name: value for name, value in always.items() if name != "n"},
        "always_n": always["n"],
        "everysec": everysec,
        "appendfsync": "always",
    }


async def _measure(policy: Literal["always", "everysec"], progress: Progress) -> dict[str, Any]:
    progress.say(f"bringing up the system, appendfsync {policy}")
    async with bench(("benchmarks.relay",), appendfsync=policy) as system:
        await system.account(ACCOUNT)
        came: dict[str, dict[str, int]] = {"path": {}, "floor": {}}
        listening = asyncio.create_task(_listen(system, came))
        path, floor = _path(system), _floor(system)
        for send in (path, floor):
            await _block(send, 40)
        for part in came.values():
            part.clear()
        for turn in turns(TURNS, progress.spent_s, within_s=ENDS_S[policy]):
            progress.say(f"{policy}: turn {turn} of {TURNS}, {PATH} fills and {BARE} bare ones, 100 a second")
            await _block(path, PATH)
            await _block(floor, BARE)
        await asyncio.sleep(0.5)
        listening.cancel()
        emitted = {row["clientOrderId"]: row["at"] for row in (await system.admin("emissions"))["emissions"]}
    series = {
        name: Samples([at - emitted[order] for order, at in orders.items() if order in emitted])
        for name, orders in came.items()
    }
    return {
        "n": len(series["path"].taken),
        "floor_n": len(series["floor"].taken),
        "p50": series["path"].us(0.5),
        "p99": series["path"].us(0.99),
        "floor_p50": series["floor"].us(0.5),
        "floor_p99": series["floor"].us(0.99),
        "ratio_p50": ratio(series["path"].us(0.5), series["floor"].us(0.5)),
    }


async def _listen(system: Bench, came: dict[str, dict[str, int]]) -> None:
    """Note when each fill reaches a subscriber."""
    async with system.redis.pubsub() as listener:
        await listener.subscribe("pms:events:order_filled", relay.CHANNEL)
        while True:
            message = await listener.get_message(ignore_subscribe_messages=True, timeout=1.0)
            if message is None:
                continue
            now = time.monotonic_ns()
            told = msgspec.json.decode(message["data"])
            if "clientOrderId" in told:
                came["path"].setdefault(told["clientOrderId"], now)
            elif told.get("e") == "ORDER_TRADE_UPDATE" and told["o"]["X"] == "FILLED":
                came["floor"].setdefault(told["o"]["c"], now)


async def _block(send: Callable[[], Awaitable[None]], number: int) -> None:
    began = time.monotonic()
    running = []
    for turn in range(number):
        await asyncio.sleep(max(0.0, began + turn * EVERY_S - time.monotonic()))
        running.append(asyncio.create_task(_started(send)))
    await asyncio.gather(*running)
    await asyncio.sleep(0.1)


async def _started(send: Callable[[], Awaitable[None]]) -> None:
    await send()


def _path(system: Bench) -> Callable[[], Awaitable[None]]:
    turns = count()

    async def send() -> None:
        request = str(uuid4())
        command = {
            "requestId": request,
            "subAccountId": ACCOUNT,
            "symbol": "BTCUSDT",
            "side": "BUY" if next(turns) % 2 else "SELL",
            "quantity": "0.002",
            "leverage": 20,
        }
        await system.requests.submit("pms.trade", command, door="bench")

    return send


def _floor(system: Bench) -> Callable[[], Awaitable[None]]:
    turns = count()
    client = system.client(FLOOR)

    async def send() -> None:
        order = PlaceOrder(
            symbol="BTCUSDT",
            side="BUY" if next(turns) % 2 else "SELL",
            type="MARKET",
            quantity=Decimal("0.002"),
            client_order_id=f"floor-{uuid4().hex[:24]}",
        )
        now = client.exchange_now_ms()
        await client.send(client.sign_place(order, timestamp_ms=now, recv_window_ms=2000))

    return send
