"""`pms verify`: refold the whole archive from nothing and compare; exits 0 only if all agrees.

The archive is folded in memory and held against PostgreSQL row by row at PostgreSQL's own seq, and
against what Redis still holds byte by byte; `pms audit`'s comparisons then hold PostgreSQL against the
exchange and the engine.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select

from pms.archive.errors import ArchiveError
from pms.archive.reader import Reader
from pms.cli.audit import Audit, comparing, conclude, settled
from pms.cli.audit_checks import Check
from pms.cli.session import Session, run
from pms.contract import names
from pms.contract.journal import UnknownFormat, decode_entry
from pms.db import models
from pms.db.engine import reading
from pms.db.models import ROW_TABLES, RowTable
from pms.db.upsert import Batch, Contradiction, gather

BATCH = 5000


@click.command()
@comparing
def verify(settle: float, days: int, as_json: bool) -> None:
    """Refold the archive from its beginning; compare it with PostgreSQL, Redis and the exchange."""
    conclude(run(lambda session: _settled(session, settle, days)), as_json=as_json)


async def _settled(session: Session, seconds: float, days: int) -> Audit:
    directory = session.settings.archive_dir
    return await settled(session, seconds, days=days, before=lambda: archive_checks(session, directory))


async def archive_checks(session: Session, directory: Path) -> list[Check]:
    """The archive alone, against Redis, and against each table of PostgreSQL."""
    applied, rows = await _database(session)
    journal = {
        int(at.split(b"-")[0]): fields[b"e"] for at, fields in await session.redis.xrange(names.JOURNAL)
    }
    folded = await asyncio.to_thread(_refold, directory, upto=applied, journal=journal)
    whole = Check("the archive is whole and unbroken", folded.entries, folded.faults)
    if folded.end < applied:
        whole.faults.append(f"it ends with entry {folded.end}, PostgreSQL has applied {applied}")
    redis = Check("Redis' journal is what was archived", len(journal), folded.differing)
    return [whole, redis, *(_table(table, folded, rows[table]) for table in ROW_TABLES)]


@dataclass(slots=True)
class _Folded:
    """The archive, folded up to a seq and read to its end."""

    batch: Batch = field(default_factory=dict)
    begin: int = 0
    end: int = 0
    entries: int = 0
    faults: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)


def _refold(directory: Path, *, upto: int, journal: dict[int, bytes]) -> _Folded:
    reader, folded = Reader(directory), _Folded()
    try:
        folded.begin = folded.end = reader.begin() or 0
        while records := reader.read(folded.end if folded.entries else -1, count=BATCH):
            for record in records:
                if record.prev != folded.end:
                    folded.faults.append(f"entry {record.seq} follows {record.prev}, not {folded.end}")
                if journal.get(record.seq, record.body) != record.body:
                    folded.differing.append(f"entry {record.seq} is another in Redis")
                entry = decode_entry(record.body)
                if record.seq <= upto:
                    gather(folded.batch, entry.rows)
                folded.end, folded.entries = record.seq, folded.entries + 1
            click.secho(f"refolded {folded.entries} entries", dim=True, err=True)
    except (ArchiveError, UnknownFormat, Contradiction) as fault:
        folded.faults.append(str(fault))
    return folded


async def _database(session: Session) -> tuple[int, dict[RowTable, dict[Any, tuple[Any, ...]]]]:
    """The fold's cursor and every row, of one snapshot."""
    rows: dict[RowTable, dict[Any, tuple[Any, ...]]] = {}
    async with reading(session.database) as connection:
        applied: int = (await connection.execute(select(models.journal_cursor.c.applied))).scalar_one()
        for table in ROW_TABLES:
            key = [table.columns.index(name) for name in table.key]
            found = await connection.execute(select(*(table.table.c[name] for name in table.columns)))
            rows[table] = {tuple(row[n] for n in key): tuple(row) for row in found}
    return applied, rows


def _table(table: RowTable, folded: _Folded, kept: dict[Any, tuple[Any, ...]]) -> Check:
    """Each row of the refold stands in PostgreSQL, and no other, if the archive has the whole history."""
    ours = {
        _stored(key): _stored(tuple(getattr(row, name) for name in table.columns))
        for key, row in folded.batch.get(table, {}).items()
    }
    check = Check(f"{table.name} is the archive's fold", len(kept))
    for key, row in ours.items():
        if key not in kept:
            check.faults.append(f"{_told(table, key)} is not in PostgreSQL")
        elif kept[key] != row:
            differing = [
                f"{name}: archive {mine}, PostgreSQL {theirs}"
                for name, mine, theirs in zip(table.columns, row, kept[key], strict=True)
                if mine != theirs
            ]
            check.faults.append(f"{_told(table, key)} {', '.join(differing)}")
    if folded.begin == 0:
        check.faults += [f"{_told(table, key)} is in PostgreSQL only" for key in kept.keys() - ours.keys()]
    return check


def _stored(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values as PostgreSQL keeps them: its text cannot hold NUL."""
    return tuple(value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in values)


def _told(table: RowTable, key: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(table.key, key, strict=True))
