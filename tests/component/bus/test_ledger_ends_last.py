"""The ledger ends behind all else: what was journaled to the last moment is archived, and in PostgreSQL."""

from __future__ import annotations

import signal
from pathlib import Path

from chain import Chain
from real_worker import worker_of
from redis.asyncio import Redis

from pms.archive.reader import Reader
from pms.config import Settings
from pms.contract import names
from pms.db import engine as engines
from pms.db.load import applied_seq
from pms.db.migrate import upgrade


async def test_what_nobody_woke_it_for_is_taken_up_as_it_ends(
    redis: Redis, redis_url: str, chain: Chain, database_url: str, tmp_path: Path
) -> None:
    upgrade(database_url)
    archived = Reader(Settings(home=tmp_path).archive_dir)
    ended = {"ends_by": signal.SIGTERM, "DATABASE_URL": database_url}
    async with worker_of("ledger", redis, redis_url, tmp_path, **ended):
        for _ in range(3):
            assert await chain.write()
        assert await redis.get(names.APPLIED) is None, "nobody woke it"
    assert archived.end() == chain.seq == 3
    engine = engines.create(database_url, name="test")
    assert await applied_seq(engine) == 3
    await engine.dispose()
