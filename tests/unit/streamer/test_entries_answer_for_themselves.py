"""Whoever reads a command's record while its entry leaves gives no answer: the first one stands for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pms.bus.inbox import Arrived
from pms.contract.results import Result
from pms.domain.desk import Desk
from pms.domain.posting import Posting
from pms.streamer.outbox import Outbox
from pms.streamer.process import Streamer

ASKED = "e0000000-0000-4000-8000-000000000001"
PLACING = Result(success=True, request_id=ASKED, command="pms.trade", state="placing")


class Life:
    """A streamer's memory, outbox and records; `meanwhile` happens while the record is read."""

    def __init__(self, *, command: str = "pms.trade", run_id: str = "now", forgot: bool = False) -> None:
        self._desk, self._forgot = Desk(epoch="e"), forgot
        self._outbox = Outbox(cast("Any", self), withdraw=lambda _: None, sleep=asyncio.sleep)
        self._requests = cast("Any", self)
        self._engine = SimpleNamespace(gate=SimpleNamespace(run_id="now"), recall=self.note("recalled"))
        self._clock = SimpleNamespace(now_ms=lambda: 5_000)
        self._hear_one = self.note("heard")
        self.record = SimpleNamespace(
            command=command, text=b"{}", at=1_000, deadline=6_000, run_id=run_id, decision=None, result=None
        )
        self.done: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def note(self, what: str) -> Callable[[object], None]:
        return lambda _: self.done.append(what)

    def decide(self) -> None:
        self._desk.requests[ASKED] = ("{}", PLACING)
        self._outbox.add(cast("Posting", SimpleNamespace(entry=None)))

    async def append(self, postings: list[Posting]) -> list[bool]:
        return [True for _ in postings]

    async def open_since(self, _: int) -> list[str]:
        return [ASKED]

    async def read(self, _: str) -> object:
        """The record as it was when the reading began; its reply takes longer than an append."""
        found = SimpleNamespace(**vars(self.record))
        self.meanwhile()
        await self._outbox.drained()
        return found

    async def _give(self, _: Result) -> None:
        self.done.append("answered")

    def _may_wait(self, arrived: Arrived) -> bool:
        return Streamer._may_wait(cast("Streamer", self), arrived)

    async def sweep(self, *, recovering: bool = False) -> list[str]:
        return await self.alive(Streamer._sweep_once(cast("Streamer", self), recovering=recovering))

    async def repeat(self) -> list[str]:
        return await self.alive(Streamer._repeated(cast("Streamer", self), PLACING))

    async def alive(self, work: Any) -> list[str]:
        running = asyncio.create_task(self._outbox.run())
        await work
        running.cancel()
        return self.done


async def test_a_repeat_in_the_breath_of_its_decision() -> None:
    life = Life()
    life.decide()
    assert await life.repeat() == []


async def test_a_repeat_of_what_redis_forgot_is_answered() -> None:
    life = Life()
    life._desk.requests[ASKED] = ("{}", PLACING)
    assert await life.repeat() == ["answered"]


@pytest.mark.parametrize("run_id", ["now", "a life before"])
async def test_a_sweep_beside_its_decision(run_id: str) -> None:
    life = Life(run_id=run_id)
    life.meanwhile = life.decide
    assert await life.sweep() == []


async def test_a_sweep_as_its_entry_leaves() -> None:
    life = Life(forgot=True)
    life.decide()
    assert await life.sweep() == []


async def test_a_sweep_of_what_redis_forgot_recalls_it() -> None:
    life = Life(forgot=True)
    life._desk.requests[ASKED] = ("{}", PLACING)
    assert await life.sweep() == ["recalled"]


@pytest.mark.parametrize(("command", "done"), [("pms.close", []), ("pms.cancel", ["heard"])])
async def test_before_admission_opens_only_cancels_are_heard(command: str, done: list[str]) -> None:
    assert await Life(command=command).sweep(recovering=True) == done


async def test_what_is_too_late_is_refused_before_admission_opens() -> None:
    life = Life()
    life.record.deadline = 4_000
    assert await life.sweep(recovering=True) == ["heard"]
