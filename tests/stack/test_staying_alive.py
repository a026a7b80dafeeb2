"""A part hangs or dies: no order leaves that should not, none stays that nobody watches, one leads on."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from system import System, until

from pms.stack.watchdog import QUEUES, Watchdog

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

WHY = {"reason": "prices look wrong", "actor": "ann"}
STANDBY = [sys.executable, "-m", "pms.streamer", "--standby"]


async def state_of(system: System, order: str) -> str:
    state = await system.redis.hget(f"pms:order:{order}", "state")
    return state.decode() if state else ""


async def becomes(system: System, order: str, state: str, *, seconds: float = 15.0) -> None:
    async def is_so() -> bool:
        return await state_of(system, order) == state

    await until(is_so, f"{order} to be {state}", seconds=seconds, tell=lambda: system.log("streamer")[-3000:])


async def health(system: System) -> dict[str, object]:
    told = await system.redis.get("pms:health")
    return dict(json.loads(told)) if told else {}


async def resting(system: System) -> str:
    """Rest a buy far below the market; its id."""
    price = await system.bid("BTCUSDT") - 1000
    placed = await system.trade("alice", type="LIMIT", price=str(price))
    assert placed["success"], placed
    await becomes(system, placed["orderId"], "active")
    return str(placed["orderId"])


async def at_the_venue(system: System, order: str) -> str:
    orders = (await system.admin("GET", "orders"))["orders"]
    return next((each["status"] for each in orders if each["clientOrderId"] == order), "")


async def admitted_and_unsent(system: System) -> tuple[str, str]:
    """An order that is admitted while no worker sends, and the streamer is stopped before it does."""
    for _ in range(5):
        request = str(uuid4())
        command = {"requestId": request, "ttlMs": 30_000, "subAccountId": "alice", "symbol": "BTCUSDT"}
        command |= {"side": "BUY", "quantity": "0.01", "leverage": 20}
        await system.requests.submit("pms.trade", command, door="test")

        async def admitted(request: str = request) -> bool:
            record = await system.requests.read(request)
            return record is not None and bool(record.orders)

        await until(admitted, "the admission")
        system.processes["streamer"].send_signal(signal.SIGSTOP)
        record = await system.requests.read(request)
        assert record is not None
        if await system.redis.get(f"pms:right:{record.orders[0]}") is None:
            return request, record.orders[0]
        system.processes["streamer"].send_signal(signal.SIGCONT)
    raise AssertionError("the streamer was always quicker than the test")


async def test_every_worker_takes_the_canary_of_each_of_its_queues(system: System) -> None:
    """What the watchdog judges a deaf worker by is what real workers tell."""
    with Redis.from_url(system.environment["PMS_REDIS_URL"], decode_responses=True) as redis:
        Watchdog(redis, host=socket.gethostname()).look(now=0.0)

    async def taken() -> bool:
        told = {part: json.loads(await system.redis.get(f"pms:ready:{part}") or b"{}") for part in QUEUES}
        return all(told[part].get("taken", {}).get(queue) for part in QUEUES for queue in QUEUES[part])

    await until(taken, "every canary to be taken")


async def test_a_worker_that_stopped_consuming_is_ended_and_takes_again(system: System) -> None:
    """It beats and answers and takes nothing: its consumer did not survive a reconnect to Redis."""
    deaf = system.processes["worker-schedule"]
    told = await celery(
        system, "control", "cancel_consumer", "schedule", "-d", f"schedule@{socket.gethostname()}"
    )
    assert "no longer consuming from schedule" in told
    system.start("watchdog", command=[sys.executable, "-m", "pms.stack.watchdog"])

    async def ended() -> bool:
        return deaf.poll() is not None

    await until(ended, "the deaf worker to be ended", seconds=60, tell=lambda: system.log("watchdog"))
    system.kill("watchdog")
    assert "it beats, but" in system.log("watchdog")
    assert await system.redis.llen("schedule") > 0
    system.start("worker-schedule")
    await system.ready("worker-schedule")

    async def taken() -> bool:
        return bool(await system.redis.llen("schedule") == 0)

    await until(taken, "its successor to take what waited")


async def celery(system: System, *words: str) -> str:
    """Run Celery's own command line."""
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "celery", "-A", "pms.tasks.app", *words),
        env=system.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    return (await done.communicate())[0].decode()


