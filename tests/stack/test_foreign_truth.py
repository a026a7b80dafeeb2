"""What nobody here asked for: hands, liquidations, ADL, settlement, fundings, transfers, other assets."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from system import KEY, SECRET, System, until

from pms.binance.client import ExchangeClient

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]
D = Decimal


async def count(system: System, query: str, **parameters: Any) -> int:
    return int((await system.rows(f"select count(*) from {query}", **parameters))[0][0])


async def positions(system: System, symbol: str) -> dict[str, Decimal]:
    rows = await system.rows(
        "select sub_account_id, quantity from pms.positions where symbol = :symbol and quantity <> 0",
        symbol=symbol,
    )
    return dict(tuple(row) for row in rows)


async def drift(system: System) -> dict[str, Any]:
    return dict(json.loads(await system.redis.get("pms:health"))["drift"])


async def agrees(system: System) -> None:
    """The independent reader agrees, and the engine itself sees no drift."""
    assert (await system.audit())["drift"] == {}

    async def quiet() -> bool:
        return not await drift(system)

    await until(quiet, "no drift in pms:health")


def client(system: System) -> ExchangeClient:
    return system._client(KEY, SECRET)


async def test_f8_what_others_trade_goes_to_the_house_and_is_told_once_an_order(system: System) -> None:
    for account, side, quantity in (("alice", "BUY", "0.05"), ("bob", "SELL", "0.01")):
        assert (await system.trade(account, side=side, quantity=quantity))["success"]
    placed = await system.admin(
        "POST", "order", account="desk", symbol="BTCUSDT", side="SELL", quantity="0.01", clientOrderId="web_1"
    )
    orders = [placed["orderId"]]
    for why in ("liquidation", "adl", "settlement"):
        closed = await system.admin(
            "POST", "close", account="desk", symbol="BTCUSDT", why=why, quantity="0.005"
        )
        orders.append(closed["orderId"])

    async def booked() -> bool:
        found = "pms.fills where exchange_order_id = any(:orders) and symbol = 'BTCUSDT'"
        return await count(system, f"(select distinct exchange_order_id from {found}) o", orders=orders) == 4

    await until(booked, "all four to be booked")
    owners = await system.rows(
        "select distinct sub_account_id from pms.fills"
        " where exchange_order_id = any(:orders) and symbol = 'BTCUSDT'",
        orders=orders,
    )
    assert [row[0] for row in owners] == ["house"]

    async def cleared() -> bool:
        return await count(system, "pms.incomes where kind = 'INSURANCE_CLEAR'") == 1

    await until(cleared, "the clearance fee")
    held = await positions(system, "BTCUSDT")
    assert (held["alice"], held["bob"], held["house"]) == (D("0.05"), D("-0.01"), D("-0.025"))
    kinds = [
        row[0]
        for row in await system.rows(
            "select kind from pms.incidents"
            " where kind like 'exchange\\_%' or kind = 'foreign_order' order by 1"
        )
    ]
    assert kinds == ["exchange_adl", "exchange_liquidation", "exchange_settlement", "foreign_order"]
    await agrees(system)


async def test_9_a_flat_net_pays_nothing_and_alice_still_pays_bob(system: System) -> None:
    for account, side in (("alice", "BUY"), ("bob", "SELL")):
        assert (await system.trade(account, symbol="ETHUSDT", side=side, quantity="2"))["success"]
    due = (await system.admin("POST", "funding", symbol="ETHUSDT", rate="0.00030000", inMs=4000))[
        "fundingTime"
    ]

    # Any word about money lets the streamer look at the times of the next fundings.
    await system.admin("POST", "deposit", account="desk", amount="1")

    async def allotted() -> bool:
        return await count(system, "pms.fundings where symbol = 'ETHUSDT' and at >= :due", due=due) == 3

    await until(allotted, "the funding of three accounts", seconds=45, tell=lambda: system.log("streamer"))
    (told,) = await client(system).funding_rates("ETHUSDT", start=due)
    rows = await system.rows(
        "select sub_account_id, quantity, amount from pms.fundings where symbol = 'ETHUSDT' order by 1"
    )
    part = (2 * D(told.mark_price) * told.funding_rate).quantize(D("0.00000001"))
    assert [tuple(row) for row in rows] == [("alice", 2, -part), ("bob", -2, part), ("house", 0, 0)]
    assert await count(system, "pms.incomes where kind = 'FUNDING_FEE' and symbol = 'ETHUSDT'") == 0
    await agrees(system)


async def test_a_fee_in_another_asset_is_paid_by_the_house_and_charged_at_a_price(system: System) -> None:
    await system.admin("POST", "deposit", account="desk", asset="BNB", amount="5")
    await client(system)._private("POST", "/fapi/v1/feeBurn", Any, [("feeBurn", "true")])
    assert (await system.trade("alice", quantity="0.02"))["success"]

    async def charged() -> bool:
        return await count(system, "pms.fees where asset = 'BNB' and price is not null") >= 1

    await until(charged, "the fee to be charged", tell=lambda: system.log("streamer")[-3000:])
    rows = await system.rows("select sub_account_id, commission, price, amount from pms.fees")
    for account, commission, price, amount in rows:
        assert account == "alice"
        assert amount == (commission * price).quantize(D("0.00000001"))
    await agrees(system)


async def test_what_was_missed_while_down_is_read_from_the_histories_once(system: System) -> None:
    system.kill("streamer")
    system.environment["PMS_EXCHANGE_LEVERAGE"] = "20"  # what the venue gives; the last test changes it
    for asset, amount in (("USDT", "512.5"), ("USDT", "-12.25"), ("BNB", "-1")):
        await system.admin("POST", "deposit", account="desk", asset=asset, amount=amount)
    for symbol, rate in (("BTCUSDT", "0.0001"), ("ETHUSDT", "-0.0002"), ("BTCUSDT", "0.0003")):
        await system.admin("POST", "funding", symbol=symbol, rate=rate)
        await asyncio.sleep(0.01)  # a symbol's fundings are told apart by their moments
    # A symbol that the engine never looked at.
    await system.admin("POST", "order", account="desk", symbol="SOLUSDT", side="BUY", quantity="3")
    await system.admin("POST", "close", account="desk", symbol="SOLUSDT", why="liquidation", quantity="1")
    system.start("streamer")
    await system.ready("streamer")

    async def caught_up() -> bool:
        solana = await positions(system, "SOLUSDT")
        fundings = await count(system, "pms.fundings where sub_account_id = 'house'")
        return solana == {"house": D(2)} and fundings == 4

    await until(caught_up, "what was missed", seconds=30, tell=lambda: system.log("streamer")[-4000:])
    await agrees(system)
    tables = ("pms.incomes", "pms.fundings", "pms.fees", "pms.ledger_entries", "pms.fills")
    before = [await count(system, table) for table in tables]
    await system.restart("streamer")
    await system.settled()
    assert [await count(system, table) for table in tables] == before
    await agrees(system)


async def test_a_lost_word_about_money_is_found_by_the_drift_it_leaves(system: System) -> None:
    lost = {"kind": "withhold_event", "subject": "^ACCOUNT_UPDATE", "account": "desk", "count": 1}
    await system.admin("POST", "faults", **lost)
    await system.admin("POST", "deposit", account="desk", amount="77")
    await system.admin("POST", "deposit", account="desk", amount="23")

    async def booked() -> bool:
        return await count(system, "pms.incomes where amount in (77, 23)") == 2

    await until(booked, "both deposits")
    await agrees(system)


async def test_the_exchange_s_own_margin_is_respected(system: System) -> None:
    balance = D((await system.admin("POST", "deposit", account="desk", amount="1"))["balance"])
    taken = balance - 15_000
    await system.admin("POST", "deposit", account="desk", amount=str(-taken))
    price = str(round(await system.bid("BTCUSDT") * D("0.96"), 1))
    answers: list[dict[str, Any]] = []

    async def refused() -> bool:
        answers.append(await system.trade("bob", side="BUY", quantity="3", type="LIMIT", price=price))
        return answers[-1]["code"] == "EXCHANGE_MARGIN"

    await until(refused, "the refusal", seconds=20, tell=lambda: str(answers))
    assert answers[-1]["field"] == "quantity"
    assert D(answers[-1]["limit"]) < D(answers[-1]["actual"])
    await system.ask("pms.cancel_all", subAccountId="bob")
    await system.admin("POST", "deposit", account="desk", amount=str(taken))
    await agrees(system)


async def test_a_leverage_changed_by_hand_closes_that_symbol(system: System) -> None:
    assert (await system.trade("alice", symbol="ETHUSDT", quantity="0.1"))["success"]
    await client(system).set_leverage("ETHUSDT", 7)

    async def closed() -> bool:
        return "ETHUSDT" in json.loads(await system.redis.get("pms:health"))["symbolsClosed"]

    await until(closed, "the symbol to be closed")
    answer = await system.trade("alice", symbol="ETHUSDT", quantity="0.1")
    assert (answer["code"], answer["field"]) == ("NOT_READY", "symbol")
    assert "leverage in ETHUSDT is 7" in answer["error"]
    assert (await system.trade("alice", symbol="ETHUSDT", side="SELL", quantity="0.1", reduceOnly=True))[
        "success"
    ]
    assert (await system.trade("alice"))["success"]
    await client(system).set_leverage("ETHUSDT", 20)

    async def open_again() -> bool:
        return "ETHUSDT" not in json.loads(await system.redis.get("pms:health"))["symbolsClosed"]

    await until(open_again, "the symbol to be open again")
    await agrees(system)
