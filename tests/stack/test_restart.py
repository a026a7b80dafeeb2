"""The streamer dies with orders in every state; what happens meanwhile is booked once when it is back."""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from system import System, until

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

KILLING = [sys.executable, str(Path(__file__).with_name("killing_worker.py")), "orders"]


async def state_of(system: System, order: str) -> str:
    state = await system.redis.hget(f"pms:order:{order}", "state")
    return state.decode() if state else ""


async def fills_of(system: System, order: str) -> list[tuple[int, int]]:
    query = "select trade_id, venue_time from pms.fills where client_order_id = :order order by 1"
    return [tuple(row) for row in await system.rows(query, order=order)]


async def executed(system: System, order: str) -> list[dict[str, object]]:
    trades = (await system.admin("GET", "trades"))["trades"]
    return [trade for trade in trades if trade["clientOrderId"] == order]


async def test_fills_while_the_streamer_was_dead_are_booked_once(system: System) -> None:
    bid = await system.bid("BTCUSDT")
    far, near = bid - 1000, bid - 100
    resting = (await system.trade("alice", type="LIMIT", price=str(far), quantity="0.05"))["orderId"]
    partly = (await system.trade("alice", type="LIMIT", price=str(near), quantity="0.05"))["orderId"]
    await system.fill(partly, price=near, quantity="0.02")
    await until(lambda: _is(system, partly, "partially_filled"), "the first part")
    seq = int((await system.redis.xrevrange("pms:journal", count=1))[0][0].split(b"-")[0])

    await system.redis.delete("test:kills")
    just_sent = await submit(system)
    system.kill("streamer")
    killed_at = int(time.time() * 1000)
    await system.fill(partly, price=near, quantity="0.05")
    orphan = await place_behind_the_engine(system, price=far - 1000)
    restarted_at = int(time.time() * 1000)
    meanwhile = [
        t for t in await executed(system, partly) if killed_at <= int(str(t["time"])) <= restarted_at
    ]
    assert meanwhile, "the second part must trade between death and new life"

    system.start("streamer")
    await system.redis.delete("pms:ready:streamer")
    await system.ready("streamer")
    await until(lambda: _is(system, partly, "filled"), "the missed fill")
    assert await state_of(system, resting) == "active"
    await until(lambda: _gone(system, orphan), "the orphan to be cancelled")
    answer = json.loads(await system.requests.result(just_sent, timeout_s=15) or b"{}")
    assert answer["requestId"] == just_sent

    async def booked() -> bool:
        ours = [trade_id for trade_id, _ in await fills_of(system, partly)]
        return ours == sorted(int(str(trade["id"])) for trade in await executed(system, partly))

    await until(booked, "each fill once in PostgreSQL")
    after = int((await system.redis.xrevrange("pms:journal", count=1))[0][0].split(b"-")[0])
    assert after > seq
    assert (await system.ask("pms.cancel", orderId=resting))["success"]
    await until(lambda: _is(system, resting, "cancelled"), "the cancel")
    await system.audit()


async def test_an_order_in_flight_at_the_death_is_found_by_its_id(system: System) -> None:
    """Executed at the venue, its events and its answer both lost with the streamer and the worker."""
    fault = await system.admin("POST", "faults", kind="hang_after", path="/fapi/v1/order", method="POST")
    request = await submit(system)

    async def hit() -> bool:
        return bool((await system.admin("GET", f"faults/{fault['id']}"))["hits"])

    await until(hit, "the venue to execute and keep its answer")
    system.kill("streamer")
    system.kill("worker-orders")
    await system.admin("DELETE", "faults")
    system.start("worker-orders")
    system.start("streamer")
    await system.ready("worker-orders")
    await system.ready("streamer")
    record = await system.requests.read(request)
    assert record is not None
    (order,) = record.orders
    await until(lambda: _is(system, order, "filled"), "the order to be found")
    assert len(await executed(system, order)) >= 1
    await system.audit()


