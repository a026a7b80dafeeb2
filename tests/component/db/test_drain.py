"""Redis, archive, PostgreSQL: each outage of one drains exactly once when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from entries import D, entry, journal, line
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import InternalError
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.archive.errors import Broken, Unwritable
from pms.archive.reader import Reader
from pms.archive.segments import pack, segments
from pms.archive.writer import Writer
from pms.contract import names
from pms.contract.journal import AssetRow, Entry, decode_entry
from pms.db import engine as engines
from pms.db import queries
from pms.db.fold import EntryRefused, FoldStopped, OlderThanArchive, UnreadableEntry
from pms.flows import drain as draining
from pms.flows.drain import Archive, drain


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return open_archive(tmp_path)


@pytest.fixture
async def nowhere() -> AsyncIterator[AsyncEngine]:
    """A PostgreSQL that is away."""
    engine = engines.create("postgresql://pms@/pms?host=/nowhere", name="test")
    yield engine
    await engine.dispose()


def open_archive(directory: Path) -> Archive:
    return Archive(Writer(directory / "archive", segment_bytes=3000), Reader(directory / "archive"))


def paying(first: int, last: int) -> list[Entry]:
    """Entries that each move a balance, so that one folded twice or not at all is seen."""
    return [entry(seq, ledger=(line(seq, "0.1"),)) for seq in range(first, last + 1)]


def archived(archive: Archive) -> list[Entry]:
    reader = Reader(archive.reader.directory)
    return [decode_entry(record.body) for record in reader.read(-1, count=10**6)]


async def forget(redis: Redis, seq: int) -> None:
    """Trim the journal as the streamer does, to the last entry."""
    await redis.xtrim(names.JOURNAL, minid=f"{seq}-0", approximate=False)


async def restore(engine: AsyncEngine, applied: int) -> None:
    """PostgreSQL as an older copy has it."""
    async with engine.begin() as connection:
        for statement in (
            "DELETE FROM pms.ledger_entries WHERE seq > :applied",
            "UPDATE pms.journal_cursor SET applied = :applied, entries = :applied",
        ):
            await connection.execute(text(statement), {"applied": applied})


async def whole(engine: AsyncEngine, last: int) -> None:
    """Each entry was folded once."""
    counted = await queries.counts(engine)
    assert (counted.applied, counted.entries, counted.ledger_entries) == (last, last, last)
    assert sum(row.amount for row in await queries.ledger(engine, limit=None)) == D("0.1") * last


async def test_an_entry_is_archived_before_it_is_folded(
    redis: Redis, engine: AsyncEngine, nowhere: AsyncEngine, archive: Archive
) -> None:
    await journal(redis, paying(1, 10))
    assert await drain(redis, nowhere, archive=archive) == 0
    assert archived(archive) == paying(1, 10)
    assert await redis.get(names.ARCHIVED) == b"10"
    assert await drain(redis, engine, archive=archive) == 10
    await whole(engine, 10)


async def test_what_redis_forgot_during_an_outage_comes_from_the_archive(
    redis: Redis, engine: AsyncEngine, nowhere: AsyncEngine, archive: Archive
) -> None:
    """PostgreSQL is away while the journal is archived and trimmed; then it is back."""
    await journal(redis, paying(1, 5))
    await drain(redis, engine, archive=archive)
    for turn in range(1, 21):
        await journal(redis, paying(5 * turn + 1, 5 * turn + 5))
        assert await drain(redis, nowhere, archive=archive) == 0
        await forget(redis, 5 * turn + 5)
    assert await redis.xlen(names.JOURNAL) == 1
    assert len(segments(archive.reader.directory)) > 3
    assert await drain(redis, engine, archive=archive) == 100
    await whole(engine, 105)


async def test_12_a_restored_database_refolds_from_the_archive(
    redis: Redis, engine: AsyncEngine, archive: Archive
) -> None:
    await journal(redis, paying(1, 60))
    await drain(redis, engine, archive=archive)
    for segment in segments(archive.reader.directory)[:-1]:
        pack(segment)
    await forget(redis, 60)
    for applied in (17, 0):
        await restore(engine, applied)
        await journal(redis, paying(61, 62)) if applied else None
        assert await drain(redis, engine, archive=archive) == 62 - applied
        await whole(engine, 62)


async def test_12_older_than_the_archive_it_refuses_to_run(
    redis: Redis, engine: AsyncEngine, archive: Archive
) -> None:
    await journal(redis, paying(1, 60))
    await drain(redis, engine, archive=archive)
    await forget(redis, 60)
    first, *others = segments(archive.reader.directory)
    first.path.unlink()
    begin = others[0].first - 1
    await restore(engine, begin)
    assert await drain(redis, engine, archive=open_archive(archive.reader.directory.parent)) == 60 - begin
    await restore(engine, begin - 2)
    for _ in range(2):
        with pytest.raises(OlderThanArchive, match=f"archive begins behind entry {begin}"):
            await drain(redis, engine, archive=open_archive(archive.reader.directory.parent))
        assert (await queries.counts(engine)).applied == begin - 2
        assert b"archive begins" in (await redis.get(names.LEDGER_STOPPED) or b"")


async def test_an_archive_may_begin_in_the_middle_of_a_history(
    redis: Redis, engine: AsyncEngine, archive: Archive
) -> None:
    """A system that ran before there was an archive."""
    await journal(redis, paying(1, 10))
    await drain(redis, engine)
    await forget(redis, 8)
    await journal(redis, paying(11, 12))
    assert await drain(redis, engine, archive=archive) == 2
    assert archive.reader.begin() == 7
    await whole(engine, 12)


async def test_folders_at_once_archive_and_fold_each_entry_once(
    redis: Redis, engine: AsyncEngine, address: str, tmp_path: Path
) -> None:
    others = [engines.create(address, name=f"folder {n}", pool=1) for n in range(3)]
    archives = [open_archive(tmp_path) for _ in others]

    async def work() -> None:
        for other, theirs in zip(others, archives, strict=True):
            turn = drain(redis, other, archive=theirs)
            await asyncio.gather(turn, drain(redis, engine, archive=theirs))

    for first in range(1, 200, 20):
        await journal(redis, paying(first, first + 19))
        await work()
    for other in others:
        await other.dispose()
    await drain(redis, engine, archive=archives[0])
    assert archived(archives[1]) == paying(1, 200)
    await whole(engine, 200)


async def test_who_comes_as_another_has_read_for_the_last_time_is_not_left_behind(
    redis: Redis, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal(redis, paying(1, 3))
    told, real = [], draining.tell

    async def tell(redis: Redis, key: str, seq: int) -> None:
        await real(redis, key, seq)
        told.append(seq)
        if len(told) == 2:
            await journal(redis, paying(4, 4))
            assert await draining.archive_journal(redis, archive.writer) == 3, "it is held"

    monkeypatch.setattr(draining, "tell", tell)
    assert await draining.archive_journal(redis, archive.writer) == 4
    assert [each.seq for each in archived(archive)] == [1, 2, 3, 4]


async def test_nothing_is_folded_that_is_not_on_disk(
    redis: Redis, engine: AsyncEngine, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal(redis, paying(1, 3))
    await drain(redis, engine, archive=archive)
    await journal(redis, paying(4, 6))

    def fails(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("pms.archive.writer.os.pwrite", fails)
        with pytest.raises(Unwritable):
            await drain(redis, engine, archive=archive)
    assert b"No space left" in (await redis.get(names.LEDGER_STOPPED) or b"")
    assert (await queries.counts(engine)).applied == 3
    assert await drain(redis, engine, archive=archive) == 3
    assert await redis.exists(names.LEDGER_STOPPED) == 0
    await whole(engine, 6)


async def test_a_postgres_that_refuses_to_write_stops_it_until_it_writes_again(
    redis: Redis, engine: AsyncEngine, archive: Archive, address: str
) -> None:
    await journal(redis, paying(1, 3))
    joint = "&" if "?" in address else "?"
    refusing = engines.create(
        f"{address}{joint}options=-c%20default_transaction_read_only%3Don", name="refused"
    )
    with pytest.raises(InternalError):
        await drain(redis, refusing, archive=archive)
    await refusing.dispose()
    assert b"read-only transaction" in (await redis.get(names.LEDGER_STOPPED) or b"")
    assert await drain(redis, engine, archive=archive) == 3
    assert await redis.exists(names.LEDGER_STOPPED) == 0
    await whole(engine, 3)


async def test_an_entry_beyond_what_postgresql_can_hold_stops_it(
    redis: Redis, engine: AsyncEngine, archive: Archive
) -> None:
    """PostgreSQL answers with a class of errors that also stands for servers out of room."""
    asset = AssetRow(asset=token_hex(1500), balance=D(1), updated_at=1)
    await journal(redis, [*paying(1, 3), entry(4, assets=(asset,)), entry(5)])
    with pytest.raises(EntryRefused, match="entry 4 does not apply: index row size"):
        await drain(redis, engine, archive=archive)
    await whole(engine, 3)
    assert b"entry 4 does not apply" in (await redis.get(names.LEDGER_STOPPED) or b"")


async def test_redis_that_forgot_what_is_archived_stops_it_and_the_archive_keeps_it(
    redis: Redis, engine: AsyncEngine, archive: Archive
) -> None:
    """Redis lost 3 and 4, and somebody went on behind 2 without having read the archive."""
    await journal(redis, paying(1, 4))
    await drain(redis, engine, archive=archive)
    await redis.delete(names.JOURNAL)
    await journal(redis, [*paying(1, 2), entry(1000, prev=2)])
    with pytest.raises(Broken, match="restart the streamer"):
        await drain(redis, engine, archive=archive)
    assert archived(archive) == paying(1, 4)
    await whole(engine, 4)


async def test_redis_that_lost_its_tail_goes_on_behind_the_archive(
    redis: Redis, engine: AsyncEngine, nowhere: AsyncEngine, archive: Archive
) -> None:
    """Redis lost 3 and 4 before PostgreSQL had them; the streamer read them in the archive."""
    await journal(redis, paying(1, 4))
    await drain(redis, nowhere, archive=archive)
    await redis.delete(names.JOURNAL)
    await journal(redis, [*paying(1, 2), entry(1000, prev=4, ledger=(line(1000, "0.1"),))])
    assert await drain(redis, engine, archive=archive) == 5
    counted = await queries.counts(engine)
    assert (counted.applied, counted.entries, counted.ledger_entries) == (1000, 5, 5)


async def test_a_lost_end_of_the_archive_is_filled_from_redis_or_told(
    redis: Redis, engine: AsyncEngine, archive: Archive
) -> None:
    await journal(redis, paying(1, 8))
    await drain(redis, engine, archive=archive)
    newest = segments(archive.reader.directory)[-1].path
    raw = newest.read_bytes()
    newest.write_bytes(raw[:-30])
    again = open_archive(archive.reader.directory.parent)
    await drain(redis, engine, archive=again)
    assert archived(again) == paying(1, 8)
    newest.write_bytes(newest.read_bytes()[:-30])
    await journal(redis, paying(9, 10))
    await forget(redis, 10)
    with pytest.raises(Broken, match="its end was lost"):
        await drain(redis, engine, archive=open_archive(archive.reader.directory.parent))


async def test_an_entry_that_cannot_be_read_is_not_archived(
    redis: Redis, engine: AsyncEngine, archive: Archive
) -> None:
    await journal(redis, paying(1, 2))
    await redis.xadd(names.JOURNAL, {"e": b"{}"}, id="3-0")
    with pytest.raises(UnreadableEntry, match="3-0") as stop:
        await drain(redis, engine, archive=archive)
    assert isinstance(stop.value, FoldStopped)


async def test_a_long_journal_is_archived_in_turns(
    redis: Redis, engine: AsyncEngine, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "MOST_PER_TURN", 20)
    monkeypatch.setattr(draining, "BATCH", 10)
    await journal(redis, paying(1, 50))
    counts = [await drain(redis, engine, archive=archive) for _ in range(4)]
    assert counts == [20, 20, 10, 0]
    await whole(engine, 50)
