"""Dumping and loading our schema: every table of one snapshot as COPY text, packed, with a checksum.

Not pg_dump: that must not be older than the server, and is not everywhere. Our migrations make the
tables; so a dump is rows only, and one of an older release loads into a newer schema.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError

from pms.db import migrate
from pms.db.engine import connection_url
from pms.db.errors import DatabaseError, Unreachable
from pms.db.models import SCHEMA

_PIECE: Final = 2**20
_TABLES: Final = (
    "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename <> 'alembic_version' ORDER BY 1"
)
_COLUMNS: Final = (
    "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
    " AND is_generated = 'NEVER' ORDER BY ordinal_position"
)
_OTHERS: Final = (
    "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND application_name LIKE 'pms-%%' ORDER BY 1"
)


class BadDump(DatabaseError):
    """The files are not those that were dumped, or of a newer release."""


class InUse(DatabaseError):
    """Processes of ours are connected; loading under their feet would mix two histories."""


class Table(msgspec.Struct, frozen=True):
    """One table's file: rows, and the checksum of its text before it was packed."""

    name: str
    columns: list[str]
    rows: int
    sha256: str


class Dump(msgspec.Struct, frozen=True):
    """All tables as they were in one transaction; `applied` is the seq of the fold's cursor then."""

    revision: str
    applied: int
    tables: list[Table]


def dump(address: str, directory: Path, *, say: Callable[[str], None]) -> Dump:
    """Write every table into a directory. Raises DatabaseError."""
    migrate.check(address)
    with _connection(address) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        revision = _one(connection, f"SELECT version_num FROM {SCHEMA}.alembic_version")
        applied = _one(connection, f"SELECT applied FROM {SCHEMA}.journal_cursor")
        tables = []
        for (name,) in connection.execute(_TABLES, (SCHEMA,)).fetchall():
            tables.append(_dump_table(connection, name, directory))
            say(f"{name}: {tables[-1].rows} rows")
    return Dump(revision=revision, applied=applied, tables=tables)


def check_files(found: Dump, directory: Path) -> None:
    """Raise BadDump unless each file holds what was dumped."""
    for table in found.tables:
        digest = hashlib.sha256()
        try:
            with gzip.open(_file(directory, table.name), "rb") as file:
                while piece := file.read(_PIECE):
                    digest.update(piece)
        except (OSError, EOFError, zlib.error) as error:
            raise BadDump(f"the dump of {table.name} cannot be read: {error}") from None
        if digest.hexdigest() != table.sha256:
            raise BadDump(f"the dump of {table.name} is not what was dumped: its checksum differs")


def load(address: str, found: Dump, directory: Path, *, say: Callable[[str], None]) -> None:
    """Replace every row of our schema by the dump's, in one transaction.

    Raises BadDump, InUse and what `migrate.upgrade` raises; then nothing has changed.
    """
    check_files(found, directory)
    migrate.require_known(found.revision)
    migrate.upgrade(address)
    with _connection(address) as connection:
        if others := [name for (name,) in connection.execute(_OTHERS)]:
            raise InUse(f"the database is in use by {', '.join(others)}: stop the system first")
        present = [name for (name,) in connection.execute(_TABLES, (SCHEMA,)).fetchall()]
        if missing := [table.name for table in found.tables if table.name not in present]:
            raise BadDump(f"the schema has no table {missing[0]}, which the dump has")
        connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(map(_named, present))))
        for table in found.tables:
            _load_table(connection, table, directory)
            say(f"{table.name}: {table.rows} rows")


def _dump_table(connection: psycopg.Connection[Any], name: str, directory: Path) -> Table:
    columns = [column for (column,) in connection.execute(_COLUMNS, (SCHEMA, name)).fetchall()]
    digest, rows = hashlib.sha256(), 0
    statement = sql.SQL("COPY {} ({}) TO STDOUT").format(_named(name), _listed(columns))
    with (
        gzip.open(_file(directory, name), "wb", 6) as file,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        for piece in copy:
            digest.update(piece)
            file.write(piece)
            rows += bytes(piece).count(b"\n")  # COPY's text writes a line break within a value as \n
    return Table(name, columns, rows, digest.hexdigest())


def _load_table(connection: psycopg.Connection[Any], table: Table, directory: Path) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(_named(table.name), _listed(table.columns))
    with (
        gzip.open(_file(directory, table.name), "rb") as file,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        while piece := file.read(_PIECE):
            copy.write(piece)


def _file(directory: Path, table: str) -> Path:
    return directory / f"{table}.copy.gz"


def _named(table: str) -> sql.Composable:
    return sql.Identifier(SCHEMA, table)


def _listed(columns: list[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None, query
    return row[0]


@contextmanager
def _connection(address: str) -> Iterator[psycopg.Connection[Any]]:
    """One transaction on a connection of the driver's own, which knows COPY."""
    url = connection_url(address, name="pms backup", statement_timeout_ms=3_600_000)
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    try:
        pooled = engine.raw_connection()
        try:
            driver: Any = pooled.driver_connection
            yield driver
            driver.commit()
        finally:
            pooled.close()
    except OperationalError as error:
        raise Unreachable(error) from None
    except psycopg.Error as error:
        raise DatabaseError(f"PostgreSQL: {(str(error).splitlines() or ['no reason given'])[0]}") from None
    finally:
        engine.dispose()
