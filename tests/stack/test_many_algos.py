"""Sixty algos of every kind on twenty symbols, with ticks far faster than an exchange sends them.

No time is judged, only conditions: each algo right by the venue's own trades, its limits kept, no tick older
at the end than a queue that grows would make it, and nothing left at the exchange.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from system import System, until

from benchmarks import crowd
from benchmarks.crowd_judge import judge
from pms.binance.instruments import parse_instruments
from pms.contract.names import price_key
from pms.domain.desk import Top
from pms.domain.instrument import Instrument

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]
SYMBOLS, ALGOS, TICKS, PACE = 20, 60, 4_000, 8
ACCOUNTS = ("mary", "nora", "olga", "pete")
WORKERS = ("worker-orders", "worker-urgent", "worker-ledger", "worker-schedule", "beat")
PATIENCE_S = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowded(short_dirs: tuple[Path, Path]) -> AsyncIterator[System]:
    home, runtime = short_dirs
    names = crowd.symbols_file(home / "symbols.json", SYMBOLS)
    whole = System(
        home, runtime, venue_options=("--limits", "binance", "--symbols", str(home / "symbols.json"))
    )
    try:
        await whole.begin()
        whole.environment |= {"PMS_SYMBOLS": ",".join(names), "BENCH_NOTES": str(home / "notes.json")}
        whole.start("streamer", command=[sys.executable, "-m", "benchmarks.watched_streamer"])
        await whole.ready("streamer")
        for part in WORKERS:
            whole.start(part)
        for part in WORKERS:
            await whole.ready(part)
        await asyncio.gather(*(whole.account(name) for name in ACCOUNTS))
        yield whole
    finally:
        await whole.end()


async def test_each_of_many_algos_is_right_and_no_tick_queues(crowded: System) -> None:
    client = crowded._client("K" * 64, "S" * 64)
    instruments = parse_instruments(await client.exchange_info(), await client.leverage_brackets())
    crowd_of = list(crowd.places(list(instruments), list(ACCOUNTS), ALGOS))
    assert {place.kind for place in crowd_of} == set(crowd.KINDS)
    started = await asyncio.gather(*(start(crowded, place, instruments[place.symbol]) for place in crowd_of))
    await crowded.admin("POST", "pace", pace=PACE)
    began, before = time.monotonic_ns(), (await crowded.admin("GET", "pace"))["steps"]

    async def ticked() -> bool:
        return bool((await crowded.admin("GET", "pace"))["steps"] >= before + TICKS)

    await until(ticked, f"{TICKS} ticks", seconds=PATIENCE_S)
    ended = time.monotonic_ns()
    for answer in started[::4]:
        gone = await crowded.ask("pms.cancel_algo", timeout_s=PATIENCE_S, algoId=answer["requestId"])
        assert gone["success"] or gone["code"] == "ALGO_OVER", gone
    assert (await crowded.ask("pms.cancel_all", timeout_s=PATIENCE_S))["success"]

    async def over() -> bool:
        query = "select 1 from pms.algos where status not in ('finished', 'cancelled', 'failed')"
        return not await crowded.rows(query)

    await until(over, "the end of all algos", seconds=PATIENCE_S)
    await crowded.settled()
    found = await judge(crowded.rows, crowded.redis, (await crowded.admin("GET", "trades"))["trades"])
    assert (found.faults, found.algos, found.told) == ([], ALGOS, ALGOS)
    assert found.trades
    orders = (await crowded.admin("GET", "orders"))["orders"]
    assert not [order for order in orders if order["status"] in {"NEW", "PARTIALLY_FILLED"}]
    limits = await crowded.admin("GET", "limits")
    assert limits["turnedAway"] == 0
    assert all(limits[name] <= allowed for name, allowed in limits["allowed"].items())
    assert (await crowded.audit())["agrees"]
    await no_queue_grew(crowded, began, ended)


async def start(system: System, place: crowd.Place, instrument: Instrument) -> dict[str, Any]:
    """Start one of the crowd; what protects a position gets one first."""
    price = json.loads(await system.redis.get(price_key(place.symbol)), parse_float=Decimal)
    top = Top(Decimal(price["bid"]), Decimal(0), Decimal(price["ask"]), Decimal(0), price["ts"])
    position = None
    if place.kind == "trail_stop":
        quantity = str(crowd.size_of(instrument, top))
        terms = {"symbol": place.symbol, "side": "BUY", "quantity": quantity, "leverage": 5}
        bought = await granted(system, "pms.trade", subAccountId=place.account, **terms)
        position = bought["position"]["id"]
    fields = crowd.start_of(place, instrument, top, position_id=position)
    return await granted(system, crowd.task_of(place), **fields)


async def granted(system: System, command: str, **fields: Any) -> dict[str, Any]:
    """Ask until it is done: on a busy machine a price may be too old for the moment."""
    answers: list[dict[str, Any]] = []

    async def done() -> bool:
        answers.append(await system.ask(command, timeout_s=PATIENCE_S, ttlMs=30_000, **fields))
        return bool(answers[-1]["success"])

    await until(done, command, tell=lambda: str(answers[-1]))
    return answers[-1]


async def no_queue_grew(system: System, began: int, ended: int) -> None:
    """The ticks at the end were no older than they may be who come one by one, however slow the machine.

    A queue that grows holds a part of all that came: the last of them would be as old as that part took.
    """
    streamer = system.processes["streamer"]
    streamer.send_signal(signal.SIGTERM)

    async def gone() -> bool:
        return streamer.poll() is not None

    await until(gone, "the end of the streamer", seconds=PATIENCE_S)
    notes = json.loads((system.home / "notes.json").read_text())
    ages = [age for at, age in notes["ticks"] if began <= at < ended]
    assert len(ages) > TICKS / 2
    fifth = len(ages) // 5
    span_ms = (ended - began) / 1e6
    assert min(ages[-fifth:]) < span_ms / 10, (min(ages[-fifth:]), span_ms)
    assert notes["asks"]
