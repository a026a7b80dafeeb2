"""The sweep brings a command until it is decided; what it is decided by is read once meanwhile."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from redis.exceptions import ConnectionError as RedisAway

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import desk_at, trade
from filling import fill

from pms.contract.codes import Code
from pms.contract.journal import CommandRow
from pms.contract.money import encode
from pms.contract.reading import command_from
from pms.contract.results import Result
from pms.domain.decisions import Asked
from pms.domain.desk import Desk
from pms.domain.posting import Posting
from pms.domain.treasury import funding_name
from pms.streamer.engine import Engine, Gate
from pms.streamer.left_out import Spoiled
from pms.streamer.local import LocalCommands
from pms.streamer.outbox import Outbox

TWAP = {
    "subAccountId": "alice",
    "symbol": "BTCUSDT",
    "side": "BUY",
    "totalSize": "1",
    "lots": 2,
    "duration": 600,
    "profile": "volume",
}


class Reading:
    """Serves commands over an exchange whose histories take until `read` is set."""

    def __init__(self) -> None:
        self.read, self.readings, self.away = asyncio.Event(), 0, False
        self.tasks: list[asyncio.Task[None]] = []
        outbox = Outbox(cast(Any, None), withdraw=lambda _: None, sleep=asyncio.sleep)
        self.engine = Engine(desk_at(), outbox, gate=Gate(closed_because=None), redis_now_ms=lambda: 1_000)
        self.ended: list[Exception] = []
        self.engine.spoiled = self.end
        self.local = LocalCommands(
            engine=self.engine,
            requests=cast(Any, SimpleNamespace(claim=self.claim)),
            redis=cast(Any, None),
            nonce="n",
            sleep=asyncio.sleep,
            monotonic=lambda: 0.0,
            spawn=self.spawn,
            hurry=lambda: None,
            prepare=self.prepare,
        )

    def end(self, error: Exception) -> None:
        self.ended.append(error)
        self.engine.outbox.close()

    async def claim(self, request_id: str, *, nonce: str) -> bool:
        if self.away:
            raise RedisAway
        return True

    async def prepare(self, _: object) -> None:
        self.readings += 1
        await self.read.wait()

    def spawn(self, _: str, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(work))

    async def swept(self, request_id: str) -> None:
        command = command_from("pms.twap", {"requestId": request_id, **TWAP})
        asked = Asked(
            request_id=request_id, command="pms.twap", text="{}", at=1_000, deadline=6_000, now=1_000
        )
        self.local.serve(asked, command)
        await asyncio.sleep(0)


async def test_a_command_that_is_being_served_is_not_read_for_again() -> None:
    slow, first, other = Reading(), str(uuid4()), str(uuid4())
    for _ in range(20):
        await slow.swept(first)
    assert slow.readings == 1
    await slow.swept(other)
    assert slow.readings == 2, "another's is its own"
    for task in slow.tasks:
        task.cancel()


async def test_one_that_came_to_nothing_is_served_with_the_next_sweep() -> None:
    slow, request = Reading(), str(uuid4())
    slow.read.set()
    slow.away = True
    await slow.swept(request)
    await asyncio.gather(*slow.tasks)
    slow.away = False
    await slow.swept(request)
    assert slow.readings == 2
    assert request in slow.engine.desk.requests
    slow.tasks[-1].cancel()


def half_done(desk: Desk, asked: Asked, command: object) -> Posting:
    """A fault of ours in the middle: something has moved, an entry is sealed, and none leaves."""
    desk.accounts["alice"].balance += 1
    desk.sealed(desk.draft("algo", at=asked.now))
    raise ArithmeticError("beyond the context")


def decided(slow: Reading) -> list[CommandRow]:
    return [row for waiting in slow.engine.outbox._waiting for row in waiting.posting.entry.rows.commands]


async def test_a_fault_of_ours_is_answered_once_and_ends_this_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pms.streamer.engine.keep", half_done)
    slow, request = Reading(), str(uuid4())
    slow.read.set()
    before = slow.engine.desk.last_seq
    await slow.swept(request)
    await asyncio.wait(slow.tasks)
    [row] = decided(slow)
    assert (row.request_id, row.decision, row.code) == (request, "refused", Code.INTERNAL_ERROR)
    waiting = [each.posting.entry for each in slow.engine.outbox._waiting]
    assert [entry.prev for entry in waiting] == [before, waiting[0].seq], "what it had sealed is forgotten"
    assert [incident.kind for entry in waiting for incident in entry.rows.incidents] == ["task_failed"]
    assert [type(error) for error in slow.ended] == [Spoiled]
    await slow.swept(request)
    await asyncio.wait(slow.tasks)
    assert decided(slow) == [row]


async def test_what_stands_is_not_refused_for_it_and_not_decided_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Redis forgot the start of an algo whose orders are there."""
    monkeypatch.setattr("pms.streamer.engine.stands", lambda *_: True)
    monkeypatch.setattr("pms.streamer.engine.keep", half_done)
    slow, request = Reading(), str(uuid4())
    slow.read.set()
    for _ in range(3):
        await slow.swept(request)
        await asyncio.wait(slow.tasks)
    assert not decided(slow)
    assert (slow.readings, len(slow.ended)) == (1, 1)


