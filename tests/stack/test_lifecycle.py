"""Amend, batch, batch cancel and close-all on real processes, with the guarantees of single orders."""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from killing_worker_places import BEFORE_BYTES
from system import System, until

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

KILLING = [sys.executable, str(Path(__file__).with_name("killing_worker.py"))]


async def order_hash(system: System, order: str) -> dict[str, str]:
    fields = await system.redis.hgetall(f"pms:order:{order}")
    return {name.decode(): value.decode() for name, value in fields.items()}


async def reaches(system: System, order: str, state: str, *, seconds: float = 15) -> None:
    async def there() -> bool:
        return (await order_hash(system, order)).get("state") == state

    await until(there, f"{order} to be {state}", seconds=seconds)


async def bid_below(system: System, account: str, distance: int, quantity: str) -> tuple[str, Decimal]:
    price = await system.bid("BTCUSDT") - distance
    result = await system.trade(account, type="LIMIT", price=str(price), quantity=quantity)
    assert result["state"] == "active", result
    return result["orderId"], price


async def at_the_venue(system: System, order: str) -> dict[str, Any]:
    orders = (await system.admin("GET", "orders"))["orders"]
    return next(each for each in orders if each["clientOrderId"] == order)


async def count(system: System, endpoint: str) -> int:
    return int((await system.admin("GET", "requests"))["counts"].get(endpoint, 0))


async def arrivals(system: System, order: str) -> int:
    arrived = (await system.admin("GET", "arrivals"))["arrivals"]
    return sum(each["clientOrderId"] == order for each in arrived)


async def test_an_order_of_one_filled_to_six_tenths_is_amended_by_its_total(system: System) -> None:
    order, price = await bid_below(system, "alice", 100, "1.0")
    await system.fill(order, price=price, quantity="0.6")
    await reaches(system, order, "partially_filled")
    amended = await count(system, "PUT /fapi/v1/order")

    remaining = await system.ask("pms.amend", orderId=order, quantity="0.4")
    assert (remaining["code"], remaining["field"], remaining["limit"]) == ("BELOW_FILLED", "quantity", "0.6")
    unchanged = await system.ask("pms.amend", orderId=order, quantity="1.0", price=str(price))
    assert unchanged["code"] == "NO_CHANGE"
    assert await count(system, "PUT /fapi/v1/order") == amended, "a refused amendment reached the exchange"

    moved = await system.ask("pms.amend", orderId=order, price=str(price - 50))
    assert (moved["success"], moved["state"], moved["quantity"]) == (True, "partially_filled", 1), moved
    more = await system.ask("pms.amend", orderId=order, quantity="1.2")
    assert (more["success"], more["quantity"], more["details"]["filledQty"]) == (True, 1.2, "0.6"), more
    seen = await order_hash(system, order)
    assert (Decimal(seen["price"]), seen["quantity"], seen["amend"]) == (price - 50, "1.2", "")
    assert await count(system, "PUT /fapi/v1/order") == amended + 2

    await system.settled()
    rows = await system.rows(
        "select quantity, price, amends from pms.orders where client_order_id = :o", o=order
    )
    assert tuple(rows[0]) == (Decimal("1.2"), price - 50, 2)
    assert (await system.ask("pms.cancel", orderId=order))["success"]
    await reaches(system, order, "cancelled")


async def test_an_amendment_is_told_by_a_query_when_the_feed_lost_it(system: System) -> None:
    order, price = await bid_below(system, "bob", 200, "0.02")
    await system.admin(
        "POST", "faults", kind="withhold_event", subject=f"^ORDER_TRADE_UPDATE {order}", count=1
    )
    result = await system.ask("pms.amend", orderId=order, price=str(price - 10))
    assert (result["success"], result["code"]) == (True, None), result


async def test_what_the_exchange_refuses_leaves_the_order_as_it_was(system: System) -> None:
    order, price = await bid_below(system, "bob", 300, "0.02")
    await system.admin(
        "POST", "faults", kind="status_before", method="PUT", status=400, code=-4016, message="too high"
    )
    result = await system.ask("pms.amend", orderId=order, quantity="0.03")
    assert (result["success"], result["code"], result["state"]) == (False, "EXCHANGE_REFUSED", "active")
    assert "too high" in result["error"]
    seen = await order_hash(system, order)
    assert (seen["quantity"], Decimal(seen["price"]), seen["amend"]) == ("0.02", price, "")


