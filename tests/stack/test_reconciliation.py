"""The books against the exchange: an outage ends nothing, drift has an owner, a second pass says nothing."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from relay import TcpRelay
from system import KEY, SECRET, System, until

from pms.cli.reconcile import as_object
from pms.flows.reconcile import Deps, reconcile
from pms.stack import pulse

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

TERMINAL = {"filled", "cancelled", "expired", "rejected", "void"}
WHY = "found at the exchange by hand"
COUNTDOWN_S = 120

TRIES = 12
"""The streamer reconciles and doubts by itself too, and may be ahead of whoever asks."""


class Desk(System):
    """A system whose way to the exchange leads through a relay of the test's."""

    relay: TcpRelay

    async def begin_behind_relay(self, *parts: str) -> None:
        await self.begin()
        self.relay = TcpRelay(self.venue_url)
        await self.relay.mend()
        self.environment["PMS_BINANCE_REST_URL"] = self.relay.url
        self.environment["PMS_BINANCE_WS_URL"] = self.relay.url.replace("http", "ws")
        for part in parts:
            self.start(part)
        for part in parts:
            await self.ready(part)

    async def pms(self, *words: str) -> tuple[int, Any]:
        """Run the command line with --json; its exit code and what it printed."""
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pms.cli.main", *words, "--json"),
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await command.communicate()
        assert out, err.decode()
        return command.returncode or 0, json.loads(out)

    async def reconciled(self) -> dict[str, Any]:
        """A pass after which everything agrees."""
        deps = Deps(
            redis=self.redis,
            database=self.database,
            new_id=lambda: str(uuid4()),
            sleep=asyncio.sleep,
            monotonic=time.monotonic,
        )
        found = as_object(await reconcile(deps))
        assert found["agrees"], found
        return found

    async def state(self, order: str) -> str:
        return (await self.redis.hget(f"pms:order:{order}", "state") or b"").decode()

    async def incident(self, kind: str, *, state: str = "open", seconds: float = 10) -> dict[str, Any]:
        """Wait for PostgreSQL to know an incident of a kind in a state."""
        query = "select seq, subject, detail, evidence, resolved_by, resolution from pms.incidents"
        found: list[Any] = []

        async def told() -> bool:
            found[:] = await self.rows(
                f"{query} where kind = :kind and state = :state", kind=kind, state=state
            )
            return bool(found)

        await until(told, f"{kind} to be {state}", seconds=seconds)
        return dict(found[-1]._mapping)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(short_dirs: tuple[Path, Path]) -> AsyncIterator[Desk]:
    whole = Desk(*short_dirs)
    try:
        # With beat: it makes good a fold that was woken as another one's reading was over.
        await whole.begin_behind_relay("streamer", "worker-orders", "worker-urgent", "worker-ledger", "beat")
        for account in ("alice", "bob"):
            await whole.account(account)
        yield whole
    finally:
        if hasattr(whole, "relay"):
            whole.relay.cut()
        await whole.end()


async def test_f4_an_outage_ends_nothing_and_one_pass_makes_all_exact(
    desk: Desk, pytestconfig: pytest.Config
) -> None:
    """As long as asked for: `make outage` takes ten minutes. From two on the exchange's own countdown has
    cancelled what rested, which is known when the exchange says so, and not before."""
    lasts_s = pytestconfig.getoption("--outage-seconds")
    left = "cancelled" if lasts_s > COUNTDOWN_S else "active"
    began = time.monotonic()
    bid = await desk.bid("BTCUSDT")
    near, far = bid - 100, bid - 1000
    filled, cancelled, resting = [
        str((await desk.trade("alice", type="LIMIT", price=str(price), quantity="0.05"))["orderId"])
        for price in (near, far, far - 1)
    ]
    await until(lambda: _armed(desk), "the countdown to run")
    desk.relay.cut()
    await until(lambda: _closed(desk), "admission to close")
    unsent = await desk.trade("bob", timeout_s=12)
    assert not unsent["success"]
    await desk.fill(filled, price=near, quantity="0.05")
    await desk._client(KEY, SECRET).cancel(symbol="BTCUSDT", client_order_id=cancelled)
    while True:
        for order in (filled, cancelled, resting):
            assert await desk.state(order) not in TERMINAL
        if time.monotonic() - began > lasts_s:
            break
        await asyncio.sleep(1)

    await desk.relay.mend()
    await until(desk.admitting, "admission to open", seconds=30, tell=lambda: desk.log("streamer")[-3000:])
    first = await desk.reconciled()
    assert [await desk.state(order) for order in (filled, cancelled, resting)] == [
        "filled",
        "cancelled",
        left,
    ]
    second = await desk.reconciled()
    assert (second["journaled"], second["booked"]) == (False, 0)
    assert second["weight"] <= 40 + 10 + 5 * 2
    assert [each["what"] for each in first["comparisons"]] == [
        "orders",
        "trades since the proven cursors",
        "positions per symbol",
        "wallet",
        "orders in Redis",
        "rows in PostgreSQL",
    ]
    if left == "active":
        assert (await desk.ask("pms.cancel", orderId=resting))["success"]
        await until(lambda: _is(desk, resting, "cancelled"), "the cancel")


