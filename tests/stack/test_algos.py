"""Algos on real processes: through Celery and the lists, to the venue and back; killed in the middle."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from system import System, until

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

CHASE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.5", "leverage": 10}


async def shown(system: System, kind: str, algo_id: str) -> dict[str, Any]:
    """An algo as a page sees it."""
    text = await system.redis.get(f"pms:{kind}:{algo_id}")
    return json.loads(text, parse_float=Decimal) if text else {}


async def stands(
    system: System, kind: str, algo_id: str, status: str, *, seconds: float = 30
) -> dict[str, Any]:
    """Wait until an algo has a status."""
    seen: dict[str, Any] = {}

    async def there() -> bool:
        seen.update(await shown(system, kind, algo_id))
        return seen.get("status") == status

    await until(there, f"{kind} {algo_id} to be {status}", seconds=seconds, tell=lambda: str(seen))
    return seen


async def ours(system: System, algo_id: str) -> list[Any]:
    """The algo's orders in PostgreSQL."""
    await system.settled()
    return await system.rows(
        "select * from pms.orders where parent_id = :id order by admitted_at", id=algo_id
    )


async def live(system: System, algo_id: str, *, kind: str = "chase") -> dict[str, Any]:
    """Its one order at the venue."""
    found: list[dict[str, Any]] = []

    seen: dict[str, Any] = {}

    async def there() -> bool:
        seen.update(await shown(system, kind, algo_id))
        orders = (await system.admin("GET", "orders"))["orders"]
        names = {row.client_order_id for row in await ours(system, algo_id)}
        found[:] = [
            each
            for each in orders
            if each["clientOrderId"] in names and each["status"] in {"NEW", "PARTIALLY_FILLED"}
        ]
        return len(found) == 1

    await until(there, f"an order of {algo_id} at the venue", seconds=15, tell=lambda: str(seen))
    return found[0]


async def test_a_chase_rests_and_is_filled_exactly(system: System) -> None:
    terms = {**CHASE, "stalkOffset": "0.1", "stalkMode": "trail"}
    started = await system.ask("pms.chase", subAccountId="alice", **terms)
    assert started["success"], started
    algo_id = started["details"]["algoId"]
    order = await live(system, algo_id)
    await system.sweep_to(Decimal(order["price"]), "2")
    seen = await stands(system, "chase", algo_id, "finished")
    assert (Decimal(seen["filled"]), seen["liveOrders"]) == (Decimal("0.5"), 0)
    rows = await ours(system, algo_id)
    assert sum(row.filled_qty for row in rows) == Decimal("0.5")
    assert {row.origin for row in rows} == {"CHASE"}
    (algo,) = await system.rows("select * from pms.algos where id = :id", id=algo_id)
    assert (algo.status, algo.sub_account_id) == ("finished", "alice")
    assert (await system.audit())["agrees"]


async def test_a_cancelled_chase_leaves_nothing_at_the_exchange(system: System) -> None:
    terms = {**CHASE, "stalkOffset": "1", "stalkMode": "maintain"}
    started = await system.ask("pms.chase", subAccountId="alice", **terms)
    algo_id = started["details"]["algoId"]
    order = await live(system, algo_id)
    ended = await system.ask("pms.cancel_algo", algoId=algo_id)
    assert ended["success"], ended
    await stands(system, "chase", algo_id, "cancelled")
    orders = (await system.admin("GET", "orders"))["orders"]
    (gone,) = [each for each in orders if each["clientOrderId"] == order["clientOrderId"]]
    assert gone["status"] == "CANCELED"
    again = await system.ask("pms.cancel_algo", algoId=algo_id)
    assert again["code"] == "ALGO_OVER"


async def test_a_chase_goes_on_behind_the_death_of_streamer_and_workers(system: System) -> None:
    terms = {**CHASE, "stalkOffset": "0.1", "stalkMode": "trail"}
    started = await system.ask("pms.chase", subAccountId="bob", **terms)
    assert started["success"], started
    algo_id = started["details"]["algoId"]
    order = await live(system, algo_id)
    system.kill("worker-orders")
    await system.restart("streamer")
    await system.sweep_to(Decimal(order["price"]), "0.2")
    system.start("worker-orders")
    await asyncio.sleep(1)
    order = await live(system, algo_id)
    await system.sweep_to(Decimal(order["price"]), "2")
    seen = await stands(system, "chase", algo_id, "finished")
    assert Decimal(seen["filled"]) == Decimal("0.5")
    assert sum(row.filled_qty for row in await ours(system, algo_id)) == Decimal("0.5")
    assert (await system.audit())["agrees"]