async def test_a_worker_that_died_before_an_amendment_s_bytes(system: System) -> None:
    """Proven not carried out, by a streamer that has only the journal; it sends the next one itself."""
    order, price = await bid_below(system, "alice", 400, "0.02")
    system.kill("worker-orders")
    await system.redis.delete("pms:ready:worker-orders", "test:kills")
    system.start("worker-orders", command=[*KILLING, "orders"])
    await system.ready("worker-orders")
    amended = await count(system, "PUT /fapi/v1/order")
    await system.redis.rpush(f"test:kill:{BEFORE_BYTES}", "x")
    result = await system.ask("pms.amend", orderId=order, quantity="0.03", ttlMs=1000)
    assert (result["success"], result["state"]) == (True, "amending"), result
    busy = await system.ask("pms.amend", orderId=order, quantity="0.04")
    assert busy["code"] == "AMEND_PENDING"
    await system.restart("streamer")

    async def told() -> bool:
        for _, fields in await system.redis.xrange("pms:stream:events"):
            event = json.loads(fields[b"e"])
            if event.get("clientOrderId") == order and "not amended" in (event["reason"] or ""):
                return bool(event["state"] == "active" and event["quantity"] == 0.02)
        return False

    await until(told, "proof that nothing was carried out", seconds=20)
    assert await count(system, "PUT /fapi/v1/order") == amended
    again = await system.ask("pms.amend", orderId=order, price=str(price - 5))
    assert again["success"], again
    right = await system.redis.get(f"pms:right:{order}~2")
    assert right.endswith(b" streamer")
    system.kill("worker-orders")
    system.start("worker-orders")
    await system.ready("worker-orders")


async def test_each_order_of_a_batch_is_answered_by_itself(system: System) -> None:
    bid = await system.bid("BTCUSDT")
    sent = await count(system, "POST /fapi/v1/batchOrders")
    far = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01", "leverage": 20}
    result = await system.ask(
        "pms.batch",
        subAccountId="alice",
        orders=[
            {**far, "price": str(bid - 500)},
            {**far, "price": str(bid - 500), "quantity": "0.0000001"},
            {**far, "price": str(bid + 500), "timeInForce": "GTX"},
            {"symbol": "ETHUSDT", "side": "BUY", "quantity": "0.1", "leverage": 20},
        ],
    )
    assert (result["success"], result["state"]) == (True, "done"), result
    orders = result["details"]["orders"]
    assert [each["success"] for each in orders] == [True, False, False, True]
    assert [each.get("state") for each in orders] == ["active", None, "rejected", "filled"]
    assert [each["code"] for each in orders] == [None, "QUANTITY_MIN", "EXCHANGE_REFUSED", None]
    assert await count(system, "POST /fapi/v1/batchOrders") == sent + 1
    events = [json.loads(fields[b"e"]) for _, fields in await system.redis.xrange("pms:stream:events")]
    parents = {event["clientOrderId"] for event in events if event.get("parentId") == result["requestId"]}
    assert parents == {each["orderId"] for each in orders if "orderId" in each}


async def test_a_batch_whose_answer_was_lost_is_sent_once(system: System) -> None:
    bid = await system.bid("BTCUSDT")
    await system.admin("POST", "faults", kind="cut_after", path="/fapi/v1/batchOrders")
    terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01", "leverage": 20}
    orders = [{**terms, "price": str(bid - 600 - n)} for n in range(7)]
    result = await system.ask("pms.batch", subAccountId="bob", orders=orders)
    told = result["details"]["orders"]
    assert [each["state"] for each in told] == ["active"] * 7, result
    assert [await arrivals(system, each["orderId"]) for each in told] == [1] * 7


async def test_a_batch_that_never_arrived_is_proven_order_by_order(system: System) -> None:
    bid = await system.bid("BTCUSDT")
    await system.admin("POST", "faults", kind="cut_before", path="/fapi/v1/batchOrders")
    terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01", "leverage": 20}
    orders = [{**terms, "price": str(bid - 700 - n)} for n in range(2)]
    result = await system.ask("pms.batch", subAccountId="bob", orders=orders, ttlMs=20_000, timeout_s=21)
    told = result["details"]["orders"]
    assert (result["success"], result["code"]) == (False, "NOT_EXECUTED"), result
    assert [each["state"] for each in told] == ["rejected"] * 2


async def test_cancel_all_asks_ten_at_a_time(system: System) -> None:
    single, batch = "DELETE /fapi/v1/order", "DELETE /fapi/v1/batchOrders"
    before = await count(system, single), await count(system, batch)
    result = await system.ask("pms.cancel_all", subAccountId="bob")
    cancelling = result["details"]["cancelling"]
    assert len(cancelling) >= 7
    await asyncio.gather(*(reaches(system, order, "cancelled") for order in cancelling))
    assert (await count(system, single), await count(system, batch)) == (before[0], before[1] + 1)


async def test_close_all_closes_each_position_of_each_account(system: System) -> None:
    for account in ("alice", "bob"):
        assert (await system.trade(account))["state"] == "filled"
    await system.ask("pms.cancel_all")
    request = str(uuid4())
    result = await system.ask("pms.close_all", requestId=request)
    closed = result["details"]["orders"]
    assert result["success"], result
    assert {(each["subAccountId"], each["symbol"], each["state"]) for each in closed} >= {
        ("alice", "BTCUSDT", "filled"),
        ("alice", "ETHUSDT", "filled"),
        ("bob", "BTCUSDT", "filled"),
    }
    assert await system.ask("pms.close_all", requestId=request) == result
    assert (await system.ask("pms.close_all"))["details"]["orders"] == []
    await system.settled()
    left = await system.rows(
        "select * from pms.positions where quantity <> 0 and sub_account_id in ('alice', 'bob')"
    )
    assert left == []


async def test_at_the_end_the_books_agree(system: System) -> None:
    await system.audit()