async def test_an_order_that_nobody_can_prove_ends_by_an_operators_word(desk: Desk) -> None:
    fault = await desk.admin("POST", "faults", kind="hang_before", path="/fapi/v1/order", method="POST")
    asked = str(uuid4())
    command = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "ttlMs": 500, "requestId": asked}
    await desk.requests.submit("pms.trade", {"subAccountId": "bob", **command}, door="test")
    await until(lambda: _hit(desk, fault["id"]), "the order to hang at the exchange's door")
    desk.relay.cut()
    record = await desk.requests.read(asked)
    assert record is not None
    (order,) = record.orders
    words = ("resolve", order, "--reason", "not on the exchange's page", "--yes", "--as")
    code, refused = await desk.pms(*words, "filled")
    assert (code, refused["code"]) == (1, "EVIDENCE")

    async def resolved() -> bool:
        code, answer = await desk.pms(*words, "not-executed")
        assert code == 0 or answer["code"] == "EVIDENCE", answer
        return code == 0

    await until(resolved, "the word to be taken", seconds=30)
    assert await desk.state(order) == "rejected"
    told = json.loads(await desk.requests.result(asked, timeout_s=2) or b"{}")
    assert (told["success"], told["code"]) == (False, "NOT_EXECUTED")
    await desk.settled()
    (row,) = await desk.rows("select reason from pms.orders where client_order_id = :order", order=order)
    assert row[0].startswith("operator ")
    assert row[0].endswith(": not on the exchange's page")
    await desk.relay.mend()
    await desk.admin("DELETE", "faults")
    await until(desk.admitting, "admission to open", seconds=30)
    await desk.reconciled()


async def test_a_trade_by_hand_is_an_incident_until_it_has_its_owner(desk: Desk) -> None:
    before = await position(desk, "alice")
    await desk.own_order("BTCUSDT", "BUY", "0.02", await desk.bid("BTCUSDT") + 500, name="by-hand")
    told = await desk.incident("foreign_trade")
    assert json.loads(told["evidence"])["owner"] == "house"
    assert await position(desk, "house") == Decimal("0.02")
    code, house = await desk.pms("house")
    assert (code, house["positions"][0]["traded"], house["foreign"][0]["clientOrderId"]) == (
        0,
        0.02,
        "by-hand",
    )
    number = told["subject"].partition(":")[2]
    words = ("reassign", "BTCUSDT", "--order", number, "--to", "alice", "--reason", WHY, "--yes")
    refused, answer = await desk.pms("reassign", "BTCUSDT", "--to", "nobody", "--reason", WHY, "--yes")
    assert (refused, answer["code"]) == (1, "UNKNOWN_ACCOUNT")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pms.cli.main", *words), env=desk.environment
    )
    assert await process.wait() == 0
    over = await desk.incident("foreign_trade", state="resolved")
    assert "@" in over["resolved_by"]
    assert await position(desk, "house") == 0
    assert (await desk.pms("house"))[1]["foreign"][0]["handedTo"] == "alice"
    assert await position(desk, "alice") == before + Decimal("0.02")
    assert await desk.redis.hlen("pms:incidents:open") == await open_rows(desk)
    await desk.audit()


async def test_an_order_by_hand_is_left_alone_and_its_incident_ends_with_it(desk: Desk) -> None:
    price = await desk.bid("BTCUSDT") - 700
    await desk.own_order("BTCUSDT", "BUY", "0.01", price, name="resting-by-hand")
    told = await desk.incident("foreign_order")
    shown = await desk.redis.hlen("pms:incidents:open")
    assert pulse.take(desk.redis_server.url, []).open_incidents == shown == await open_rows(desk)
    assert (await desk.reconciled())["journaled"] is False, "what is told already is no news"
    code, answer = await desk.pms("incidents", "ack", str(told["seq"])[-8:], "--reason", WHY)
    assert (code, answer["state"]) == (0, "acknowledged")
    await desk.incident("foreign_order", state="acknowledged")
    await desk._client(KEY, SECRET).cancel(symbol="BTCUSDT", client_order_id="resting-by-hand")
    await desk.reconciled()
    over = await desk.incident("foreign_order", state="resolved")
    assert (over["resolved_by"], over["resolution"]) == ("evidence", "the exchange says: CANCELED")
    assert (await desk.reconciled())["journaled"] is False


