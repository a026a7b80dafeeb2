"""Migrations: run by themselves at start, only ever add, and refuse what a newer release made.

There is no way down: an older release that finds a newer schema says so and stops.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from pms.db.engine import connection_url
from pms.db.errors import SchemaBehind, SchemaTooNew, ServerTooOld, Unreachable
from pms.db.models import SCHEMA

LEAST_SERVER = 150_000
"""PostgreSQL 15, as `server_version_num` spells it."""

_LOCK = 0x706D735F64
"""Key of the advisory lock that lets one process migrate at a time ("pms_d")."""


def upgrade(address: str) -> str:
    """Bring the database to this code's schema and return the revision; a second run does nothing.

    Safe from several processes at once: they wait for each other. All steps are one transaction.
    Raises BadAddress, Unreachable, ServerTooOld, SchemaTooNew.
    """
    with _connection(address) as connection:
        _require_server(connection)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        found = _revision(connection)
        _refuse_newer(found)
        if found != head():
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return head()


def check(address: str) -> str:
    """Return the revision if it is the one this code needs.

    Raises SchemaBehind, SchemaTooNew, and what `upgrade` raises.
    """
    with _connection(address) as connection:
        _require_server(connection)
        found = _revision(connection)
    _refuse_newer(found)
    if found is None or found != head():
        raise SchemaBehind(database=found, code=head())
    return found


def head() -> str:
    """The newest revision this code knows."""
    newest = _scripts().get_current_head()
    assert newest is not None, "the package ships its migrations"
    return newest


def require_known(revision: str) -> None:
    """Raise SchemaTooNew for a revision that a newer release made."""
    _refuse_newer(revision)


def _refuse_newer(found: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if found is not None and found not in known:
        raise SchemaTooNew(database=found, code=head())


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
    return context.get_current_revision()


def _require_server(connection: Connection) -> None:
    number = int(connection.execute(text("SHOW server_version_num")).scalar_one())
    if number < LEAST_SERVER:
        raise ServerTooOld(
            f"the PostgreSQL server is version {number // 10_000}:"
            f" {LEAST_SERVER // 10_000} or newer is needed"
        )


@contextmanager
def _connection(address: str) -> Iterator[Connection]:
    """One transaction on one connection. Waiting for another migrator lasts a minute at most."""
    url = connection_url(address, name="pms migrate", statement_timeout_ms=60_000)
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    try:
        with engine.begin() as connection:
            yield connection
    except OperationalError as error:
        raise Unreachable(error) from None
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "pms.db:migrations")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
