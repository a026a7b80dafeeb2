"""Write rows of the journal in bulk: one statement a table, whatever the number of rows.

Rows travel as one JSON text and PostgreSQL unpacks it: decimals are strings in it, so they arrive
digit by digit.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from pms.contract.journal import CommandRow, Rows
from pms.db.models import ROW_TABLES, RowTable

LONGEST_KEY = 64
"""Characters of a requestId; far below the 2704 bytes that a row of an index may have."""

Batch = dict[RowTable, dict[tuple[Any, ...], msgspec.Struct]]
"""By table, by key: the one row of that key that is to be written."""

_encoder = msgspec.json.Encoder(decimal_format="string")


class Contradiction(Exception):
    """A row that is written once is there already, and differs."""

    def __init__(self, table: RowTable, key: Iterable[Any]) -> None:
        told = ", ".join(f"{name} {value}" for name, value in zip(table.key, key, strict=True))
        super().__init__(f"{table.name} ({told}) is written once and was written before, differently")


def gather(batch: Batch, rows: Rows) -> None:
    """Add an entry's rows to a batch: the newest of a key wins. Raises Contradiction."""
    for table in ROW_TABLES:
        found = getattr(rows, table.field)
        if not found:
            continue
        kept = batch.setdefault(table, {})
        names = table.key
        for row in map(_indexable, found) if table.field == "commands" else found:
            key = tuple(getattr(row, name) for name in names)
            if table.once and kept.get(key, row) != row:
                raise Contradiction(table, key)
            kept[key] = row


def _indexable(row: CommandRow) -> CommandRow:
    """A command under a key that an index holds, and that PostgreSQL tells from every other.

    The doors let in no long id, but older doors did, and their entries are in the archive. Trap: cut to
    its beginning it would be another's; tokens begin alike. What was sent stands whole in `text`.
    """
    id = row.request_id
    if len(id) <= LONGEST_KEY and "\0" not in id:
        return row
    return msgspec.structs.replace(row, request_id=sha256(id.encode()).hexdigest())


async def write(connection: AsyncConnection, batch: Batch) -> None:
    """Write a batch. Raises Contradiction, and what the server says of a row that it refuses."""
    for table in ROW_TABLES:
        rows = batch.get(table)
        if rows:
            text = storable(list(rows.values()))
            written = await connection.exec_driver_sql(insert_sql(table), (text,))
            if table.once and written.rowcount != len(rows):
                await connection.run_sync(_refuse_differing, table, text)


def _refuse_differing(connection: Connection, table: RowTable, text: str) -> None:
    differing = connection.exec_driver_sql(differing_sql(table), (text,)).first()
    if differing is not None:
        raise Contradiction(table, differing)


def storable(rows: list[msgspec.Struct]) -> str:
    """Rows as JSON text that PostgreSQL can hold: NUL, which its text cannot, becomes U+FFFD.

    What a refused command says of itself is journaled as it came; it must not stop the ledger.
    """
    text = _encoder.encode(rows)
    if b"\\u0000" in text:
        text = _encoder.encode([_without_nul(row) for row in rows])
    return text.decode()


def _without_nul(row: msgspec.Struct) -> dict[str, Any]:
    return {
        name: value.replace("\0", "\ufffd") if isinstance(value, str) else value
        for name, value in msgspec.structs.asdict(row).items()
    }


@cache
def insert_sql(table: RowTable) -> str:
    """The statement that writes one table's rows of a batch."""
    columns = _names(table.columns)
    values = [f'"{name}"' for name in table.columns if name not in table.key]
    newest = "UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in values)
    return (
        f"INSERT INTO {table.name} ({columns})"
        f" SELECT {columns} FROM {_unpacked(table)}"
        f" ON CONFLICT ({_names(table.key)}) DO {'NOTHING' if table.once else newest}"
    )


@cache
def differing_sql(table: RowTable) -> str:
    """The statement that finds a key whose row in the table is not the one in the batch."""
    ours = ", ".join(f'r."{name}"' for name in table.columns)
    theirs = ", ".join(f't."{name}"' for name in table.columns)
    return (
        f"SELECT {_names(table.key)} FROM {_unpacked(table)} r"
        f" JOIN {table.name} t USING ({_names(table.key)})"
        f" WHERE ({ours}) IS DISTINCT FROM ({theirs}) LIMIT 1"
    )


def _names(columns: Iterable[str]) -> str:
    """Columns as SQL names them: one may be a word of the language."""
    return ", ".join(f'"{name}"' for name in columns)


def _unpacked(table: RowTable) -> str:
    return f"json_populate_recordset(NULL::{table.name}, %s::json)"
