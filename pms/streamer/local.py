"""Commands that leave no trace at the exchange: claimed, decided, and answered when PostgreSQL has them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.bus.requests import Requests, echo
from pms.contract import names
from pms.contract.algo_commands import AlgoStart
from pms.contract.codes import Code, Refusal
from pms.contract.commands import Command
from pms.contract.journal import Entry
from pms.contract.results import read_result
from pms.domain.decisions import Asked, refuse
from pms.domain.posting import Posting
from pms.streamer.engine import Engine

log = structlog.get_logger()
APPLIED_POLL_S = 0.02
PATIENCE_S = 60.0


@dataclass(slots=True)
class LocalCommands:
    """Serves accounts, transfers, freezes and imports, one after the other."""

    engine: Engine
    requests: Requests
    redis: Redis
    nonce: str
    sleep: Callable[[float], Awaitable[None]]
    monotonic: Callable[[], float]
    spawn: Callable[[str, Coroutine[Any, Any, None]], object]
    hurry: Callable[[], None]
    #: the ledger, for somebody waits
    prepare: Callable[[Command], Awaitable[None]]
    #: reads what a command is decided by and nobody has read yet
    _undecided: set[str] = field(default_factory=set)
    #: requestIds whose decision is on its way
    _unfolded: deque[tuple[float, Entry]] = field(default_factory=deque)
    #: decided, and not in PostgreSQL: until when each is waited for, in the journal's order
    _asking: bool = False

    def serve(self, asked: Asked, command: Command) -> None:
        """Begin to serve a command; the engine goes on meanwhile.

        Trap: the sweep brings it again and again until it is decided, and what it is decided by may take
        long to read.
        """
        if asked.request_id in self.engine.left_out.requests:
            return
        if asked.request_id not in self._undecided:
            self._undecided.add(asked.request_id)
            self.spawn(f"command {asked.command}", self._serve(asked, command))

    async def _serve(self, asked: Asked, command: Command) -> None:
        try:
            if not await self._ours(asked, command):
                return
        finally:
            self._undecided.discard(asked.request_id)
        if asked.request_id in self.engine.desk.requests:
            return
        asked = replace(
            asked,
            now=self.engine.now(),
            exchange_now=self.engine.exchange_now(),
            closed_because=self.engine.gate.closed_because,
        )
        posting = self.engine.decide_local(asked, command)
        journaled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.engine.outbox.add(posting, journaled.set_result)
        if isinstance(command, AlgoStart):
            for row in posting.entry.rows.algos:
                self.engine.algo_begun(row.id)
        answered = any(result.request_id == asked.request_id for result in posting.results)
        held = await journaled
        self.engine.unwanted(posting, held=held)
        if held:
            self.engine.tell_algos(posting)
        if held and not answered:
            self.hurry()
            self._answer_folded(posting)

    async def _ours(self, asked: Asked, command: Command) -> bool:
        """Whether a command is ours to decide, with all there that it is decided by."""
        # Before the claim: a command that waits too long for it expires like any other.
        await self.prepare(command)
        try:
            if await self.requests.claim(asked.request_id, nonce=self.nonce):
                return True
        except (RedisError, OSError) as error:
            log.warning("claim_failed", request=asked.request_id, error=str(error))
            return False
        self._too_late(asked)
        return False

    def _too_late(self, asked: Asked) -> None:
        """Say so: behind a Redis that forgot nobody else may, and where somebody has, his word stands."""
        if asked.request_id not in self.engine.desk.requests and self.engine.now() > asked.deadline:
            late = Refusal(Code.EXPIRED, "nobody decided before the deadline")
            posting = refuse(self.engine.desk, asked, late, echoed=echo(asked.text.encode()))
            self.engine.outbox.add(posting)

    def _answer_folded(self, posting: Posting) -> None:
        """Answer once the ledger has the entry; the settling sweep answers if that takes too long."""
        self._unfolded.append((self.monotonic() + PATIENCE_S, posting.entry))
        if not self._asking:
            self._asking = True
            self.spawn("answers of the ledger", self._ask_ledger())

    async def _ask_ledger(self) -> None:
        """Ask for all who wait how far PostgreSQL has the journal: one asks, however many there are."""
        untyped: Any = self.redis
        try:
            while self._unfolded:
                try:
                    applied = await untyped.get(names.APPLIED)
                    await self._answer_up_to(int(applied or 0))
                except (RedisError, OSError) as error:
                    log.warning("answer_delayed", error=str(error))
                while self._unfolded and self._unfolded[0][0] <= self.monotonic():
                    self._unfolded.popleft()
                await self.sleep(APPLIED_POLL_S)
        finally:
            self._asking = False

    async def _answer_up_to(self, applied: int) -> None:
        while self._unfolded and self._unfolded[0][1].seq <= applied:
            answer = self._unfolded[0][1].rows.commands[0].answer
            await self.requests.answer(read_result(answer), nonce=self.nonce)
            self._unfolded.popleft()
