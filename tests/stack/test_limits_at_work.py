"""Limits on real processes: set at the command line, kept by the next order, and still there after a kill."""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal
from typing import Any

import pytest
from system import System, until

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]


async def pms(system: System, *arguments: str) -> tuple[int, Any]:
    """Run a command line; its exit code, and what it printed as JSON."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pms.cli.main", *arguments, "--json"),
        env=system.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert out, err.decode()
    return process.returncode or 0, json.loads(out)


async def effective(system: System, account: str) -> dict[str, tuple[Any, str]]:
    """Every limit of an account as `pms limits list` tells it: value and where it comes from."""
    _, rows = await pms(system, "limits", "list", account, "--symbol", "btcusdt")
    return {row["limit"]: (row["value"], row["from"]) for row in rows}


async def test_a_limit_is_set_kept_shown_and_lifted(system: System) -> None:
    why = ("--reason", "a new desk", "--actor", "ann")
    code, told = await pms(system, "limits", "set", "group:fast", "order.quantity", "0.020", *why)
    assert (code, told["details"]["value"], told["details"]["members"]) == (0, "0.02", 0)
    assert (await pms(system, "limits", "group", "alice", "fast", *why))[0] == 0
    assert (await effective(system, "alice"))["order.quantity"] == ("0.02", "group:fast")
    assert (await effective(system, "bob"))["order.quantity"] == (None, "default")
    refused = await system.trade("alice", quantity="0.021")
    named = {name: refused[name] for name in ("code", "field", "limit", "actual")}
    assert named == {"code": "ORDER_QUANTITY", "field": "quantity", "limit": "0.02", "actual": "0.021"}
    assert (await system.trade("alice", quantity="0.02"))["success"]
    assert (await system.trade("bob", quantity="0.021"))["success"]
    code, told = await pms(system, "limits", "set", "alice", "order.quantity", "many", *why)
    assert (code, told["code"], told["actual"]) == (1, "BAD_LIMIT", "many")
    assert (await pms(system, "limits", "unset", "group:fast", "order.quantity", *why))[0] == 0
    assert (await system.trade("alice", quantity="0.021"))["success"]
    rows = await system.rows("select scope, name, value, actor, reason from pms.limits")
    assert [tuple(row) for row in rows] == [("group:fast", "order.quantity", None, "ann", "a new desk")]


async def test_a_price_is_as_old_as_the_exchange_s_clock_says(system: System) -> None:
    why = {"actor": "ann", "reason": "only prices of this millisecond"}
    fields = {"scope": "alice", "limit": "price.age", **why}
    assert (await system.ask("pms.limits", action="set", value=0, **fields))["success"]

    async def too_old() -> bool:
        return (await system.trade("alice"))["code"] == "PRICE_STALE"

    await until(too_old, "a price that is older than no time at all")
    assert (await system.ask("pms.limits", action="unset", **fields))["success"]
    assert (await system.trade("alice"))["success"]


async def test_limits_and_the_day_s_loss_outlive_the_streamer(system: System) -> None:
    """What was lost today is the ledger's; a streamer that was killed knows it again."""
    why = {"actor": "ann", "reason": "enough for today"}
    set_ = {"action": "set", "scope": "bob", **why}
    assert (await system.ask("pms.limits", limit="loss.daily", value=0.0001, **set_))["success"]
    assert (await system.ask("pms.limits", limit="position.quantity", value=1, **set_))["success"]

    async def refused_for(**fields: Any) -> str:
        return str((await system.trade("bob", **fields))["code"])

    async def lost() -> bool:
        return await refused_for(quantity="0.01") == "DAILY_LOSS"

    await until(lost, "the commission of bob's order to be booked")
    lines = await system.rows(
        "select sum(amount) from pms.ledger_entries where sub_account_id = 'bob'"
        " and reason in ('REALIZED_PNL', 'COMMISSION')"
    )
    assert lines[0][0] < Decimal("-0.0001")
    await system.settled()
    system.kill("streamer")
    await system.redis.delete("pms:ready:streamer")
    system.start("streamer")
    await system.ready("streamer")
    await until(system.admitting, "the streamer to have recovered")
    assert await refused_for(quantity="0.01") == "DAILY_LOSS"
    assert (await system.trade("bob", side="SELL", quantity="0.01"))["success"], "what only reduces may go"
    lifted = await system.ask("pms.limits", action="unset", scope="bob", limit="loss.daily", **why)
    assert lifted["success"], lifted
    assert await refused_for(quantity="1") == "POSITION_QUANTITY"
    assert (await system.audit())["agrees"]
