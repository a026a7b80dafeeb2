"""PostgreSQL and Redis go away under load and come back: trading goes on, everything drains exactly once."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from system import System, until

from pms.archive.reader import Reader
from pms.bus.wake import wake_up

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

EVERY_S = 0.15


@asynccontextmanager
async def load(system: System) -> AsyncIterator[Counter[str]]:
    """Trade back and forth on two accounts meanwhile; counts the answers by what they say."""
    answers: Counter[str] = Counter()
    running: set[asyncio.Task[None]] = set()

    async def one(turn: int) -> None:
        fields: dict[str, Any] = {
            "account": ("alice", "bob")[turn % 2],
            "side": ("BUY", "SELL")[turn // 2 % 2],
        }
        try:
            answer = await system.trade(**fields, timeout_s=15)
            answers[answer["state"] if answer["success"] else answer["code"]] += 1
        except (OSError, AssertionError) as error:
            answers[type(error).__name__] += 1
        except Exception as error:
            answers[f"redis: {type(error).__name__}"] += 1

    async def many() -> None:
        turn = 0
        while True:
            task = asyncio.create_task(one(turn))
            running.add(task)
            task.add_done_callback(running.discard)
            turn += 1
            await asyncio.sleep(EVERY_S)

    sending = asyncio.create_task(many())
    try:
        yield answers
    finally:
        sending.cancel()
        while running:
            await asyncio.wait(running)


async def archived(system: System) -> int:
    return int(await system.redis.get("pms:journal:archived") or 0)


def folded(system: System) -> Callable[[], Awaitable[bool]]:
    async def whole() -> bool:
        newest = await system.redis.xrevrange("pms:journal", count=1)
        return int(await system.redis.get("pms:journal:applied") or 0) >= int(newest[0][0].split(b"-")[0])

    return whole


async def snapshot(system: System) -> None:
    """Let the worker write a snapshot now."""
    message = wake_up("pms.snapshot", queue="recon", task_id=str(uuid4()), new_tag=lambda: str(uuid4()))
    before = await archived(system)
    await system.redis.lpush("recon", message)
    directory = system.home / "archive" / "state"

    async def written() -> bool:
        return any(int(path.name.partition(".")[0]) >= before for path in directory.glob("*.state"))

    await until(written, "a snapshot")


async def more_filled(answers: Counter[str], count: int) -> None:
    wanted = answers["filled"] + count

    async def enough() -> bool:
        return answers["filled"] >= wanted

    await until(enough, f"{count} more fills", seconds=30, tell=lambda: str(answers))


async def test_postgres_away_under_load_delays_only_what_needs_it(system: System) -> None:
    async with load(system) as answers:
        await more_filled(answers, 5)
        system.postgres.stop()
        before = await archived(system)
        await more_filled(answers, 25)
        assert set(answers) <= {"filled", "placing", "unknown"}, answers
        assert await archived(system) > before, "the archive grows without PostgreSQL"
        needs_it = asyncio.create_task(
            system.ask("pms.transfer", fromAccountId="house", toAccountId="bob", amount="7", timeout_s=60)
        )

        async def forgotten() -> bool:
            oldest = int((await system.redis.xrange("pms:journal", count=1))[0][0].split(b"-")[0])
            return oldest >= before or int(await system.redis.xlen("pms:journal")) < 300

        await until(forgotten, "Redis to forget what is archived")
        applied = int(await system.redis.get("pms:journal:applied"))
        assert applied < await archived(system)
        system.postgres.start()
        await more_filled(answers, 3)
    answer = await needs_it
    assert answer["state"] == "done" or answer["code"] == "EXPIRED", answer
    await system.settled()
    await system.audit()


async def test_the_streamer_starts_while_postgres_is_away(system: System) -> None:
    await system.settled()
    await snapshot(system)
    resting = await system.trade(
        "alice", type="LIMIT", price=str(await system.bid("BTCUSDT") - 2000), quantity="0.05"
    )
    system.postgres.stop()
    assert (await system.trade("bob"))["state"] == "filled"
    await system.restart("streamer")
    assert "postgres_not_asked" in system.log("streamer")
    assert (await system.trade("alice"))["state"] == "filled"
    cancelled = await system.ask("pms.cancel", orderId=resting["orderId"])
    assert cancelled["success"], "what was open before is known"
    system.postgres.start()
    await system.settled()
    await system.audit()


async def test_redis_restarted_under_load_drains_once(system: System) -> None:
    async with system.supervised():
        async with load(system) as answers:
            await more_filled(answers, 5)
            system.redis_server.kill()
            system.redis_server.start()

            async def back() -> bool:
                return "stepping_down" in system.log("streamer") and await system.admitting()

            await until(
                back, "the streamer to lead again", seconds=40, tell=lambda: system.log("streamer")[-3000:]
            )
            await more_filled(answers, 10)
        await until(folded(system), "the fold", seconds=40, tell=lambda: system.log("worker-ledger")[-3000:])
        await system.audit()


async def test_redis_that_lost_its_tail_gets_it_back_from_the_archive(system: System) -> None:
    """A transfer leaves no trace at the exchange: archived, forgotten by Redis, unknown to PostgreSQL."""
    await system.settled()
    for name in ("worker-recon", "beat"):
        system.kill(name)
    log = system.home / "redis" / "appendonly.aof"
    kept = log.stat().st_size
    system.postgres.stop()
    request = str(uuid4())
    await system.requests.submit(
        "pms.transfer",
        {
            "requestId": request,
            "fromAccountId": "house",
            "toAccountId": "bob",
            "amount": "11.5",
            "ttlMs": 30_000,
        },
        door="test",
    )
    reader = Reader(system.home / "archive")

    async def is_archived() -> bool:
        return any(
            b'"pms.transfer"' in each.body and b"11.5" in each.body for each in reader.read(0, count=10**6)
        )

    await until(is_archived, "the transfer to be archived")
    system.kill("streamer")
    system.redis_server.kill()
    with log.open("r+b") as file:
        file.truncate(kept)
    system.redis_server.start()
    await system.redis.connection_pool.disconnect()
    system.postgres.start()
    for name in ("streamer", "worker-recon", "beat"):
        system.start(name)
        await system.ready(name)
    await system.settled()
    booked = await system.rows("select amount from pms.ledger_entries where sub_account_id = 'bob'")
    assert [row[0] for row in booked].count(Decimal("11.5")) == 1
    await system.audit()


async def test_redis_half_full_closes_admission_and_still_cancels(system: System) -> None:
    await until(system.admitting, "admission")
    resting = await system.trade(
        "alice", type="LIMIT", price=str(await system.bid("BTCUSDT") - 2000), quantity="0.01"
    )
    used = int((await system.redis.info("memory"))["used_memory"])
    await system.redis.config_set("maxmemory", int(used / 0.6))

    async def closed() -> bool:
        return "Redis memory" in str(json.loads(await system.redis.get("pms:health"))["reason"])

    await until(closed, "admission to close")
    refused = await system.trade("bob")
    assert (refused["success"], refused["code"]) == (False, "NOT_READY")
    assert "Redis memory is" in refused["error"]
    assert (await system.ask("pms.cancel", orderId=resting["orderId"]))["success"]
    await system.redis.config_set("maxmemory", "1gb")
    await until(system.admitting, "admission to open")
    assert (await system.trade("bob"))["state"] == "filled"
    await system.audit()


async def test_12_a_restored_backup_refolds_and_everything_agrees(system: System) -> None:
    await system.settled()
    taken = system.home / "yesterday"
    told = await pms(system, "backup", "--to", str(taken), "--json")
    assert told["end"] >= told["applied"] > 0
    for account in ("alice", "bob"):
        assert (await system.trade(account))["state"] == "filled"
    assert (await system.ask("pms.transfer", fromAccountId="alice", toAccountId="bob", amount="3.25"))[
        "success"
    ]
    await system.settled()
    assert (await pms(system, "verify", "--json", "--settle", "20"))["agrees"]
    refused = await run(system, "restore", str(taken), "--yes")
    assert refused[0] == 1
    assert "the database is in use by pms-" in refused[1]
    parts = [name for name in system.processes if name != "venue"]
    for name in parts:
        system.kill(name)
    await system.database.dispose()
    restored = await pms(system, "restore", str(taken), "--yes", "--json")
    assert restored["archive"] == "the archive continues the backup and was kept"
    for name in parts:
        system.start(name)
        await system.ready(name)

    async def refolded() -> bool:
        return int((await system.rows("select applied from pms.journal_cursor"))[0][0]) >= await archived(
            system
        )

    await until(refolded, "the archive to be refolded")
    found = await pms(system, "verify", "--json", "--settle", "20")
    assert found["agrees"]
    assert {check["name"] for check in found["checks"]} >= {
        "the archive is whole and unbroken",
        "pms.fills is the archive's fold",
        "the wallet",
    }
    await system.rows("select 1")


async def test_verify_finds_a_cent(system: System) -> None:
    """One balance in PostgreSQL is changed behind everyone's back."""
    await system.settled()
    change = (
        "update pms.ledger_entries set amount = amount + {}"
        " where sub_account_id = 'bob' and reason = 'TRANSFER'"
    )
    async with system.database.begin() as connection:
        await connection.execute(text(change.format("0.00000001")))
    code, said = await run(system, "verify", "--settle", "0")
    assert code == 1
    assert "pms.ledger_entries is the archive's fold" in said
    assert "DIFFERS" in said
    async with system.database.begin() as connection:
        await connection.execute(text(change.format("-0.00000001")))
    assert (await pms(system, "verify", "--json", "--settle", "20"))["agrees"]


async def run(system: System, *arguments: str) -> tuple[int | None, str]:
    """Run a command line against the system."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pms.cli.main", *arguments),
        env=system.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, (out + err).decode()


async def pms(system: System, *arguments: str) -> dict[str, Any]:
    """Run a command line that must succeed and answer with one JSON object."""
    code, said = await run(system, *arguments)
    assert code == 0, said
    return dict(json.loads(next(line for line in said.splitlines() if line.startswith("{"))))
