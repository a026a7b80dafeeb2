"""The books that the streamer starts from: snapshot and archive, or PostgreSQL.

The newest snapshot with what was archived since is everything that is surely on disk; so a start
needs no PostgreSQL, and knows entries that Redis lost. PostgreSQL is asked all the same, for it may
know more: where the archive was lost, or lies on another machine. Then it is what counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from pms.archive.errors import ArchiveError, Busy
from pms.archive.reader import Reader
from pms.archive.writer import Writer
from pms.contract.journal import Entry, decode_entry
from pms.db.errors import Unreachable
from pms.db.fold import OlderThanArchive
from pms.db.load import LoadedState
from pms.db.state_file import newest_state

log = structlog.get_logger()
LOCK_WITHIN_S = 3.0
LOOK_EVERY_S = 0.02
DATABASE_WITHIN_S = 2.0
BATCH = 5000


@dataclass(frozen=True, slots=True)
class Database:
    """What is asked of PostgreSQL; both raise Unreachable."""

    applied: Callable[[], Awaitable[int]]
    load: Callable[[], Awaitable[LoadedState]]


async def read_books(
    archive_dir: Path, database: Database, *, sleep: Callable[[float], Awaitable[None]], forgot: bool
) -> LoadedState:
    """Read the state, with the archive's entries behind it as its tail.

    Where Redis `forgot`, whoever holds the archive may have read what is there no more: he is waited for, as
    long as it takes. Begun without it, a life would go on beside what he writes then, and no ledger takes in
    both. A ledger that hangs is ended by the watchdog, and lets go.
    Raises Unreachable where only PostgreSQL could tell and it is away, OlderThanArchive where its copy
    is older than all we have.
    """
    snapshot = await asyncio.to_thread(newest_state, archive_dir / "state")
    end, begin = await _extent(archive_dir, sleep=sleep, patient=forgot)
    applied = await _applied(database)
    if applied is not None and begin is not None and applied < begin:
        raise OlderThanArchive(applied=applied, begin=begin)
    known = max(end or 0, snapshot.applied if snapshot else 0)
    if applied is not None and applied > known:
        log.warning("archive_behind", archived=known, applied=applied)
        return await database.load()
    if snapshot is not None:
        try:
            return await _with_tail(archive_dir, snapshot)
        except ArchiveError as fault:
            log.warning("archive_not_read", reason=str(fault))
    state = await database.load()
    try:
        return await _with_tail(archive_dir, state)
    except ArchiveError:
        return state


async def _with_tail(archive_dir: Path, state: LoadedState) -> LoadedState:
    tail = await asyncio.to_thread(_tail, archive_dir, state.applied)
    log.info("books_read", seq=state.applied, archived_since=len(tail))
    return replace(state, tail=tail)


def _tail(archive_dir: Path, after: int) -> list[Entry]:
    """The archive's entries behind a seq; none if it does not continue there: Redis then has to."""
    reader, entries = Reader(archive_dir), list[Entry]()
    while records := reader.read(entries[-1].seq if entries else after, count=BATCH):
        if records[0].prev != (entries[-1].seq if entries else after):
            return entries
        entries += [decode_entry(record.body) for record in records]
    return entries


async def _extent(
    archive_dir: Path, *, sleep: Callable[[float], Awaitable[None]], patient: bool
) -> tuple[int | None, int | None]:
    """The archive's last seq, and the one that its first entry follows; both None where there is none.

    Read while nobody archives: an entry that was read from a Redis which lost it since is in it then.
    """
    waited = 0.0
    while True:
        try:
            wait = patient or waited < LOCK_WITHIN_S
            return await asyncio.to_thread(_extent_alone, archive_dir, wait=wait)
        except Busy:
            if waited < LOCK_WITHIN_S <= waited + LOOK_EVERY_S:
                log.warning("archive_waited_for", seconds=LOCK_WITHIN_S)
            await sleep(LOOK_EVERY_S)
            waited += LOOK_EVERY_S
        except ArchiveError as fault:
            log.warning("archive_not_read", reason=str(fault))
            return None, None


def _extent_alone(archive_dir: Path, *, wait: bool) -> tuple[int | None, int | None]:
    """Look while nobody writes; raises Busy, unless we no longer `wait`."""
    reader = Reader(archive_dir)
    if not archive_dir.is_dir():
        return None, None
    try:
        with Writer(archive_dir).held():
            return reader.end(), reader.begin()
    except Busy:
        if wait:
            raise
        log.warning("archive_held_too_long", seconds=LOCK_WITHIN_S)
        return reader.end(), reader.begin()


async def _applied(database: Database) -> int | None:
    try:
        async with asyncio.timeout(DATABASE_WITHIN_S):
            return await database.applied()
    except (Unreachable, TimeoutError) as fault:
        log.warning("postgres_not_asked", reason=str(fault) or "it does not answer")
        return None
