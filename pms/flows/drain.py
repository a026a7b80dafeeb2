"""Drain the journal into PostgreSQL, and say so where it stands still."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.contract import names
from pms.db.fold import FoldStopped, fold

MOST_PER_TURN = 20_000
"""After a long outage one turn stops here, and the next goes on."""


async def drain(redis: Redis, engine: AsyncEngine) -> int:
    """Fold, and tell the streamer when an entry does not apply: it closes admission then."""
    untyped: Any = redis
    try:
        folded = await fold(redis, engine, most=MOST_PER_TURN)
    except FoldStopped as error:
        await untyped.set(names.LEDGER_STOPPED, str(error))
        raise
    if await untyped.exists(names.LEDGER_STOPPED):
        await untyped.delete(names.LEDGER_STOPPED)
    return folded.entries