async def test_a_halt_stops_what_is_admitted_while_the_streamer_hangs(system: System) -> None:
    system.processes["worker-orders"].send_signal(signal.SIGSTOP)
    request, order = await admitted_and_unsent(system)
    placed = await system.placed()
    halt = str(uuid4())
    await system.requests.submit("pms.halt", {"requestId": halt, "ttlMs": 1000, **WHY}, door="test")
    system.processes["worker-orders"].send_signal(signal.SIGCONT)

    async def taken() -> bool:
        return await system.redis.llen("commands") == 0

    await until(taken, "the worker to take the order's message")
    answer = json.loads(await system.requests.result(halt, timeout_s=10) or b"{}")
    assert (answer["success"], answer["state"]) == (True, "halting"), "in force, not yet journaled"
    assert await system.placed() == placed

    async def stale() -> bool:
        return await health(system) == {}

    await until(stale, "a page to show stale, not green")

    system.processes["streamer"].send_signal(signal.SIGCONT)
    failed = json.loads(await system.requests.result(request, timeout_s=15) or b"{}")
    assert (failed["success"], failed["code"]) == (False, "NOT_SENT"), failed
    await becomes(system, order, "void")
    await until(system.admitting, "the streamer to have recovered")
    refused = await system.trade("bob")
    assert (refused["code"], "ann: prices look wrong" in refused["error"]) == ("HALTED", True), refused
    assert await system.placed() == placed


async def test_a_halt_outlives_the_streamer_and_a_redis_that_forgot_it(system: System) -> None:
    assert (await system.trade("bob"))["code"] == "HALTED"
    await system.settled()
    system.kill("streamer")
    await system.redis.delete("pms:halt", "pms:ready:streamer")
    system.start("streamer")
    await system.ready("streamer")
    assert await system.redis.exists("pms:halt")
    (told,) = (await health(system))["halts"]  # type: ignore[misc]
    assert (told["actor"], told["subAccountId"]) == ("ann", None)
    assert (await system.trade("bob"))["code"] == "HALTED"
    lifted = await system.ask("pms.resume", reason="checked", actor="bea")
    assert (lifted["success"], lifted["state"]) == (True, "resumed"), lifted
    assert not await system.redis.exists("pms:halt")
    assert (await system.trade("bob"))["success"]
    rows = await system.rows("select mode, actor, reason from pms.halts where scope = '*'")
    assert [tuple(row) for row in rows] == [("RESUMED", "bea", "checked")]


async def test_a_halt_set_by_hand_is_taken_into_the_journal(system: System) -> None:
    await system.redis.set("pms:halt", "stop!")

    async def known() -> bool:
        told: Any = await health(system)
        return [halt["actor"] for halt in told.get("halts", [])] == ["by hand"]

    await until(known, "the streamer to see it")
    assert (await system.trade("bob"))["code"] == "HALTED"
    assert (await system.ask("pms.resume", reason="r", actor="bea"))["success"]
    assert not await system.redis.exists("pms:halt")


async def test_f12_a_dead_engine_leaves_no_resting_order(system: System) -> None:
    """The exchange's countdown cancels it; for us it is alive until the exchange says otherwise."""
    system.kill("streamer")
    await system.redis.delete("pms:ready:streamer")
    system.start("streamer", PMS_DEAD_MAN_S="4")
    await system.ready("streamer")
    order = await resting(system)

    async def armed() -> bool:
        return (await health(system)).get("deadMan") == "armed"

    await until(armed, "the switch to be armed")
    renewals = await countdowns(system)

    async def renewed() -> bool:
        return await countdowns(system) >= renewals + 2

    await until(renewed, "two renewals, longer than the countdown lasts")
    assert await at_the_venue(system, order) == "NEW", "a living engine keeps its orders"
    system.kill("streamer")

    async def cancelled() -> bool:
        return await at_the_venue(system, order) == "CANCELED"

    await until(cancelled, "the countdown")
    assert await state_of(system, order) == "active", "nobody has evidence yet"
    await system.redis.delete("pms:ready:streamer")
    system.start("streamer")
    await system.ready("streamer")
    await becomes(system, order, "cancelled")
    await system.audit()


