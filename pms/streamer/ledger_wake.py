"""Waking the ledger: one message while entries wait, never one an entry; and trimming behind the archive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.archive.errors import ArchiveError
from pms.archive.reader import Reader
from pms.bus.journal import Journal
from pms.bus.wake import wake_up
from pms.contract import names

log = structlog.get_logger()
LEAST_PAUSE_S = 0.05
PAUSE_S = 0.25
"""Between two wake-ups, unless somebody waits: most of what a fold costs is the same for one entry and for
fifty, and what it takes of the processor is taken from orders.
"""

TRIM_EVERY_S = 5.0


@dataclass(slots=True)
class LedgerWake:
    """Pushes `pms.fold` when something was journaled."""

    redis: Redis
    journal: Journal
    new_id: Callable[[], str]
    sleep: Callable[[float], Awaitable[None]]
    archive: Reader
    #: as this process sees it
    written: Callable[[], int | None]
    #: the seq up to which we know the journal to be written; None where all of it is
    _journaled: asyncio.Event = field(default_factory=asyncio.Event)
    _awaited: asyncio.Event = field(default_factory=asyncio.Event)

    def journaled(self) -> None:
        """Note that the journal has something new."""
        self._journaled.set()

    def hurry(self) -> None:
        """Note that somebody waits until PostgreSQL has what was journaled."""
        self._awaited.set()

    async def run(self) -> None:
        """Wake for ever; a lost wake-up is made good by beat."""
        untyped: Any = self.redis
        while True:
            await self._journaled.wait()
            self._journaled.clear()
            self._awaited.clear()
            try:
                if not await untyped.llen(names.Queue.LEDGER):
                    message = wake_up(
                        names.Task.FOLD,
                        queue=names.Queue.LEDGER,
                        task_id=self.new_id(),
                        new_tag=self.new_id,
                    )
                    await untyped.lpush(names.Queue.LEDGER, message)
            except (RedisError, OSError) as error:
                log.warning("ledger_not_woken", error=str(error))
            await self._pause()

    async def _pause(self) -> None:
        await self.sleep(LEAST_PAUSE_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(PAUSE_S - LEAST_PAUSE_S):
                await self._awaited.wait()

    async def trim(self) -> None:
        """Trim the journal, for ever: behind what is archived and what a start does not need.

        A start needs what lies behind PostgreSQL's cursor or behind the end of the archive, whichever is
        newer. So an outage of PostgreSQL never fills Redis; and where the archive lies on a machine that
        we do not see, PostgreSQL's cursor is the limit. What a lost reply may have told us of is kept, too.
        """
        untyped: Any = self.redis
        while True:
            await self.sleep(TRIM_EVERY_S)
            try:
                archived, applied = await untyped.mget(names.ARCHIVED, names.APPLIED)
                if archived is not None:
                    seen = await asyncio.to_thread(self.archive.follow)
                    bounds = [int(archived), max(int(applied or 0), seen)]
                    written = self.written()
                    await self.journal.trim(min(bounds if written is None else [*bounds, written]))
            except (RedisError, OSError, ArchiveError) as error:
                log.warning("journal_not_trimmed", error=str(error))
