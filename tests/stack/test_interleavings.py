"""The interleavings that shaped the design, each on real processes (ARCHITECTURE, section 9)."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from killing_worker_places import BEFORE_BYTES
from system import System, until

from pms.db.load import load_state
from pms.domain.decisions import client_order_id
from pms.domain.orders import Order
from pms.domain.rows import order_from

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

KILLING = [sys.executable, str(Path(__file__).with_name("killing_worker.py"))]


async def state_of(system: System, order: str) -> str:
    state = await system.redis.hget(f"pms:order:{order}", "state")
    return state.decode() if state else ""


async def submit_market(system: System, *, ttl_ms: int = 3000) -> str:
    """Submit a market buy and return its requestId without awaiting anything."""
    request = str(uuid4())
    command = {
        "requestId": request,
        "ttlMs": ttl_ms,
        "subAccountId": "alice",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "quantity": "0.01",
        "leverage": 20,
    }
    await system.requests.submit("pms.trade", command, door="test")
    return request


async def killing_workers(system: System) -> None:
    system.kill("worker-orders")
    await system.redis.delete("pms:ready:worker-orders", "test:kills")
    system.start("worker-orders", command=[*KILLING, "orders"])
    await system.ready("worker-orders")


async def order_of(system: System, request: str) -> str:
    async def admitted() -> bool:
        record = await system.requests.read(request)
        return record is not None and bool(record.orders)

    await until(admitted, "the order to be admitted")
    record = await system.requests.read(request)
    assert record is not None
    return record.orders[0]


async def test_1_a_worker_that_slept_between_right_and_bytes_executes_nothing(system: System) -> None:
    await killing_workers(system)
    await system.redis.rpush(f"test:stop:{BEFORE_BYTES}", "x")
    placed = await system.placed()
    request = await submit_market(system, ttl_ms=60_000)
    order = await order_of(system, request)
    await until(lambda: _is(system, order, "rejected"), "proof of non-execution", seconds=20)
    assert await system.placed() == placed
    system.processes["worker-orders"].send_signal(signal.SIGCONT)

    async def reached() -> bool:
        return await system.placed() == placed + 1

    await until(reached, "the sleeper's bytes to reach the venue")
    await asyncio.sleep(1)
    assert await system.placed() == placed + 1, "the sleeper signed anew"
    assert await state_of(system, order) == "rejected"
    trades = (await system.admin("GET", "trades"))["trades"]
    assert all(trade["clientOrderId"] != order for trade in trades)


async def test_2_a_worker_that_died_between_right_and_bytes_is_proven_not_executed(system: System) -> None:
    await killing_workers(system)
    await system.redis.rpush(f"test:kill:{BEFORE_BYTES}", "x")
    request = await submit_market(system, ttl_ms=2000)
    order = await order_of(system, request)
    answer = await system.requests.result(request, timeout_s=6)
    assert answer is not None
    result = json.loads(answer)
    assert (result["success"], result["state"]) in [(True, "placing"), (True, "unknown")]
    failed = await system.event_of("order_failed", order, seconds=20)
    assert failed["state"] == "rejected"
    assert await state_of(system, order) == "rejected"
    system.kill("worker-orders")
    system.start("worker-orders")
    await system.ready("worker-orders")


async def test_3_a_late_decision_is_told_as_it_is(system: System) -> None:
    """The streamer is away: the worker's own patience decides nothing."""
    streamer = system.processes["streamer"]
    streamer.send_signal(signal.SIGSTOP)
    try:
        in_time = await submit_market(system, ttl_ms=20_000)
        too_late = await submit_market(system, ttl_ms=500)
        await asyncio.sleep(1.5)
    finally:
        streamer.send_signal(signal.SIGCONT)
    placed = await system.placed()
    answer = json.loads(await system.requests.result(in_time, timeout_s=10) or b"{}")
    assert answer.get("success"), (answer, system.log("streamer")[-3000:])
    late = json.loads(await system.requests.result(too_late, timeout_s=10) or b"{}")
    assert (late["success"], late["code"]) == (False, "EXPIRED")
    record = await system.requests.read(too_late)
    assert record is not None
    assert record.orders == []
    assert await system.placed() <= placed + 1


async def test_5_a_repeated_request_gets_the_first_answer_and_makes_no_second_order(system: System) -> None:
    placed = await system.placed()
    request = str(uuid4())
    first = await system.trade("alice", requestId=request)
    again = await system.trade("alice", requestId=request)
    assert first == again
    assert await system.placed() == placed + 1


