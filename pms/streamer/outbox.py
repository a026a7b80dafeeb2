"""The ordered outbox: memory changes at once, entries leave in order, nothing overtakes its entry.

While Redis is away entries wait here and fills are booked on. A call whose reply was lost is made
again as it was: the script finds itself written. Between two calls there is room for other work that must
not meet an append on its way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from pms.bus.journal import Journal
from pms.domain.posting import Posting

log = structlog.get_logger()
BATCH = 64
RETRY_S = 0.2
Work = Callable[[Sequence[Posting]], Awaitable[None]]


@dataclass(slots=True)
class _Waiting:
    posting: Posting
    confirmed: Callable[[bool], None] | None


class Outbox:
    """Postings on their way to the journal."""

    def __init__(
        self,
        journal: Journal,
        *,
        withdraw: Callable[[Posting], None],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._journal = journal
        self._withdraw = withdraw
        self._sleep = sleep
        self._waiting: list[_Waiting] = []
        self._under_way = 0
        #: so many of these may be written already
        self._between: Work | None = None
        self._something = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.connected = True
        self._closed = False
        self.flushed: Callable[[], None] = _nothing
        self.failed: Callable[[Exception], None] = _ignored

    def add(self, posting: Posting | None, confirmed: Callable[[bool], None] | None = None) -> None:
        """Queue a posting; `confirmed` is called with whether its guard held, once it is journaled."""
        if posting is None or self._closed:
            return
        self._waiting.append(_Waiting(posting, confirmed))
        self._empty.clear()
        self._something.set()

    def close(self) -> None:
        """Take nothing more: whatever is decided from here on is decided on a memory that is wrong."""
        self._closed = True

    def between(self, work: Work) -> None:
        """Do this once between two appends, told what waits then; what was asked before is not done.

        Not while more waits than one append takes: postings do not wait for it.
        """
        self._between = work
        self._something.set()

    def __len__(self) -> int:
        return len(self._waiting)

    def written(self) -> int | None:
        """The seq up to which the journal surely has what was queued; None where that is all of it."""
        return self._waiting[0].posting.entry.prev if self._waiting else None

    async def drained(self) -> None:
        """Wait until everything queued so far is journaled."""
        await self._empty.wait()

    async def run(self) -> None:
        """Flush for ever; raises NotLeading when this streamer must step down."""
        while True:
            await self._something.wait()
            # One turn of the loop: frames that came in the same breath leave in the same call.
            await self._sleep(0)
            if self._waiting:
                await self._journal_some()
            if not self._waiting:
                self._empty.set()
            if len(self._waiting) <= BATCH:
                await self._do_between()
            if not self._waiting and self._between is None:
                self._something.clear()

    async def flush(self) -> None:
        """Journal what still waits once nothing else runs; nobody is told. Raises what `append` raises.

        Trap: a call that was on its way may have been carried out, and knows itself only by what it was.
        """
        while self._waiting:
            batch = self._waiting[: self._under_way or BATCH]
            await self._journal.append([waiting.posting for waiting in batch])
            del self._waiting[: len(batch)]
            self._under_way = 0

    async def _journal_some(self) -> None:
        batch = self._waiting[:BATCH]
        self._under_way = len(batch)
        held = await self._append([waiting.posting for waiting in batch])
        del self._waiting[: len(batch)]
        self._under_way = 0
        for waiting, good in zip(batch, held, strict=True):
            self._settle(waiting, good=good)
        self.flushed()

    async def _do_between(self) -> None:
        work, self._between = self._between, None
        if work is None:
            return
        try:
            await work([waiting.posting for waiting in self._waiting])
        except Exception as error:
            log.exception("work_between_failed")
            self.failed(error)

    def _settle(self, waiting: _Waiting, *, good: bool) -> None:
        """Tell what became of a posting; a fault in whoever hears it must not cost the ones behind."""
        try:
            if not good:
                self._withdraw(waiting.posting)
            if waiting.confirmed is not None:
                waiting.confirmed(good)
        except Exception as error:
            log.exception("posting_not_settled", seq=waiting.posting.entry.seq)
            self.failed(error)

    async def _append(self, postings: list[Posting]) -> list[bool]:
        while True:
            try:
                held = await self._journal.append(postings)
            except (RedisError, OSError) as error:
                if self.connected:
                    log.warning("journal_unreachable", error=str(error), waiting=len(self._waiting))
                self.connected = False
                await self._sleep(RETRY_S)
            else:
                self.connected = True
                return held


def _nothing() -> None:
    """Nobody wants to know."""


def _ignored(_: Exception) -> None:
    """Nobody wants to know."""
