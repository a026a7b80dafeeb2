"""A sub-account that crosses its line, end to end: taken over on the tick, unwound, and every book agrees."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from system import System
from taken_over import fall, lean, liquidations, taken_over, unwound

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]
D = Decimal


async def test_an_account_beyond_its_line_is_the_houses_on_the_tick_and_every_book_agrees(
    system: System,
) -> None:
    await lean(system, "carol", quantity="0.5", left="150")
    resting = await system.trade(
        "carol", type="LIMIT", price=str(await system.bid("BTCUSDT") - 3000), quantity="0.002", leverage=50
    )
    assert resting["state"] == "active", resting
    await fall(system, "-4")
    await taken_over(system, "carol")
    await unwound(system)
    rows = await liquidations(system, "carol")
    assert [row.action for row in rows if row.action != "DELEVERAGE"][:3] == ["WARN", "CANCEL", "TAKEOVER"]
    assert sum(row.quantity or 0 for row in rows) == D("0.5")
    account = json.loads(await system.redis.get("pms:risk:carol"))
    assert account["positions"] == []
    assert account["balance"] >= 0
    orders = await system.rows(
        "select state from pms.orders where client_order_id = :order", order=resting["orderId"]
    )
    assert [row.state for row in orders] == ["cancelled"]
    events = [json.loads(fields[b"e"]) for _, fields in await system.redis.xrange("pms:stream:events")]
    told = [event for event in events if event["type"] == "liquidation"]
    assert {event["action"] for event in told} >= {"WARN", "CANCEL", "TAKEOVER"}
    assert all(event["account"]["balance"] is not None for event in told)
    gone = [event for event in events if event["type"] == "order_cancelled"]
    assert {(event["subAccountId"], event["clientOrderId"]) for event in gone} >= {
        ("carol", resting["orderId"])
    }
    await system.audit()
    listed = await system.cli("liquidations", "--account", "carol", "--json")
    assert {row["action"] for row in json.loads(listed)} >= {"WARN", "CANCEL", "TAKEOVER"}
