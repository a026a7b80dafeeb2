"""Hedge mode, leverage and money on real processes: the exchange sees the net, our books both sides."""

from __future__ import annotations

from decimal import Decimal

import pytest
from system import System

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]
D = Decimal


async def held(system: System, account: str) -> dict[str, tuple[Decimal, int]]:
    await system.settled()
    rows = await system.rows(
        "select position_side, quantity, leverage from pms.positions"
        " where sub_account_id = :account and quantity <> 0",
        account=account,
    )
    return {side: (quantity, leverage) for side, quantity, leverage in rows}


async def test_a_long_beside_a_short_survives_a_restart_and_closes_side_by_side(system: System) -> None:
    await system.account("hedger", "1000")
    for command, fields in (
        ("pms.position_mode", {"hedge": True}),
        ("pms.deposit", {"amount": "9000"}),
        ("pms.withdraw", {"amount": "5000"}),
        ("pms.leverage", {"symbol": "BTCUSDT", "leverage": 25}),
    ):
        result = await system.ask(command, subAccountId="hedger", **fields)
        assert result["success"], result
    assert result["details"]["balance"] == "5000"
    wish = {"subAccountId": "hedger", "symbol": "BTCUSDT"}
    for side, position_side, quantity in (("BUY", "LONG", "0.03"), ("SELL", "SHORT", "0.01")):
        done = await system.ask(
            "pms.trade", **wish, side=side, positionSide=position_side, quantity=quantity, timeout_s=15
        )
        assert (done["state"], done["position"]["positionSide"]) == ("filled", position_side), done
    assert await held(system, "hedger") == {"LONG": (D("0.03"), 25), "SHORT": (D("-0.01"), 25)}

    await system.restart("streamer")
    too_much = await system.ask(
        "pms.trade", **wish, side="SELL", positionSide="LONG", quantity="0.031", timeout_s=15
    )
    assert (too_much["code"], too_much["limit"]) == ("REDUCE_ONLY", "0.03"), too_much
    lower = await system.ask("pms.leverage", **wish, leverage=50)
    assert lower["success"], lower
    assert await held(system, "hedger") == {"LONG": (D("0.03"), 50), "SHORT": (D("-0.01"), 50)}
    await system.audit()

    closed = await system.ask("pms.close_all", subAccountId="hedger", timeout_s=15)
    assert [leg["state"] for leg in closed["details"]["orders"]] == ["filled", "filled"], closed
    assert await held(system, "hedger") == {}
    back = await system.ask("pms.position_mode", subAccountId="hedger", hedge=False)
    assert back["success"], back
    await system.audit()
