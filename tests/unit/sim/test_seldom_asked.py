"""Who waits asks ever more seldom: on virtual time, when exactly."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from itertools import pairwise
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pms.binance.limits import QUIET_REFRESH_S, REFRESH_S, RateBudget
from pms.bus.decisions import Decisions
from pms.bus.requests import Record
from pms.contract.names import Task
from pms.flows.serve import serve
from pms.flows.sweep import sweep_requests
from pms.sim.machines.loop import Loop
from pms.sim.machines.network import Network
from pms.sim.machines.redis.client import Client
from pms.sim.machines.redis.scripts import Scripts
from pms.sim.machines.redis.server import Server, Words

NOW_MS = 1_900_000_000_000


def record(*, deadline: int, result: bytes | None = None) -> Record:
    return Record(Task.TRADE, b"{}", NOW_MS, deadline, None, [], None, result, None, "")


class Undecided:
    """A command that nobody decides, and that expires at its deadline."""

    def __init__(self, loop: Loop, known: dict[str, Record]) -> None:
        self.loop = loop
        self.known = known
        self.read_at: list[float] = []
        self.settled: list[str] = []

    async def read(self, request_id: str) -> Record:
        self.read_at.append(self.loop.now)
        return self.known[request_id]

    async def settle(self, request_id: str, known: Record) -> bytes | None:
        self.settled.append(request_id)
        if NOW_MS + self.loop.now * 1000 < known.deadline:
            return None
        self.known[request_id] = record(deadline=known.deadline, result=b"expired")
        return b"expired"

    async def open_since(self, _: int) -> list[str]:
        return list(self.known)

    async def folded(self) -> list[str]:
        return []


def ran(loop: Loop, work: Coroutine[Any, Any, Any], *, until: float = 60) -> Any:
    return loop.run(work, until=until)


def test_a_worker_reads_ever_more_seldom_and_once_at_the_deadline() -> None:
    loop = Loop()  # type: ignore[abstract]
    requests = Undecided(loop, {"a": record(deadline=NOW_MS + 3000)})
    deps = SimpleNamespace(requests=requests, decisions=Decisions(cast(Any, None)))
    assert ran(loop, serve(cast(Any, deps), "a", want_result=False)) == b"expired"
    assert requests.read_at == pytest.approx([0, 0.25, 0.75, 1.75, 2.75, 3.0])


def test_the_sweep_settles_what_is_due_gone_or_answered() -> None:
    loop = Loop()  # type: ignore[abstract]
    known = {
        "waits": record(deadline=NOW_MS + 3000),
        "due": record(deadline=NOW_MS - 1),
        "answered": record(deadline=NOW_MS + 3000, result=b"done"),
        "gone": cast(Any, None),
    }
    requests = Undecided(loop, known)
    requests.settle = forgotten(requests)  # type: ignore[method-assign]

    async def time() -> tuple[int, int]:
        return NOW_MS // 1000, NOW_MS % 1000 * 1000

    ran(loop, sweep_requests(cast(Any, SimpleNamespace(time=time)), cast(Any, requests)))
    assert requests.settled == ["due", "answered", "gone"]


def forgotten(requests: Undecided) -> Any:
    async def settle(request_id: str, _: Record | None) -> bytes | None:
        requests.settled.append(request_id)
        return None

    return settle


def test_a_budget_that_is_not_used_is_looked_at_once_a_second() -> None:
    loop = Loop()  # type: ignore[abstract]
    network = Network(Random(1), lambda kind, text: None)
    server = Server(loop, Scripts(), began_ms=NOW_MS, rng=Random(2))
    client = Client(server, network, loop, loop.world)
    looked: list[float] = []

    def watch(words: Words, _: object) -> None:
        if words[:2] == [b"HMGET", b"pms:rate:budget"]:
            looked.append(loop.now)

    server.watch = watch

    async def play() -> None:
        budget = RateBudget(cast(Any, client), share=Decimal(1), monotonic=lambda: loop.now)
        await budget.acquire(weight=1, lane="query")
        await asyncio.sleep(4)
        await budget.acquire(weight=1, lane="query")
        await asyncio.sleep(2)

    ran(loop, play())
    gaps = [later - earlier for earlier, later in pairwise(looked)]
    quiet = [gap for gap in gaps if gap > (REFRESH_S + QUIET_REFRESH_S) / 2]
    assert len(quiet) >= 3, gaps
    assert len([gap for gap in gaps if gap <= (REFRESH_S + QUIET_REFRESH_S) / 2]) >= 2, gaps
    assert max(gaps) < QUIET_REFRESH_S + REFRESH_S
