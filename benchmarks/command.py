"""From before the push of a command to the first line of the venue's order handler.

Three series in blocks that take turns, 100 a second, open loop: the product's path, a bare consumer, an
empty Celery task. All three post the same kind of order to the same venue over the same Redis. Each floor
has a block of the path right before it; a machine slow to start is given fewer turns, and `n` tells.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any
from uuid import uuid4

import msgspec

from benchmarks import empty_task, floor_consumer
from benchmarks.samples import Progress, Samples, ratio, turns
from benchmarks.system import Bench, bench
from pms.bus.wake import wake_up
from pms.domain.decisions import client_order_id

TURNS, EVERY_S = 8, 0.01
TURN = (("path", 125), ("floor", 100), ("path", 125), ("celery", 100))
"""The blocks of one turn: 2,000 samples of the path in all, 800 of each floor."""

ACCOUNT = "bench"


async def run() -> dict[str, Any]:
    """Measure; returns the figures."""
    progress = Progress()
    progress.say("bringing up the system")
    async with bench(("benchmarks.floor_consumer",), ("benchmarks.empty_task",)) as system:
        await system.account(ACCOUNT)
        sends = {"path": _path(system), "floor": _floor(system), "celery": _celery(system)}
        sent: dict[str, dict[str, int]] = {name: {} for name in sends}
        progress.say("warming up")
        for send in sends.values():
            await _block(send, {}, 40)
        for turn in turns(TURNS, progress.spent_s):
            progress.say(f"turn {turn} of {TURNS}: 250 of the path, 100 of each floor, 100 a second")
            for name, number in TURN:
                await _block(sends[name], sent[name], number)
        await asyncio.sleep(1)
        arrivals = (await system.admin("arrivals"))["arrivals"]
        take_overs = int(await system.redis.get("pms:takeovers") or 0)
    at = {arrival["clientOrderId"]: arrival["at"] for arrival in arrivals}
    series = {
        name: Samples([at[order] - began for order, began in orders.items() if order in at])
        for name, orders in sent.items()
    }
    path, floor, celery = series["path"], series["floor"], series["celery"]
    return {
        "name": "command",
        "n": len(path.taken),
        "planned": TURNS * sum(number for name, number in TURN if name == "path"),
        "unit": "us",
        "p50": path.us(0.5),
        "p99": path.us(0.99),
        "floor_n": len(floor.taken),
        "floor_p50": floor.us(0.5),
        "floor_p99": floor.us(0.99),
        "ratio_p50": ratio(path.us(0.5), floor.us(0.5)),
        "celery_n": len(celery.taken),
        "celery_p50": celery.us(0.5),
        "celery_p99": celery.us(0.99),
        "ratio_celery_p50": ratio(path.us(0.5), celery.us(0.5)),
        "lost": sum(len(orders) for orders in sent.values())
        - sum(len(each.taken) for each in series.values()),
        "take_overs": take_overs,
        "appendfsync": "always",
    }


Send = Callable[[dict[str, int]], Coroutine[Any, Any, None]]


async def _block(send: Send, sent: dict[str, int], number: int) -> None:
    """Send at fixed times, whatever became of the ones before."""
    began = time.monotonic()
    running: list[asyncio.Task[None]] = []
    for turn in range(number):
        await asyncio.sleep(max(0.0, began + turn * EVERY_S - time.monotonic()))
        running.append(asyncio.create_task(send(sent)))
    await asyncio.gather(*running)
    await asyncio.sleep(0.1)


def _sides() -> Callable[[], str]:
    turns = count()
    return lambda: "BUY" if next(turns) % 2 else "SELL"


def _path(system: Bench) -> Send:
    side = _sides()

    async def send(sent: dict[str, int]) -> None:
        request = str(uuid4())
        command = {
            "requestId": request,
            "subAccountId": ACCOUNT,
            "symbol": "BTCUSDT",
            "side": side(),
            "quantity": "0.002",
            "leverage": 20,
        }
        order = client_order_id(ACCOUNT, "M", request, at=time.time_ns() // 1_000_000)
        sent[order] = time.monotonic_ns()
        await system.requests.submit("pms.trade", command, door="bench")

    return send


def _floor(system: Bench) -> Send:
    side = _sides()

    async def send(sent: dict[str, int]) -> None:
        order = f"floor-{uuid4().hex[:24]}"
        message = msgspec.json.encode([order, side()])
        sent[order] = time.monotonic_ns()
        await system.redis.rpush(floor_consumer.LIST, message)

    return send


def _celery(system: Bench) -> Send:
    side = _sides()

    async def send(sent: dict[str, int]) -> None:
        order = f"celery-{uuid4().hex[:23]}"
        text = msgspec.json.encode([order, side()]).decode()
        sent[order] = time.monotonic_ns()
        message = wake_up(
            empty_task.TASK,
            queue=empty_task.QUEUE,
            task_id=order,
            args=[text],
            new_tag=lambda: str(uuid4()),
        )
        await system.redis.lpush(empty_task.QUEUE, message)

    return send