async def test_an_order_of_an_older_epoch_that_was_never_sent_is_void(system: System) -> None:
    assert (await system.trade("alice"))["state"] == "filled"
    system.kill("worker-orders")
    streamer = system.processes["streamer"]
    request = await submit(system)

    async def admitted() -> bool:
        record = await system.requests.read(request)
        return record is not None and record.decision == "admitted"

    await until(admitted, "the admission")
    # Within the quarter second before the streamer would send it itself.
    system.kill("streamer")
    assert streamer.poll() is not None
    placed = await system.placed()
    record = await system.requests.read(request)
    assert record is not None
    (order,) = record.orders
    if await system.redis.get(f"pms:right:{order}") is not None:
        pytest.fail("the streamer was quicker than the test: it had taken the right")
    system.start("streamer")
    await system.redis.delete("pms:ready:streamer")
    await system.ready("streamer")
    await until(lambda: _is(system, order, "void"), "the order to be void")
    assert await system.placed() == placed
    answer = json.loads(await system.requests.result(request, timeout_s=15) or b"{}")
    assert (answer["success"], answer["code"]) == (False, "NOT_SENT")
    system.start("worker-orders")
    await system.ready("worker-orders")
    await system.audit()


async def test_4_redis_that_lost_its_tail_makes_no_order_twice(system: System) -> None:
    """The ledger is behind, Redis dies and forgets; the exchange remembers, and is asked."""
    system.kill("worker-ledger")
    system.kill("worker-recon")
    system.kill("beat")
    assert (await system.trade("alice"))["state"] == "filled"
    known_seq = int((await system.redis.xrevrange("pms:journal", count=1))[0][0].split(b"-")[0])
    log = system.home / "redis" / "appendonly.aof"
    kept = log.stat().st_size
    lost = await system.trade("alice", quantity="0.02")
    assert lost["state"] == "filled"
    system.redis_server.kill()
    with log.open("r+b") as file:
        file.truncate(kept)
    system.redis_server.start()
    await system.redis.connection_pool.disconnect()

    async def back() -> bool:
        # Whichever of its calls met the other Redis first
        return "stepping_down" in system.log("streamer") and await system.admitting()

    def tell() -> str:
        return system.log("streamer")[-3000:]

    await until(back, "the streamer to lead again", seconds=60, tell=tell)
    placed = await system.placed()
    again = await system.ask(
        "pms.trade",
        requestId=lost["requestId"],
        subAccountId="alice",
        symbol="BTCUSDT",
        side="BUY",
        quantity="0.02",
        leverage=20,
        timeout_s=15,
    )
    assert again["orderId"] == lost["orderId"]
    assert await system.placed() == placed, "the forgotten order was sent again"
    for name in ("worker-ledger", "worker-recon", "beat"):
        system.start(name)
        await system.ready(name)
    newest = int((await system.redis.xrevrange("pms:journal", count=1))[0][0].split(b"-")[0])
    assert newest > known_seq
    await system.audit()


async def submit(system: System) -> str:
    """Submit a market buy, and await nothing."""
    request = str(uuid4())
    command = {
        "requestId": request,
        "ttlMs": 10_000,
        "subAccountId": "bob",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "quantity": "0.01",
        "leverage": 20,
    }
    await system.requests.submit("pms.trade", command, door="test")
    return request


async def place_behind_the_engine(system: System, *, price: Decimal) -> str:
    """Place an order with our prefix over REST that no journal knows."""
    name = f"PMS_alice_M_{uuid4().hex[:16]}"
    await system.own_order("BTCUSDT", "BUY", "0.01", price, name=name)
    return name


async def _is(system: System, order: str, state: str) -> bool:
    return await state_of(system, order) == state


async def _gone(system: System, order: str) -> bool:
    orders = (await system.admin("GET", "orders"))["orders"]
    return all(each["status"] == "CANCELED" for each in orders if each["clientOrderId"] == order)
