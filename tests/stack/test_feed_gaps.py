"""The private stream fails in the middle of a fill; nothing is lost, and nobody has to notice."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from system import System, until

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]


async def resting_bid(system: System, price: Decimal, *, quantity: str = "0.02") -> str:
    """A resting order of alice, as the exchange's feed told it."""
    result = await system.trade("alice", type="LIMIT", price=str(price), quantity=quantity)
    assert result["success"], result
    await system.event_of("order_active", result["orderId"], seconds=5)
    return str(result["orderId"])


async def lonely_price(system: System) -> Decimal:
    """A price far behind the market's, where nobody else rests."""
    return await system.bid("BTCUSDT") - 100


async def health(system: System) -> dict[str, Any]:
    return dict(json.loads(await system.redis.get("pms:health")))


async def test_f7_the_listen_key_expires_between_two_fills(system: System) -> None:
    price = await lonely_price(system)
    order = await resting_bid(system, price)
    await system.fill(order, price=price, quantity="0.01")
    await system.event_of("order_partially_filled", order, seconds=5)
    await system.admin("POST", "listenKey/expire", account="desk")
    await system.fill(order, price=price, quantity="0.02")
    await system.event_of("order_filled", order, seconds=10)
    assert "listen_key_expired" in system.log("streamer")
    await system.audit()


async def test_f7_a_half_open_stream_is_found_out_and_its_fills_are_read_from_the_cursor(
    system: System,
) -> None:
    """The socket answers every ping and brings nothing: two orders are filled behind its back.

    Whoever compares with the exchange first reads the fills; the stream is doubted all the same, as long as
    an order rests of which it should tell.
    """

    async def doubted() -> bool:
        return "user_stream_doubted" in system.log("streamer")

    price = await lonely_price(system)
    await resting_bid(system, price - 50)
    first, second = [await resting_bid(system, price) for _ in range(2)]
    await system.admin("POST", "faults", kind="withhold_event", account="desk", count=-1)
    try:
        await system.fill(first, second, price=price, quantity="0.04")
        for order in (first, second):
            await system.event_of("order_filled", order, seconds=30)
        await until(doubted, "the stream to be doubted", seconds=60)
    finally:
        await system.admin("DELETE", "faults")
    await until(system.admitting, "admission to open again")
    await system.audit()


async def test_the_age_of_every_stream_is_told(system: System) -> None:
    told = await health(system)
    ages = told["ages"]
    assert "feedLag" in told
    assert {"user", "BTCUSDT", "ETHUSDT"} <= set(ages)
    assert all(age is not None and age < 60_000 for age in ages.values())


async def test_the_rate_budget_is_told(system: System) -> None:
    budget = json.loads(await system.redis.get("pms:budget"))
    assert [count["name"] for count in budget["counts"]] == ["weight_1m", "orders_1m", "orders_10s"]
    assert budget["known"]


async def test_a_gap_in_which_no_money_was_missed_costs_no_reading_of_the_income_history(
    system: System,
) -> None:
    """It weighs 30 a page, two dozen pages on a busy account: a third of a minute for every reconnect."""

    async def closed() -> int:
        return system.log("streamer").count("caught_up")

    async def asked() -> int:
        counts = (await system.admin("GET", "requests"))["counts"]
        return int(counts.get("GET /fapi/v1/income", 0))

    async def trades() -> bool:
        return bool((await system.trade("alice"))["state"] == "filled")

    await until(trades, "a fill")
    read, gaps = await asked(), await closed()
    for _ in range(3):
        await until(trades, "a fill")
        await system.admin("POST", "sockets/cut", route="private")

        async def one_more(than: int = gaps) -> bool:
            return await closed() > than

        await until(one_more, "the gap to be closed", seconds=20)
        gaps = await closed()
    await asyncio.sleep(2.5)
    assert await asked() == read
    await system.admin("POST", "deposit", account="desk", amount="5")

    async def booked() -> bool:
        return bool(await system.rows("select 1 from pms.incomes where amount = 5"))

    await until(booked, "the deposit")
    assert await asked() > read
    await system.audit()