async def test_however_many_wait_for_postgresql_one_asks() -> None:
    life, asked, answered = Reading(), [0], list[str]()

    class Redis:
        async def get(self, _: str) -> bytes:
            asked[0] += 1
            return b"%d" % (50 if asked[0] > 3 else 0)

    done = asyncio.Event()

    async def answer(result: Any, *, nonce: str) -> None:
        answered.append(result.request_id)
        if len(answered) == 50:
            done.set()

    life.local.redis = cast(Any, Redis())
    life.local.requests = cast(Any, SimpleNamespace(answer=answer))
    requests = [str(uuid4()) for _ in range(100)]
    for seq, request in enumerate(requests, start=1):
        text = encode(Result(success=True, request_id=request, command="pms.deposit")).decode()
        entry = SimpleNamespace(seq=seq, rows=SimpleNamespace(commands=[SimpleNamespace(answer=text)]))
        life.local._answer_folded(cast(Any, SimpleNamespace(entry=entry)))
    async with asyncio.timeout(10):
        await done.wait()
    assert (answered, asked[0], len(life.tasks)) == (requests[:50], 4, 1)
    life.tasks[0].cancel()


async def test_who_waits_for_too_long_is_left_to_the_sweep() -> None:
    life = Reading()

    async def get(_: str) -> None:
        return None

    life.local.redis = cast(Any, SimpleNamespace(get=get))
    now = [0.0]
    life.local.monotonic = lambda: now[0]
    for _ in range(2):
        life.local._answer_folded(cast(Any, SimpleNamespace(entry=SimpleNamespace(seq=1))))
        now[0] += 61
        await asyncio.gather(*life.tasks)
    assert len(life.tasks) == 2


async def test_a_funding_that_is_over_when_it_is_decided_holds_a_withdrawal_up() -> None:
    slow, request = Reading(), str(uuid4())
    desk, due = slow.engine.desk, 3_600_000
    fill(desk, trade(desk, "alice", quantity="0.1", leverage=5), price="60000", at=due - 2)
    desk.treasury.progress[funding_name("BTCUSDT")] = 1
    desk.treasury.next_fundings["BTCUSDT"] = due
    now = [due - 1]
    slow.engine.exchange_now = lambda: now[0]
    fields = {"requestId": request, "subAccountId": "alice", "amount": "1"}
    command = command_from("pms.withdraw", fields)
    asked = Asked(
        request_id=request,
        command="pms.withdraw",
        text="{}",
        at=1_000,
        deadline=6_000,
        now=1_000,
        exchange_now=due - 1,
    )
    balance = desk.accounts["alice"].balance
    slow.local.serve(asked, command)
    await asyncio.sleep(0)
    now[0] = due
    slow.read.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert desk.accounts["alice"].balance == balance
    assert desk.requests[request][1].code == Code.NOT_READY
    for task in slow.tasks:
        task.cancel()
