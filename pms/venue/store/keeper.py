"""Keeps a venue's memory and its next start short: cuts the journal, has it compacted, forgets."""

from __future__ import annotations

import asyncio
import os
import sys

import structlog

from pms.venue.history import KEPT_MS
from pms.venue.journal import CutPostponed, FileJournal
from pms.venue.venue import Venue

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
RETRY_S = 60.0
MOST_RETRY_S = 3600.0
HOUR_S = 3600.0


class Keeper:
    """One cut after the other; `cut_at` is the size of a segment that is cut."""

    def __init__(self, venue: Venue, journal: FileJournal, *, cut_at: int) -> None:
        self._venue = venue
        self._journal = journal
        self._cut_at = cut_at
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        """Keep house, for ever. A compaction that fails is told and tried again: until then memory grows."""
        wait = RETRY_S
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._journal.size < self._cut_at and not self._journal.behind:
                continue
            if await self.cut():
                wait = RETRY_S
            else:
                await asyncio.sleep(wait)
                wait = min(2 * wait, MOST_RETRY_S)

    async def cut(self) -> bool:
        """Cut, compact, forget what the history has from then on; whether that went well."""
        async with self._one_at_a_time:
            at = self._venue.clock()
            try:
                self._journal.cut()
            except CutPostponed as error:
                log.error("venue.cut_postponed", error=str(error))
                return False
            self._journal.behind = not await self._compact(at)
            if not self._journal.behind:
                await forget(self._venue, at)
            return not self._journal.behind

    async def _compact(self, now: int) -> bool:
        number = self._journal.closed
        try:
            working = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "pms.venue.store.compaction"),
                *(str(self._journal.directory.root), str(now), str(os.getpid())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            # No descriptor, process or memory for it now
            log.error("venue.compaction_failed", segment=number, said=error.strerror)
            return False
        try:
            _, told = await working.communicate()
        finally:
            # Whoever stops the venue stops this too: the next start goes on where it was
            if working.returncode is None:
                working.kill()
                await working.wait()
        if working.returncode or not self._journal.directory.snapshot(number).exists():
            said = told.decode(errors="replace").strip()
            log.error("venue.compaction_failed", segment=number, code=working.returncode, said=said)
            return False
        log.info("venue.compacted", segment=number)
        return True


async def forget(venue: Venue, before: int) -> None:
    """Leave what was over earlier to the past, a little at a time."""
    for account in list(venue.exchange.accounts.values()):
        for _ in account.forget(before):
            await asyncio.sleep(0)
        venue.conditionals.shelves[account.name].forget(before)
    venue.amendments.forget(before)
    for market in venue.exchange.markets.values():
        market.fundings = [each for each in market.fundings if each.time >= before]


async def forget_what_nobody_may_ask(venue: Venue) -> None:
    """What keeps a venue's memory short that has no directory: queries know 90 days. For ever."""
    while True:
        await asyncio.sleep(HOUR_S)
        await forget(venue, venue.clock() - KEPT_MS)
