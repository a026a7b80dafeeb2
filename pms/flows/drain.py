"""Drain the journal: into the archive first, then into PostgreSQL; and say so where it stands still."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.archive.errors import ArchiveError, Broken, Busy
from pms.archive.reader import Reader
from pms.archive.records import Record, read_head
from pms.archive.writer import Writer
from pms.contract import names
from pms.contract.journal import UnknownFormat
from pms.db.fold import FoldStopped, UnreadableEntry, fold, tell

log = structlog.get_logger()
MOST_PER_TURN = 20_000
"""After a long outage one turn stops here, and the next goes on."""

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Archive:
    """A directory's writer, and a reader for what Redis holds no more."""

    writer: Writer
    reader: Reader


async def drain(redis: Redis, engine: AsyncEngine, *, archive: Archive | None = None) -> int:
    """Archive and fold one turn; returns how many entries PostgreSQL took.

    An entry that does not apply, and a PostgreSQL that refuses its work, are told to the streamer, which
    closes admission until a turn succeeds. While PostgreSQL is away entries are archived all the same, so
    that Redis may forget them, and nothing is closed. Without an archive PostgreSQL alone keeps what
    Redis forgets.
    """
    untyped: Any = redis
    try:
        archived = None if archive is None else await archive_journal(redis, archive.writer)
        reader = None if archive is None else archive.reader
        folded = await fold(redis, engine, most=MOST_PER_TURN, archive=reader, archived=archived)
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        log.warning("postgres_unreachable", error=_first_line(error))
        return 0
    except SQLAlchemyError as error:
        await untyped.set(names.LEDGER_STOPPED, f"PostgreSQL: {_first_line(error)}")
        raise
    except (FoldStopped, ArchiveError) as error:
        await untyped.set(names.LEDGER_STOPPED, str(error))
        raise
    if await untyped.exists(names.LEDGER_STOPPED):
        await untyped.delete(names.LEDGER_STOPPED)
    return folded.entries


async def archive_journal(redis: Redis, writer: Writer) -> int:
    """Archive what the journal holds behind the archive's end; returns the seq that is surely on disk.

    One process does it at a time; another takes the first one's word. The lock is held from before the
    reading to after the writing: so whoever reads the archive under it, as a new streamer does, cannot
    miss an entry that was read from a Redis which forgot it since. Raises ArchiveError, UnreadableEntry.
    """
    while True:
        writer.missed = False
        try:
            with writer.held():
                last = await _archive(redis, writer)
        except Busy:
            # Whoever holds it may have read for the last time: he looks again.
            writer.missed = True
            untyped: Any = redis
            return int(await untyped.get(names.ARCHIVED) or 0)
        if not writer.missed:
            return last


async def _archive(redis: Redis, writer: Writer) -> int:
    last = await asyncio.to_thread(writer.end)
    for _ in range(MOST_PER_TURN // BATCH):
        records = await _read(redis, last)
        if records:
            last = await asyncio.to_thread(writer.append, records)
            await tell(redis, names.ARCHIVED, last or 0)
        if len(records) < BATCH:
            break
    await tell(redis, names.ARCHIVED, last or 0)
    return last or 0


async def _read(redis: Any, last: int | None) -> list[Record]:
    """The journal's entries behind a seq as they stand; None: from its beginning on. Raises Broken."""
    begin = "-" if last is None else str(last + 1)
    found = await redis.xrange(names.JOURNAL, min=begin, count=BATCH)
    if not found and last is not None and await _newest(redis) > last:
        found = await redis.xrange(names.JOURNAL, min=begin, count=BATCH)
        if not found:
            raise Broken(ended=last, found=await _newest(redis))
    return [_record(stream_id, fields) for stream_id, fields in found]


def _record(stream_id: bytes, fields: dict[bytes, bytes]) -> Record:
    body = fields.get(b"e")
    try:
        if body is None:
            raise UnknownFormat("has no field e")
        head = read_head(body)
    except (UnknownFormat, msgspec.DecodeError) as fault:
        raise UnreadableEntry(f"journal entry {stream_id.decode()}: {fault}") from None
    if stream_id != b"%d-0" % head.seq or b"\n" in body:
        raise UnreadableEntry(f"journal entry {stream_id.decode()} says of itself that it is {head.seq}")
    return Record(head.seq, head.prev, body)


async def _newest(redis: Any) -> int:
    """Seq of the newest entry that ever stood in the journal; 0 for an empty one."""
    try:
        stream = await redis.xinfo_stream(names.JOURNAL)
    except ResponseError:  # no such key
        return 0
    return int(stream["last-generated-id"].split(b"-")[0])


def _first_line(error: SQLAlchemyError) -> str:
    """What the server said, without the statement."""
    said = getattr(error, "orig", None) or error
    return (str(said).strip().splitlines() or ["no reason given"])[0]
