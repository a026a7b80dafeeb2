"""What Celery may do with a message, all at once: each comes twice, in another order, or an hour late."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest
from system import System, until

from pms.bus.wake import wake_up
from pms.contract.names import COMMAND_QUEUE, Task, request_key

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

COMMANDS, EXPIRED, TTL_MS = 60, 10, 4000


def command(number: int, *, ttl_ms: int) -> dict[str, Any]:
    return {
        "requestId": str(uuid4()),
        "subAccountId": ("alice", "bob")[number % 2],
        "symbol": "BTCUSDT",
        "side": ("BUY", "SELL")[number // 2 % 2],
        "quantity": "0.002",
        "leverage": 20,
        "ttlMs": ttl_ms,
    }


async def record(system: System, count: int, *, ttl_ms: int) -> list[str]:
    """Record commands without waking anybody."""
    commands = [command(number, ttl_ms=ttl_ms) for number in range(count)]
    for fields in commands:
        await system.requests.submit(Task.TRADE, fields, door="test", wake=False)
    return [fields["requestId"] for fields in commands]


async def deliver(system: System, requests: list[str], *, seed: int) -> None:
    """Wake the workers twice for each, in an order of chance."""
    queue = COMMAND_QUEUE[Task.TRADE]
    for request in random.Random(seed).sample([*requests, *requests], 2 * len(requests)):
        message = wake_up(
            Task.TRADE, queue=queue, task_id=request, args=[request], new_tag=lambda: str(uuid4())
        )
        await system.redis.lpush(queue, message)


async def taken(system: System) -> None:
    """Wait until the workers have taken every message and finished with it."""
    queue = COMMAND_QUEUE[Task.TRADE]

    async def idle() -> bool:
        beat = json.loads(await system.redis.get("pms:ready:worker-orders") or b"{}")
        return await system.redis.llen(queue) == 0 and beat.get("active") == 0

    await until(idle, "the queue to be empty", seconds=30)


async def results(system: System, requests: list[str]) -> dict[str, dict[str, Any]]:
    answers = await asyncio.gather(*(system.requests.result(request, timeout_s=20) for request in requests))
    assert all(answers), "each command has an answer"
    return {request: json.loads(answer or b"") for request, answer in zip(requests, answers, strict=True)}


async def at_the_venue(system: System) -> Counter[str]:
    orders = (await system.admin("GET", "orders"))["orders"]
    return Counter(order["clientOrderId"] for order in orders if order["account"] == "desk")


async def test_f3_twice_out_of_order_and_an_hour_late_is_one_order_each(system: System) -> None:
    before = await system.placed()
    requests = await record(system, COMMANDS, ttl_ms=TTL_MS)
    await deliver(system, requests, seed=1)
    first = await results(system, requests)
    assert {answer["state"] for answer in first.values()} == {"filled"}
    orders = {answer["orderId"] for answer in first.values()}
    assert len(orders) == COMMANDS
    executed = await at_the_venue(system)
    assert {executed[order] for order in orders} == {1}
    assert await system.placed() == before + COMMANDS

    # Long after: every deadline is over, and Redis has dropped half of the records by age.
    await asyncio.sleep(TTL_MS / 1000 + 1.5)
    for request in requests[::2]:
        await system.redis.delete(request_key(request))
    await deliver(system, requests, seed=2)
    await taken(system)
    assert await system.placed() == before + COMMANDS
    kept = requests[1::2]
    assert await results(system, kept) == {request: first[request] for request in kept}
    assert await at_the_venue(system) == executed
    await system.audit()


async def test_f3_an_intent_that_has_expired_is_refused_however_often_it_comes(system: System) -> None:
    before = await system.placed()
    system.processes["streamer"].send_signal(signal.SIGSTOP)
    try:
        requests = await record(system, EXPIRED, ttl_ms=500)
        await asyncio.sleep(1.0)
    finally:
        system.processes["streamer"].send_signal(signal.SIGCONT)
    await deliver(system, requests, seed=3)
    answers = await results(system, requests)
    assert {(answer["success"], answer["code"]) for answer in answers.values()} == {(False, "EXPIRED")}
    await deliver(system, requests, seed=4)
    await taken(system)
    assert await results(system, requests) == answers
    assert await system.placed() == before
    await system.audit()


async def test_f6_an_order_that_is_there_already_is_a_success(system: System) -> None:
    """The request goes twice on its way and the second comes to be answered: -4116, and one order rests."""
    price = await system.bid("BTCUSDT") - 1000
    before = await system.placed()
    fault = await system.admin("POST", "faults", kind="hang_before", path="/fapi/v1/order", method="POST")
    fields = command(0, ttl_ms=8000) | {"type": "LIMIT", "price": str(price)}
    await system.requests.submit(Task.TRADE, fields, door="test")
    await system.admin("GET", f"faults/{fault['id']}?hits=1&timeout=5")
    decided = await system.requests.read(fields["requestId"])
    assert decided is not None
    (order,) = decided.orders
    await system.own_order("BTCUSDT", "BUY", fields["quantity"], price, name=order)
    await system.admin("DELETE", "faults")

    answer = (await results(system, [fields["requestId"]]))[fields["requestId"]]
    assert (answer["success"], answer["state"], answer["orderId"]) == (True, "active", order)
    assert await system.placed() == before + 2
    assert (await at_the_venue(system))[order] == 1
    assert (await system.ask("pms.cancel", orderId=order))["success"]
    assert (await system.trade("bob"))["state"] == "filled"
    await system.audit()
