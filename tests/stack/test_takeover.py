"""A sub-account that crosses its line, end to end: taken over or closed at market, and every book agrees."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from system import System, until

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]
D = Decimal


async def liquidations(system: System, account: str) -> list[Any]:
    return await system.rows(
        "select action, symbol, quantity, price, ratio, equity, maintenance from pms.liquidations"
        " where sub_account_id = :account order by seq, line",
        account=account,
    )


async def taken_over(system: System, account: str) -> None:
    async def done() -> bool:
        return any(row.action == "TAKEOVER" for row in await liquidations(system, account))

    await until(done, f"the takeover of {account}", seconds=30)


async def unwound(system: System) -> None:
    async def flat() -> bool:
        left = await system.rows("select quantity from pms.unwinds where quantity <> 0")
        held = await system.rows(
            "select quantity from pms.positions where sub_account_id = 'house' and quantity <> 0"
        )
        return not left and not held

    await until(flat, "the house to be flat", seconds=30)


async def lean(system: System, account: str, *, quantity: str, left: str) -> None:
    """Let an account hold a long with so little money left that a small fall takes it."""
    await system.account(account, "20000")
    answer = await system.trade(account, quantity=quantity, leverage=50)
    assert answer["state"] == "filled", answer
    balance = D(str(json.loads(await system.redis.get(f"pms:risk:{account}"))["availableMargin"]))
    answer = await system.ask(
        "pms.transfer", fromAccountId=account, toAccountId="house", amount=str(balance - D(left))
    )
    assert answer["success"], answer


async def test_an_account_beyond_its_line_is_the_houses_on_the_tick_and_every_book_agrees(
    system: System,
) -> None:
    await lean(system, "carol", quantity="0.5", left="150")
    resting = await system.trade(
        "carol", type="LIMIT", price=str(await system.bid("BTCUSDT") - 3000), quantity="0.002", leverage=50
    )
    assert resting["state"] == "active", resting
    await system.admin("POST", "crash", symbols=["BTCUSDT"], percent="-4", seconds=5, gaps=2, seed=7)
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


async def closed(system: System, account: str) -> None:
    async def done() -> bool:
        rows = await system.rows(
            "select closing from pms.sub_accounts where id = :account and closing = 0", account=account
        )
        return bool(rows) and any(row.action == "CLOSED" for row in await liquidations(system, account))

    await until(done, f"the end of {account}'s closing", seconds=60)


async def test_an_account_of_a_group_at_market_is_closed_by_its_own_orders_and_every_book_agrees(
    system: System,
) -> None:
    answer = await system.ask(
        "pms.limits",
        action="set",
        scope="group:atmarket",
        limit="liquidation.mode",
        value="market",
        reason="for the test",
        actor="the test",
    )
    assert answer["success"], answer
    await lean(system, "dora", quantity="0.5", left="150")
    answer = await system.ask(
        "pms.group", subAccountId="dora", group="atmarket", reason="for the test", actor="the test"
    )
    assert answer["success"], answer
    resting = await system.trade(
        "dora", type="LIMIT", price=str(await system.bid("BTCUSDT") - 3000), quantity="0.002", leverage=50
    )
    assert resting["state"] == "active", resting
    halted = await system.ask("pms.halt", subAccountId="dora", mode="HALTED", reason="test", actor="the test")
    assert halted["success"], halted
    await system.admin("POST", "crash", symbols=["BTCUSDT"], percent="-4", seconds=5, gaps=2, seed=8)
    await closed(system, "dora")
    actions = [row.action for row in await liquidations(system, "dora")]
    assert "TAKEOVER" not in actions
    assert actions[-1] == "CLOSED"
    # Its own orders, in its own name, whatever the halt says: the house has nothing of it.
    orders = await system.rows(
        "select sub_account_id, side, type, reduce_only, filled_qty, quantity, state from pms.orders"
        " where origin = 'LIQUIDATION' and client_order_id like 'PMS_dora_L_%'"
    )
    assert orders
    assert {(row.sub_account_id, row.side, row.type, row.reduce_only) for row in orders} == {
        ("dora", "SELL", "MARKET", True)
    }
    (filled,) = await system.rows(
        "select coalesce(sum(quantity), 0) as quantity from pms.fills"
        " where sub_account_id = 'dora' and client_order_id like 'PMS_dora_L_%'"
    )
    assert filled.quantity == sum(row.filled_qty for row in orders)
    account = json.loads(await system.redis.get("pms:risk:dora"))
    held = sum(D(str(each["quantity"])) for each in account["positions"])
    assert filled.quantity + held == D("0.5"), "no more than was held"
    assert held or account["balance"] >= 0
    (row,) = await system.rows(
        "select state from pms.orders where client_order_id = :order", order=resting["orderId"]
    )
    assert row.state == "cancelled"
    assert (await system.audit())["agrees"]
    listed = await system.cli("liquidations", "--account", "dora", "--json")
    assert {row["action"] for row in json.loads(listed)} >= {"CLOSE", "CLOSED"}