async def test_a_trailing_stop_and_a_bracket_close_what_they_protect_behind_a_death(system: System) -> None:
    for account in ("carol", "dave"):
        await system.account(account)
    bid, tick = await system.bid("BTCUSDT"), Decimal("0.1")
    profit, loss = ((bid * part).quantize(tick) for part in (Decimal("1.03"), Decimal("0.999")))
    entry = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.05", "leverage": 10}
    exits = {"takeProfit": str(profit), "stopLoss": str(loss)}
    started = await system.ask("pms.bracket", subAccountId="carol", **entry, **exits)
    assert started["success"], started
    bracket = started["details"]["algoId"]
    resting = await live(system, bracket, kind="bracket")
    assert (resting["side"], Decimal(resting["price"]), Decimal(resting["origQty"])) == (
        "SELL",
        profit,
        Decimal("0.05"),
    )
    bought = await system.trade("dave", quantity="0.03")
    assert bought["success"], bought
    terms = {"positionId": bought["position"]["id"], "callbackPct": "0.1"}
    started = await system.ask("pms.trail_stop", subAccountId="dave", **terms)
    assert started["success"], started
    trail = started["details"]["algoId"]
    await system.restart("streamer")
    await until(system.admitting, "admission", seconds=30)
    await system.sweep_to((bid * Decimal("0.997")).quantize(tick), "0.1")
    for kind, algo_id, quantity in (("trailstop", trail, "0.03"), ("bracket", bracket, "0.05")):
        seen = await stands(system, kind, algo_id, "finished")
        assert Decimal(seen["filled"]) == Decimal(quantity)
        sold = [row for row in await ours(system, algo_id) if row.side == "SELL"]
        assert sum(row.filled_qty for row in sold) == Decimal(quantity)
        assert all(row.reduce_only for row in sold)
    orders = (await system.admin("GET", "orders"))["orders"]
    (gone,) = [each for each in orders if each["clientOrderId"] == resting["clientOrderId"]]
    assert gone["status"] == "CANCELED"
    for account in ("carol", "dave"):
        rows = await system.rows("select quantity from pms.positions where sub_account_id = :of", of=account)
        assert [row.quantity for row in rows] == [0]
    assert (await system.audit())["agrees"]


async def test_a_scalper_goes_round_and_ends_flat(system: System) -> None:
    terms = {"symbol": "BTCUSDT", "quantity": "0.5", "layers": 2, "baseOffsetPct": "0.1", "legs": "long"}
    terms |= {"takeProfitPct": "2", "onEnd": "flatten"}
    words = [f"{name}={value}" for name, value in terms.items()]
    plan = json.loads(
        await system.cli("algo", "start", "scalper", "--account", "alice", "--dry-run", "--json", *words)
    )
    assert [slot["quantity"] for slot in plan["slots"] if slot["type"]] == [0.5, 0.5]
    started = await system.ask("pms.scalper", subAccountId="alice", leverage=10, **terms)
    assert started["success"], started
    algo_id = started["details"]["algoId"]
    entry = await rests(system, algo_id, "BUY")
    await system.sweep_to(Decimal(entry["price"]), "2")
    exits = await rests(system, algo_id, "SELL")
    assert Decimal(exits["price"]) > Decimal(entry["price"])
    ended = await system.ask("pms.cancel_algo", algoId=algo_id)
    assert ended["success"], ended
    seen = await stands(system, "scalper", algo_id, "cancelled")
    await system.settled()
    rows = await system.rows(
        "select side, sum(f.quantity) as quantity, sum(f.quantity * f.price) as quote from pms.fills f"
        " join pms.orders using (client_order_id, side) where parent_id = :id group by side order by side",
        id=algo_id,
    )
    bought, sold = rows
    assert bought.quantity == sold.quantity >= Decimal("0.5")
    figures = seen["figures"]
    assert (figures["held"], Decimal(figures["realizedPnl"])) == (0, sold.quote - bought.quote)
    history = json.loads(await system.cli("algo", "history", "--json"), parse_float=Decimal)
    (told,) = [each for each in history if each["algoId"] == algo_id]
    assert (told["status"], told["realizedPnl"]) == ("cancelled", figures["realizedPnl"])
    assert told["filled"] == bought.quantity + sold.quantity
    assert 0 < told["makerShare"] < 1
    assert "scalper cancelled" in await system.cli("algo", "show", algo_id[:13])
    assert (await system.audit())["agrees"]


async def rests(system: System, algo_id: str, side: str) -> dict[str, Any]:
    """Its order nearest to the market on a side, as the venue has it."""
    found: list[dict[str, Any]] = []

    seen: dict[str, Any] = {}

    async def there() -> bool:
        seen.update(await shown(system, "scalper", algo_id))
        names = {row.client_order_id for row in await ours(system, algo_id) if row.side == side}
        found[:] = [
            each
            for each in (await system.admin("GET", "orders"))["orders"]
            if each["clientOrderId"] in names and each["status"] in {"NEW", "PARTIALLY_FILLED"}
        ]
        return bool(found)

    await until(there, f"a {side} of {algo_id} at the venue", seconds=15, tell=lambda: str(seen))
    return sorted(found, key=lambda each: Decimal(each["price"]), reverse=side == "BUY")[0]
