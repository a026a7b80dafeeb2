"""Two sub-accounts flood, and the exchange's limits are on: another trades as if it were alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from system import System, until

from pms.venue.symbols import SHIPPED

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]
FLOOD = 195
"""What a sub-account may have open, nearly."""

ROOM = 100
"""Orders in ten seconds. A command lives for ten: however slow the machine, it sees three windows of them
at most, and two floods want more than three hold."""

PATIENCE_MS = 15_000
"""Longer than a busy machine takes to read the flood's messages, behind which the other's stands."""

PARTS = ("streamer", "worker-orders", "worker-urgent", "worker-ledger", "beat")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def limited(short_dirs: tuple[Path, Path]) -> AsyncIterator[System]:
    home, runtime = short_dirs
    info = json.loads(SHIPPED.read_text())
    for row in info["rateLimits"]:
        if (row["rateLimitType"], row["interval"]) == ("ORDERS", "SECOND"):
            row["limit"] = ROOM
    narrow = home / "symbols.json"
    narrow.write_text(json.dumps(info))
    whole = System(home, runtime, venue_options=("--limits", "binance", "--symbols", str(narrow)))
    try:
        await whole.begin(*PARTS)
        for account in ("greedy-0", "greedy-1", "modest"):
            await whole.account(account)
        yield whole
    finally:
        await whole.end()


async def test_a_flood_of_orders_delays_nobody_else(limited: System) -> None:
    """More than the window holds, at once; the other's orders and cancels are answered meanwhile."""
    price = str(int(await limited.bid("BTCUSDT")) - 1000)
    order = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.005", "leverage": 20}
    order |= {"type": "LIMIT", "price": price}
    for number in range(2 * FLOOD):
        command = {"requestId": str(uuid4()), "subAccountId": f"greedy-{number % 2}", **order}
        await limited.requests.submit("pms.trade", command, door="test")
    for _ in range(5):
        placed = await limited.ask(
            "pms.trade", subAccountId="modest", ttlMs=PATIENCE_MS, timeout_s=20, **order
        )
        assert placed["success"], json.dumps(placed)
        await limited.event_of("order_active", placed["orderId"], seconds=3)
        gone = await limited.ask("pms.cancel", orderId=placed["orderId"])
        assert gone["success"], gone
        await limited.event_of("order_cancelled", placed["orderId"], seconds=3)

    async def over() -> bool:
        return not await limited.redis.zcard("pms:requests:open")

    await until(over, "the flood to be answered")
    assert ROOM // 2 < await limited.placed() <= 3 * ROOM, "the rest had no room before its deadline"
    assert "exchange_turned_us_away" not in limited.log("worker-orders") + limited.log("streamer")
    assert "exchange_turned_us_away" not in limited.log("worker-urgent")
    budget = json.loads(await limited.redis.get("pms:budget"))
    assert [count["limit"] for count in budget["counts"]] == [2400, 1200, ROOM]