async def test_6_forty_market_orders_that_waited_in_a_list_are_all_stale(system: System) -> None:
    placed = await system.placed()
    requests = [str(uuid4()) for _ in range(40)]
    for request in requests:
        command = {
            "requestId": request,
            "subAccountId": "alice",
            "symbol": "BTCUSDT",
            "side": "BUY",
            "quantity": 0.01,
            "leverage": 20,
        }
        await system.redis.lpush("pms:cmd:trade", json.dumps(command))
    system.start("bridge")
    await system.ready("bridge")
    for request in requests:
        answer = json.loads(await system.requests.result(request, timeout_s=10) or b"{}")
        assert (answer["success"], answer["code"]) == (False, "STALE")
    assert await system.placed() == placed


async def test_7_a_lost_fill_is_fetched_though_later_ones_came(system: System) -> None:
    """A market order sweeps several levels; the stream loses its first trade and brings the others."""
    request = str(uuid4())
    order = client_order_id("bob", "M", request, at=time.time_ns() // 1_000_000)
    # The first word of the order is NEW, the second its first trade.
    lost = f"^ORDER_TRADE_UPDATE {order}"
    await system.admin("POST", "faults", kind="withhold_event", subject=lost, count=2)
    result = await system.trade("bob", requestId=request, quantity="8")
    assert result["state"] == "filled", result
    trades = (await system.admin("GET", "trades"))["trades"]
    executed = sorted(trade["id"] for trade in trades if trade["clientOrderId"] == order)
    assert len(executed) > 1, "the order must have swept more than one level"

    async def booked() -> bool:
        query = "select trade_id from pms.fills where client_order_id = :order order by 1"
        return [row[0] for row in await system.rows(query, order=order)] == executed

    await until(booked, "every trade in PostgreSQL, the lost one too")


async def test_8_a_live_order_that_open_orders_hides_is_asked_for_by_id(system: System) -> None:
    price = f"{await system.bid('BTCUSDT') * Decimal('0.97'):.1f}"
    resting = await system.trade("bob", type="LIMIT", price=price)
    assert resting["state"] == "active"
    placed = await system.placed()
    await system.admin("POST", "faults", kind="hide_open_order", subject=resting["orderId"], count=-1)
    try:
        await system.restart("streamer")
        assert await state_of(system, resting["orderId"]) == "active"
        assert await system.placed() == placed
    finally:
        await system.admin("DELETE", "faults")
    cancelled = await system.ask("pms.cancel", orderId=resting["orderId"])
    assert cancelled["success"]
    await until(lambda: _is(system, resting["orderId"], "cancelled"), "the cancel")


async def test_10_an_amend_carries_the_total_or_it_would_cancel(system: System) -> None:
    """0.05 of which 0.03 is filled: what shall still trade is 0.02, and what is sent is 0.05."""
    near = await system.bid("BTCUSDT") - 100
    order = (await system.trade("alice", type="LIMIT", price=str(near), quantity="0.05"))["orderId"]
    await system.fill(order, price=near, quantity="0.03")
    await until(lambda: _is(system, order, "partially_filled"), "the partial fill")
    row = await _row(system, order, filled=Decimal("0.03"))
    total = row.total_for(Decimal("0.02"))
    assert total == Decimal("0.05")
    await system.amend(order, side="BUY", quantity=total, price=near - 10)

    async def moved() -> bool:
        price = await system.redis.hget(f"pms:order:{order}", "price")
        return Decimal(price.decode()) == near - 10

    await until(moved, "the feed to tell the amendment")
    assert await state_of(system, order) == "partially_filled"
    await system.amend(order, side="BUY", quantity=Decimal("0.02"), price=near - 20)
    await until(lambda: _is(system, order, "cancelled"), "the exchange to cancel for too small a total")


async def test_at_the_end_all_books_agree(system: System) -> None:
    await system.audit()


async def _row(system: System, order: str, *, filled: Decimal) -> Order:
    """The order as PostgreSQL has it, once that fill is folded."""

    async def folded() -> bool:
        query = "select filled_qty from pms.orders where client_order_id = :order"
        rows = await system.rows(query, order=order)
        return bool(rows) and rows[0][0] == filled

    await until(folded, "the fill in PostgreSQL")
    state = await load_state(system.database)
    return order_from(next(row for row in state.orders if row.client_order_id == order))


async def _is(system: System, order: str, state: str) -> bool:
    return await state_of(system, order) == state
