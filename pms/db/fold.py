"""The fold: the journal's entries into PostgreSQL, in order, each exactly once.

One transaction takes a batch: lock the cursor row, read what stands behind it, check the chain,
write the rows, move the cursor. So a crash anywhere leaves either all of a batch or nothing, and
two folders at once take turns: the second sees the cursor that the first moved.

Entries come from Redis, and from the archive where Redis holds them no more: after a long outage of
PostgreSQL, and after an older copy of it was restored.

An entry that does not apply stops the fold for good, with all before it applied: its cause is a bug
or a lost tail, and a ledger with a hole is worse than one that stands still.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from psycopg.errors import ProgramLimitExceeded
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pms.archive.reader import Reader
from pms.contract import names
from pms.contract.journal import Entry, UnknownFormat, decode_entry
from pms.db.errors import DatabaseError
from pms.db.upsert import Batch, Contradiction, gather, write

BATCH: Final = 500

# KEYS 1 pms:journal:applied or :archived; ARGV 1 seq. A slower folder's word must not take a later one back.
# Seqs are microseconds since 1970: a Lua number holds them exactly.
_TELL: Final = """
local told = redis.call('GET', KEYS[1])
if not told or tonumber(ARGV[1]) > tonumber(told) then redis.call('SET', KEYS[1], ARGV[1]) end
"""

_LOCK = text("SELECT applied FROM pms.journal_cursor WHERE id = 1 FOR UPDATE")
_MOVE = text(
    "UPDATE pms.journal_cursor SET applied = :applied, entries = entries + :count, entry_at = :entry_at,"
    " applied_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint WHERE id = 1"
)


class FoldStopped(DatabaseError):
    """The next entry does not apply; nothing behind it may be folded, and admission must close."""


class ChainBroken(FoldStopped):
    """The entry that follows is not the successor of the one applied last: something is missing."""

    def __init__(self, *, applied: int, found: int, seq: int | None = None) -> None:
        what = f"entry {seq} follows {found}" if seq is not None else f"the journal was trimmed up to {found}"
        super().__init__(f"the journal's chain is broken: {applied} was applied last, but {what}")
        self.applied = applied
        self.found = found
        self.seq = seq


class OlderThanArchive(FoldStopped):
    """PostgreSQL was restored from a copy so old that no archive bridges what came since."""

    def __init__(self, *, applied: int, begin: int) -> None:
        super().__init__(
            f"PostgreSQL has applied entry {applied}, the archive begins behind entry {begin}: what lies"
            " between is nowhere; restore a newer copy of the database, or older files of the archive"
        )
        self.applied = applied
        self.begin = begin


class UnreadableEntry(FoldStopped, UnknownFormat):
    """The entry is damaged or of a format that this code does not know."""


class EntryRefused(FoldStopped):
    """The entry's rows contradict what is there, break a rule of the tables, or are more than they hold."""

    def __init__(self, *, seq: int, reason: str) -> None:
        super().__init__(f"journal entry {seq} does not apply: {reason}")
        self.seq = seq


@dataclass(frozen=True, slots=True)
class Folded:
    """What one call did: entries applied, the seq applied last, and whether more may wait."""

    entries: int
    applied: int
    more: bool


@dataclass(frozen=True, slots=True)
class _Read:
    """Entries that follow one another from the cursor on, and why the next does not."""

    entries: list[Entry]
    full: bool
    fault: FoldStopped | None = None


async def fold(
    redis: Redis,
    engine: AsyncEngine,
    *,
    batch: int = BATCH,
    most: int | None = None,
    archive: Reader | None = None,
    archived: int | None = None,
) -> Folded:
    """Apply what the journal holds behind the cursor, up to `most` entries (rounded up to a batch).

    Nothing behind `archived`, the seq that is surely in the archive; what Redis holds no more is read
    from `archive`. Raises ChainBroken, OlderThanArchive, UnreadableEntry or EntryRefused, all FoldStopped,
    after everything before the offending entry is committed. Errors of Redis and of the connection to
    PostgreSQL pass through: nothing is lost or doubled by them, call again. `redis` must not decode
    replies.
    """
    count = 0
    journal = _Journal(redis, archive, archived)
    while True:
        try:
            applied, read = await _one_batch(journal, engine, batch)
        except EntryRefused:
            if batch == 1:
                raise
            batch = 1  # one by one, up to the one that does not apply
            continue
        await tell_applied(redis, applied)
        if read.fault is not None:
            raise read.fault
        count += len(read.entries)
        if not read.full or (most is not None and count >= most):
            return Folded(entries=count, applied=applied, more=read.full)


