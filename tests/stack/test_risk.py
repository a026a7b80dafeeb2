"""Portfolio risk end to end: asked at the command line, reckoned by the real worker, limits told."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from system import System, until

from pms.bus.wake import wake_up
from pms.contract.names import Queue, Task

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]


async def pms(system: System, *arguments: str) -> tuple[int, str, str]:
    """Run the command line as a user does, 80 columns wide."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pms.cli.main",
        *arguments,
        env={**system.environment, "COLUMNS": "80"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def run_periodic(system: System) -> None:
    """Send the very message that beat sends."""
    message = wake_up(Task.RISK, queue=Queue.RECON, task_id=str(uuid4()), new_tag=lambda: str(uuid4()))
    await system.redis.lpush(Queue.RECON, message)


async def risk_events(system: System) -> list[dict[str, Any]]:
    events = [json.loads(fields[b"e"]) for _, fields in await system.redis.xrange("pms:stream:events")]
    return [event for event in events if event["type"] == "risk"]


async def incident_states(system: System) -> list[str]:
    async with system.database.connect() as connection:
        found = await connection.execute(text("SELECT state FROM pms.incidents WHERE kind = 'risk_limit'"))
        return [row.state for row in found]


async def test_the_report_of_what_was_just_traded(system: System) -> None:
    assert (await system.trade("alice", quantity="0.5"))["success"]
    assert (await system.trade("bob", symbol="ETHUSDT", side="SELL", quantity="1"))["success"]

    async def folded() -> bool:
        async with system.database.connect() as connection:
            found = await connection.execute(text("SELECT count(*) FROM pms.positions WHERE quantity <> 0"))
            return bool(found.scalar_one() == 2)

    await until(folded, "both positions in PostgreSQL")
    code, out, err = await pms(system, "risk", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert {part["symbol"]: part["quantity"] for part in report["net"]["symbols"]} == {
        "BTCUSDT": 0.5,
        "ETHUSDT": -1,
    }
    assert report["method"]["bars"] == 500
    assert report["warnings"] == []
    assert 0 < report["net"]["var"] < report["net"]["gross"]

    code, out, err = await pms(system, "risk", "--scenario", "squeeze")
    assert (code, err) == (0, "")
    assert max(len(line) for line in out.splitlines()) <= 80
    for words in (
        "seq",
        "VaR 99 %, historical",
        "ES 97.5 %, historical",
        "alice",
        "bob",
        "squeeze",
        "ETHUSDT",
    ):
        assert words in out, words

    code, out, err = await pms(system, "risk", "--account", "alice")
    assert code == 0, err
    assert "verdict" in out
    assert "bob" not in out
    assert max(len(line) for line in out.splitlines()) <= 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--account", "nobody"), "UNKNOWN_ACCOUNT"),
        (("--scenario", "no-such-thing"), "no scenario has this name"),
        (("--scenario", "missing.json"), "no such file"),
    ],
)
async def test_what_cannot_be_answered_is_one_line(
    system: System, arguments: tuple[str, ...], words: str
) -> None:
    code, out, err = await pms(system, "risk", *arguments)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert words in err


async def test_a_crossed_limit_is_an_event_and_an_incident_that_ends_by_itself(system: System) -> None:
    setting = ("alice", "risk.margin")
    code, _, err = await pms(system, "limits", "set", *setting, "0.5", "--reason", "too near")
    assert code == 0, err
    await run_periodic(system)

    async def crossed() -> bool:
        return bool(await risk_events(system)) and await incident_states(system) == ["open"]

    await until(crossed, "the limit to be told", tell=lambda: system.log("worker-recon")[-2000:])
    (event,) = await risk_events(system)
    assert (event["subAccountId"], event["measure"], event["state"]) == ("alice", "margin", "crossed")
    assert event["actual"] > event["limit"]

    code, _, err = await pms(system, "limits", "unset", *setting, "--reason", "far enough")
    assert code == 0, err
    await run_periodic(system)

    async def over() -> bool:
        return len(await risk_events(system)) == 2 and await incident_states(system) == ["resolved"]

    await until(over, "the limit to be over", tell=lambda: system.log("worker-recon")[-2000:])
    before, after = await risk_events(system)
    assert (after["state"], after["seq"] > before["seq"]) == ("back", True)
    assert json.loads(await system.redis.get("pms:portfolio:latest"))["crossed"] == []
