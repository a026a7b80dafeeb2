"""Two thousand orders from eight producers while workers are killed at named places: none twice, no lie."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from killing_worker_places import BEFORE_ANSWER, BEFORE_BYTES, BEFORE_RIGHT
from system import System, until

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

PRODUCERS, ORDERS = 8, 250
KILLS_EACH = 7
KILLING = [sys.executable, str(Path(__file__).with_name("killing_worker.py")), "orders"]
WORKERS = ("worker-orders", "worker-orders-2")


async def produce(system: System, number: int) -> dict[str, dict[str, Any]]:
    """Trade in turn, up and down; returns the result of each request."""
    results: dict[str, dict[str, Any]] = {}
    for turn in range(ORDERS):
        request = str(uuid4())
        command = {
            "requestId": request,
            "ttlMs": 20_000,
            "subAccountId": f"desk{number}",
            "symbol": "BTCUSDT",
            "side": "BUY" if turn % 2 else "SELL",
            "quantity": "0.002",
            "leverage": 20,
        }
        await system.requests.submit("pms.trade", command, door="test")
        answer = await system.requests.result(request, timeout_s=30)
        assert answer is not None, f"{request} has no result"
        results[request] = json.loads(answer)
    return results


class Reaper:
    """Hands out deaths one after the other, and brings the dead back."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.kills: Counter[str] = Counter()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.3)
            for name in WORKERS:
                if self.system.processes[name].poll() is not None:
                    self.start(name)
            place = min((BEFORE_RIGHT, BEFORE_BYTES, BEFORE_ANSWER), key=lambda each: self.kills[each])
            if self.kills[place] < KILLS_EACH:
                await (self.in_the_answer() if place is BEFORE_ANSWER else self.by_itself(place))

    async def by_itself(self, place: str) -> None:
        """The next worker that passes the place dies there."""
        died = await self.system.redis.llen("test:kills")
        await self.system.redis.rpush(f"test:kill:{place}", "x")

        async def dead() -> bool:
            return await self.system.redis.llen("test:kills") > died

        await until(dead, f"a death {place}", seconds=30)
        self.kills[place] += 1

    async def in_the_answer(self) -> None:
        """The venue executes an order and keeps its answer; then every worker that waits for it dies."""
        fault = await self.system.admin(
            "POST", "faults", kind="hang_after", path="/fapi/v1/order", method="POST"
        )

        async def hit() -> bool:
            return bool((await self.system.admin("GET", f"faults/{fault['id']}"))["hits"])

        await until(hit, "an order to hang in its answer", seconds=30)
        for name in WORKERS:
            self.system.kill(name)
            self.start(name)
        await self.system.admin("DELETE", "faults")
        self.kills[BEFORE_ANSWER] += 1

    def start(self, name: str) -> None:
        self.system.start(name, command=KILLING)


async def test_f2_two_thousand_orders_under_kills(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    system.kill("worker-orders")
    for number in range(PRODUCERS):
        await system.account(f"desk{number}")
    reaper = Reaper(system)
    await system.redis.delete("test:kills")
    for name in WORKERS:
        reaper.start(name)
    reaping = asyncio.create_task(reaper.run())
    before = await system.placed()
    producing = asyncio.gather(*(produce(system, number) for number in range(PRODUCERS)))
    await asyncio.wait([producing, reaping], return_when=asyncio.FIRST_COMPLETED)
    if reaping.done():
        reaping.result()
    results = {request: result for batch in await producing for request, result in batch.items()}
    reaping.cancel()
    with capsys.disabled():
        print(f"\nkills by place: {dict(reaper.kills)}")
    assert sum(reaper.kills.values()) >= 20
    assert all(reaper.kills[place] >= 5 for place in (BEFORE_RIGHT, BEFORE_BYTES, BEFORE_ANSWER))
    await everything_proven(system)
    await judge(system, results, before, capsys)


async def everything_proven(system: System) -> None:
    """Wait until no order is unproven any more, here and in PostgreSQL."""

    async def proven() -> bool:
        query = "select count(*) from pms.orders where state in ('placing', 'unknown', 'active')"
        return (await system.rows(query))[0][0] == 0

    await until(proven, "every order to be proven", seconds=60)


async def judge(
    system: System, results: dict[str, dict[str, Any]], before: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """No order twice at the venue, and no result that the venue contradicts."""
    assert len(results) == PRODUCERS * ORDERS
    orders = (await system.admin("GET", "orders"))["orders"]
    executed = Counter(order["clientOrderId"] for order in orders if order["account"] == "desk")
    assert max(executed.values()) == 1, "an order stands twice at the venue"
    reached = await system.placed() - before
    states = Counter((result["success"], result["state"], result["code"]) for result in results.values())
    with capsys.disabled():
        print(f"reached the venue's handler: {reached}, executed: {len(executed)}, results: {dict(states)}")
    assert len(executed) >= 1900
    final = dict(await system.rows("select client_order_id, state from pms.orders"))
    for request, result in results.items():
        order = result["orderId"]
        if result["success"]:
            lives = order in executed
            if result["state"] == "filled":
                assert lives, f"{request} was told filled"
            elif not lives:
                assert final[order] == "rejected", f"{request} was told {result['state']}, is {final[order]}"
        else:
            assert order not in executed, f"{request} was told {result['code']}, and lives"
    await system.audit()


async def test_without_any_worker_the_streamer_carries_the_trading(system: System) -> None:
    for name in WORKERS:
        system.kill(name)
    results = [await system.trade("alice", side="BUY" if turn % 2 else "SELL") for turn in range(20)]
    assert all(result["state"] == "filled" for result in results), results
    assert int(await system.redis.get("pms:takeovers")) >= 1
    await system.audit()
