"""Engines: a small pool of asynchronous connections, each statement bounded in time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import URL
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from pms.db.address import sqlalchemy_url
from pms.db.errors import Unreachable


def connection_url(address: str, *, name: str, statement_timeout_ms: int) -> URL:
    """The address with our limits; what it says itself wins.

    A process that dies or hangs inside a transaction must not hold the cursor row: the server ends
    an idle transaction after twice the statement's time.
    """
    limits = {
        "statement_timeout": statement_timeout_ms,
        "idle_in_transaction_session_timeout": 2 * statement_timeout_ms,
    }
    return sqlalchemy_url(
        address,
        {
            "application_name": name,
            "connect_timeout": "5",
            "options": " ".join(f"-c {option}={value}" for option, value in limits.items()),
        },
    )


def create(address: str, *, name: str, pool: int = 4, statement_timeout_ms: int = 10_000) -> AsyncEngine:
    """Open a lazily connecting pool; `name` is what pg_stat_activity shows. Raises BadAddress.

    Trap: an engine belongs to one event loop; a thread with a loop of its own makes its own engine.
    """
    return create_async_engine(
        connection_url(address, name=name, statement_timeout_ms=statement_timeout_ms),
        pool_size=pool,
        max_overflow=0,
        pool_timeout=5,
        pool_pre_ping=True,
        hide_parameters=True,
    )


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One read-only transaction on one snapshot: everything read in it was true at once.

    Raises Unreachable.
    """
    try:
        async with engine.connect() as connection:
            await connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True, postgresql_deferrable=False
            )
            async with connection.begin():
                yield connection
    except OperationalError as error:
        raise Unreachable(error) from None
