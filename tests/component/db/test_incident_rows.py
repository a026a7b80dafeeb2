"""An incident's life in PostgreSQL: one row, from its opening over an acknowledgement to its end."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.bus.journal import Journal
from pms.bus.lead import Lead
from pms.contract.journal import IncidentRow
from pms.db import queries
from pms.db.fold import fold
from pms.db.load import load_state
from pms.domain.desk import Desk
from pms.domain.incidents import incident, settled
from pms.domain.posting import Posting


@pytest.fixture
async def journal(redis: Redis) -> Journal:
    lead = Lead(redis, nonce="n")
    await lead.take()
    await lead.open()
    await lead.begin_from(0)
    return Journal(redis, nonce="n")


async def test_one_row_lives_from_opening_to_end(redis: Redis, engine: AsyncEngine, journal: Journal) -> None:
    desk = Desk(epoch="n")

    async def folded(posting: Posting | None) -> list[IncidentRow]:
        assert posting is not None
        await journal.append([posting])
        await fold(redis, engine)
        return await queries.incidents(engine)

    def drift(detail: str, at: int) -> Posting | None:
        return incident(
            desk,
            at=at,
            kind="drift",
            severity="critical",
            detail=detail,
            subject="BTCUSDT",
            evidence={"difference": detail, "hostile": "\0"},
        )

    (opened,) = await folded(drift("0.1", 5))
    (again,) = await folded(drift("0.2", 6))
    assert (again.seq, again.at, again.last_at, again.times) == (opened.seq, 5, 6, 2)
    restarted = Desk(epoch="n")
    for row in (await load_state(engine)).incidents:
        restarted.incidents.take(row)
    assert restarted.incidents.get("drift", "BTCUSDT") == again
    (over,) = await folded(settled(desk, at=9, kind="drift", subject="BTCUSDT", how="they agree"))
    assert (over.state, over.resolved_by, over.resolution) == ("resolved", "evidence", "they agree")
    assert (await load_state(engine)).incidents == []
    assert await queries.incidents(engine, unresolved_only=True) == []


async def test_many_old_ones_do_not_delay_the_start(engine: AsyncEngine) -> None:
    """Those of a release that never resolved any come out open; only the newest are kept in memory."""
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO pms.incidents"
            " (seq, kind, severity, detail, at, subject, evidence, state, times, last_at)"
            " SELECT n, 'bad_command', 'warning', 'old ' || n, n, '', '{}', 'open', 1, 0"
            " FROM generate_series(1, 3000) n"
        )
    loaded = (await load_state(engine)).incidents
    assert (len(loaded), loaded[0].seq, loaded[-1].seq) == (2000, 1001, 3000)