async def tell_applied(redis: Redis, applied: int) -> None:
    """Tell the streamer what PostgreSQL holds; never takes a later word back."""
    await tell(redis, names.APPLIED, applied)


async def tell(redis: Redis, key: str, seq: int) -> None:
    """Tell how far something has come; never takes a later word back."""
    client: Any = redis
    await client.eval(_TELL, 1, key, seq)


async def _one_batch(journal: _Journal, engine: AsyncEngine, size: int) -> tuple[int, _Read]:
    async with engine.begin() as connection:
        applied: int = (await connection.execute(_LOCK)).scalar_one()
        read = await journal.read(applied, size)
        if not read.entries:
            return applied, read
        last = read.entries[-1]
        await _apply(connection, read.entries)
        await connection.execute(
            _MOVE, {"applied": last.seq, "count": len(read.entries), "entry_at": last.at}
        )
    return last.seq, read


async def _apply(connection: AsyncConnection, entries: list[Entry]) -> None:
    batch: Batch = {}
    seq = entries[-1].seq
    try:
        for entry in entries:
            gather(batch, entry.rows)
        await write(connection, batch)
    except Contradiction as fault:
        raise EntryRefused(seq=seq, reason=str(fault)) from None
    except (IntegrityError, DataError, OperationalError) as fault:
        # psycopg counts a row that no table or index can hold among the errors of a server that is away.
        if isinstance(fault, OperationalError) and not isinstance(fault.orig, ProgramLimitExceeded):
            raise
        raise EntryRefused(seq=seq, reason=" ".join(str(fault.orig).split())) from None


@dataclass(frozen=True, slots=True)
class _Journal:
    """The journal in both its places. With the cursor's row locked nobody else folds what is read."""

    redis: Any
    archive: Reader | None
    archived: int | None

    async def read(self, applied: int, size: int) -> _Read:
        """Read behind the cursor, where Redis holds it or else from the archive."""
        if self.archived is not None and self.archived <= applied:
            return _Read([], False)
        most = "+" if self.archived is None else str(self.archived)
        found = await self.redis.xrange(names.JOURNAL, min=str(applied + 1), max=most, count=size)
        if not found and self.archived is None and await _newest_seq(self.redis) > applied:
            found = await self.redis.xrange(names.JOURNAL, min=str(applied + 1), count=size)
            if not found:
                return _Read([], False, ChainBroken(applied=applied, found=await _newest_seq(self.redis)))
        read = _chained(found, applied, size)
        if self.archive is None or (found and read.fault is None):
            return read
        if read.entries:
            return _Read(read.entries, True, None if isinstance(read.fault, ChainBroken) else read.fault)
        return await asyncio.to_thread(self._from_archive, self.archive, applied, size, read)

    def _from_archive(self, archive: Reader, applied: int, size: int, redis: _Read) -> _Read:
        """What the archive holds behind the cursor; Redis' own fault where it has nothing to add."""
        records = [
            record for record in archive.read(applied, count=size) if record.seq <= (self.archived or 0)
        ]
        if not records:
            return redis
        begin = archive.begin() or 0
        if records[0].prev != applied and applied < begin:
            return _Read([], False, OlderThanArchive(applied=applied, begin=begin))
        return _chained([(b"%d-0" % record.seq, {b"e": record.body}) for record in records], applied, size)


def _chained(found: Any, applied: int, size: int) -> _Read:
    """Decode what was found, up to the first entry that is not readable or does not follow."""
    entries: list[Entry] = []
    for stream_id, fields in found:
        try:
            entry = _decode(stream_id, fields)
        except UnknownFormat as fault:
            return _Read(entries, False, UnreadableEntry(f"journal entry {stream_id.decode()}: {fault}"))
        if entry.prev != applied:
            return _Read(entries, False, ChainBroken(applied=applied, found=entry.prev, seq=entry.seq))
        entries.append(entry)
        applied = entry.seq
    return _Read(entries, len(found) == size)


def _decode(stream_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    body = fields.get(b"e")
    if body is None:
        raise UnknownFormat("has no field e")
    entry = decode_entry(body)
    if stream_id != b"%d-0" % entry.seq:
        raise UnknownFormat(f"says of itself that it is {entry.seq}")
    return entry


async def _newest_seq(client: Any) -> int:
    """Seq of the newest entry that ever stood in the journal, trimmed or not; 0 for an empty one."""
    try:
        stream = await client.xinfo_stream(names.JOURNAL)
    except ResponseError:  # no such key
        return 0
    return int(stream["last-generated-id"].split(b"-")[0])