async def test_what_the_feed_never_told_is_found_in_one_pass_and_not_by_a_dry_run(desk: Desk) -> None:
    for _ in range(TRIES):
        order = await filled_unheard(desk)
        try:
            dry, told = await desk.pms("reconcile", "--dry-run")
            unbooked = await desk.state(order) == "active"
            code, found = await desk.pms("reconcile")
        finally:
            await desk.admin("DELETE", "faults")
        assert await desk.state(order) == "filled"
        if unbooked and found["booked"]:
            break
    else:
        raise AssertionError(f"each of {TRIES} was booked before or by a dry run")
    assert (dry, told["journaled"]) == (1, False)
    assert code == 1, found
    assert (await desk.reconciled())["journaled"] is False


async def filled_unheard(desk: Desk) -> str:
    """An order of bob's that the venue has filled and nobody was told of.

    The stream still tells that it rests: one that is silent about what a worker was answered is doubted
    within two seconds, and what it kept back is read over REST.
    """
    price = await desk.bid("BTCUSDT") - 50
    order = str((await desk.trade("bob", type="LIMIT", price=str(price), quantity="0.03"))["orderId"])
    await asyncio.sleep(0.5)
    await desk.admin("POST", "faults", kind="withhold_event", account="desk", count=-1)
    await desk.fill(order, price=price, quantity="0.03")
    return order


async def test_what_somebody_wrote_into_the_copies_is_told_and_put_right(desk: Desk) -> None:
    price = str(await desk.bid("BTCUSDT") - 900)
    order = str((await desk.trade("alice", type="LIMIT", price=price))["orderId"])
    await desk.settled()
    await desk.redis.hset(f"pms:order:{order}", "state", "filled")
    async with desk.database.begin() as connection:
        await connection.exec_driver_sql("update pms.sub_accounts set balance = balance + 5 where id = 'bob'")
    code, found = await desk.pms("reconcile")
    told = {each["what"]: each["found"] for each in found["comparisons"]}
    assert (code, len(told["orders in Redis"]), len(told["rows in PostgreSQL"])) == (1, 1, 1)
    await desk.incident("projection_drift")
    await desk.incident("ledger_drift")
    await desk.settled()
    await desk.reconciled()
    for kind in ("projection_drift", "ledger_drift"):
        assert (await desk.incident(kind, state="resolved"))["resolved_by"] == "evidence"
    assert await desk.state(order) == "active"
    assert (await desk.ask("pms.cancel", orderId=order))["success"]
    await desk.audit()


async def test_incidents_outlive_the_streamer(desk: Desk) -> None:
    price = await desk.bid("BTCUSDT") - 800
    await desk.own_order("BTCUSDT", "BUY", "0.01", price, name="before-the-restart")
    told = await desk.incident("foreign_order")
    await desk.redis.delete("pms:incidents:open")
    await desk.restart("streamer")
    key = "pms:incidents:open", str(told["seq"])
    await until(lambda: desk.redis.hexists(*key), "the view to be written anew", seconds=30)
    shown = json.loads(await desk.redis.hget(*key))
    assert (shown["kind"], shown["state"], shown["times"]) == ("foreign_order", "open", 1)
    listed = await desk.rows(
        "select count(*) from pms.incidents where kind = 'foreign_order' and state = 'open'"
    )
    assert listed[0][0] == 1, "the same order is the same incident"
    await until(desk.admitting, "admission to open", seconds=30)
    await desk._client(KEY, SECRET).cancel(symbol="BTCUSDT", client_order_id="before-the-restart")
    await desk.reconciled()
    await desk.incident("foreign_order", state="resolved")


async def position(desk: Desk, account: str) -> Decimal:
    await desk.settled()
    query = "select quantity from pms.positions where sub_account_id = :account and symbol = 'BTCUSDT'"
    found = await desk.rows(query, account=account)
    return Decimal(found[0][0]) if found else Decimal(0)


async def open_rows(desk: Desk) -> int:
    return int((await desk.rows("select count(*) from pms.incidents where state <> 'resolved'"))[0][0])


async def _hit(desk: Desk, fault: int) -> bool:
    return bool((await desk.admin("GET", f"faults/{fault}"))["hits"])


async def _armed(desk: Desk) -> bool:
    return bool(json.loads(await desk.redis.get("pms:health") or b"{}").get("deadMan") == "armed")


async def _closed(desk: Desk) -> bool:
    return not await desk.admitting()


async def _is(desk: Desk, order: str, state: str) -> bool:
    return await desk.state(order) == state