async def countdowns(system: System) -> int:
    counts = (await system.admin("GET", "requests"))["counts"]
    return int(counts.get("POST /fapi/v1/countdownCancelAll", 0))


async def test_a_standby_takes_over_and_only_one_ever_writes(system: System) -> None:
    order = await resting(system)
    system.start("standby", command=STANDBY)
    old, new = system.processes["streamer"], system.processes["standby"]

    async def waits() -> bool:
        told = await system.redis.get("pms:ready:streamer-standby")
        return told is not None and json.loads(told)["pid"] == new.pid

    await until(waits, "the standby to wait")
    first = await system.redis.hget("pms:epoch", "nonce")
    old.send_signal(signal.SIGSTOP)
    await leads(system, new.pid)
    assert await system.redis.hget("pms:epoch", "nonce") != first
    assert (await system.trade("alice"))["state"] == "filled"
    old.send_signal(signal.SIGCONT)

    async def stepped_down() -> bool:
        return "stepping_down" in system.log("streamer")[-20_000:]

    await until(stepped_down, "the old leader to notice", tell=lambda: system.log("streamer")[-6000:])
    assert (await system.trade("bob"))["state"] == "filled"
    assert await state_of(system, order) == "active", "its resting order was kept"
    system.kill("standby")
    await system.redis.delete("pms:health")  # the last word of the one that was killed
    await leads(system, old.pid)
    assert (await system.trade("alice"))["state"] == "filled"
    assert (await system.ask("pms.cancel", orderId=order))["success"]
    await becomes(system, order, "cancelled")
    await system.audit()


async def leads(system: System, pid: int) -> None:
    """Wait until a process leads and admits commands."""

    async def is_so() -> bool:
        told = await system.redis.get("pms:ready:streamer")
        return told is not None and json.loads(told)["pid"] == pid and await system.admitting()

    await until(is_so, f"process {pid} to lead", seconds=40)


async def test_a_second_leader_is_told_to_stand_by(system: System) -> None:
    second = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pms.streamer"), env=system.environment, stderr=asyncio.subprocess.PIPE
    )
    _, said = await second.communicate()
    assert second.returncode == 1
    assert "start this one with --standby" in said.decode()


async def test_panic_needs_nothing_but_the_exchange(system: System) -> None:
    order = await resting(system)
    assert (await system.trade("alice", quantity="0.02"))["state"] == "filled"
    await system.own_order("ETHUSDT", "BUY", "0.1", "2000", name="by-hand")
    for name in [name for name in system.processes if name != "venue"]:
        system.kill(name)
    system.redis_server.stop()
    system.postgres.stop()

    for _ in range(2):
        said = await panic(system)
        assert "not halted" in said
        assert said.rstrip().endswith("nothing is held")
    orders = (await system.admin("GET", "orders"))["orders"]
    assert {each["status"] for each in orders if each["clientOrderId"] in (order, "by-hand")} == {"CANCELED"}

    system.redis_server.start()
    system.postgres.start()
    await system.redis.connection_pool.disconnect()
    for name in ("worker-ledger", "worker-orders", "worker-urgent", "streamer"):
        system.start(name)
    await system.ready("streamer")
    await becomes(system, order, "cancelled")
    await system.settled()
    rows = await system.rows("select sub_account_id, quantity from pms.positions where quantity <> 0")
    held = {name: Decimal(quantity) for name, quantity in rows}
    assert sum(held.values()) == 0, "the exchange holds nothing"
    assert held["house"] == -sum(held[name] for name in held if name != "house")
    await system.audit()


async def panic(system: System) -> str:
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pms.cli.main", "panic", "--flatten", "--yes"),
        env=system.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await done.communicate()
    assert done.returncode == 0, out.decode()
    return out.decode()
