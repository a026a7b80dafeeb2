"""However the journal is cut into batches, the database is the same: the newest row of each key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from entries import D, account, command, entry, fill, journal, line, order, position
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.bus.connection import connect
from pms.contract import names
from pms.contract.journal import CursorRow, Entry, IncidentRow
from pms.db import engine as engines
from pms.db.fold import fold
from pms.db.models import ROW_TABLES

ACCOUNTS = ("alice", "bob", "house")
KINDS = ("order", "fill", "position", "transfer", "command", "cursor", "incident", "nothing")


@st.composite
def histories(draw: st.DrawFn) -> list[Entry]:
    """A chain in which keys come back, and each balance is the sum of its ledger."""
    entries: list[Entry] = []
    balances = dict.fromkeys(ACCOUNTS, D(0))
    seq = 0
    for kinds in draw(st.lists(st.sets(st.sampled_from(KINDS), max_size=4), min_size=1, max_size=14)):
        prev, seq = seq, seq + draw(st.integers(1, 3))
        rows: dict[str, Any] = {}
        owner = draw(st.sampled_from(ACCOUNTS))
        symbol = draw(st.sampled_from(("BTCUSDT", "ETHUSDT")))
        amount = draw(st.decimals(-10, 10, places=8, allow_nan=False))
        if "order" in kinds:
            state = draw(st.sampled_from(("placing", "active", "partially_filled", "filled", "cancelled")))
            rows["orders"] = (order(f"PMS_{owner}_M_1", sub_account_id=owner, state=state, updated_at=seq),)
        if "fill" in kinds:
            rows["fills"] = (fill(seq, sub_account_id=owner, symbol=symbol, realized_pnl=amount),)
        if "position" in kinds:
            rows["positions"] = (
                position(sub_account_id=owner, symbol=symbol, quantity=amount, updated_at=seq),
            )
        if "transfer" in kinds:
            balances[owner] += amount
            balances["house"] -= amount
            rows["ledger"] = (
                line(seq, str(amount), sub_account_id=owner),
                line(seq, str(-amount), sub_account_id="house", line=1),
            )
            rows["sub_accounts"] = tuple(account(id, balance=balances[id]) for id in {owner, "house"})
        if "command" in kinds:
            rows["commands"] = (command(f"r{seq}", decided_at=seq),)
        if "cursor" in kinds:
            rows["cursors"] = (CursorRow(symbol=symbol, trade_id=seq, updated_at=seq),)
        if "incident" in kinds:
            rows["incidents"] = (IncidentRow(seq=seq, kind="k", severity="info", detail=owner, at=seq),)
        entries.append(entry(seq, prev=prev, at=seq, **rows))
    return entries


def model(entries: Sequence[Entry]) -> dict[str, list[tuple[Any, ...]]]:
    """What the tables must hold, said in the simplest way."""
    tables: dict[str, list[tuple[Any, ...]]] = {}
    for table in ROW_TABLES:
        newest = {
            tuple(getattr(row, name) for name in table.key): tuple(
                getattr(row, name) for name in table.columns
            )
            for one in entries
            for row in getattr(one.rows, table.field)
        }
        tables[table.name] = sorted(newest.values(), key=repr)
    return tables


async def dump(engine: AsyncEngine) -> dict[str, list[tuple[Any, ...]]]:
    tables: dict[str, list[tuple[Any, ...]]] = {}
    async with engine.begin() as connection:
        for table in ROW_TABLES:
            found = await connection.execute(select(*(table.table.c[name] for name in table.columns)))
            tables[table.name] = sorted((tuple(row) for row in found), key=repr)
        disagreeing = await connection.execute(
            text("SELECT count(*) FROM public.pms_balances WHERE NOT agrees")
        )
        assert disagreeing.scalar_one() == 0
    return tables


async def empty(redis: Redis, engine: AsyncEngine) -> None:
    await redis.delete(names.JOURNAL, names.APPLIED)
    async with engine.begin() as connection:
        for table in ROW_TABLES:
            await connection.execute(text(f"DELETE FROM {table.name}"))
        await connection.execute(text("UPDATE pms.journal_cursor SET applied = 0, entries = 0"))


async def fold_in_parts(
    address: str, redis_url: str, entries: Sequence[Entry], *, arrivals: Sequence[int], batch: int
) -> dict[str, list[tuple[Any, ...]]]:
    """Fold while the journal grows: after each arrival what is there, `batch` entries a transaction."""
    engine, redis = engines.create(address, name="test"), connect(redis_url, name="test")
    try:
        await empty(redis, engine)
        rest, count = list(entries), 0
        for size in (*arrivals, len(rest)):
            await journal(redis, rest[:size])
            rest = rest[size:]
            count += (await fold(redis, engine, batch=batch)).entries
        assert count == len(entries)
        assert await redis.get(names.APPLIED) == str(entries[-1].seq).encode()
        return await dump(engine)
    finally:
        await engine.dispose()
        await redis.aclose()


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    entries=histories(),
    arrivals=st.lists(st.integers(1, 5), max_size=4),
    batch=st.integers(1, 8),
)
def test_every_split_folds_to_the_same_rows(
    address: str, redis_url: str, entries: list[Entry], arrivals: list[int], batch: int
) -> None:
    whole = model(entries)
    found = asyncio.run(fold_in_parts(address, redis_url, entries, arrivals=arrivals, batch=batch))
    assert found == whole
