"""Backups: what is read back is what was there; what came after it is refolded from the archive."""

from __future__ import annotations

import gzip
import shutil
import zlib
from errno import EBUSY, ENOSPC
from os import strerror
from pathlib import Path
from typing import Any

import pytest
from entries import D, account, command, entry, fill, journal, line, order, position
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.archive.reader import Reader
from pms.archive.segments import pack, segments
from pms.archive.writer import Writer
from pms.contract import names
from pms.contract.journal import Entry
from pms.db import engine as engines
from pms.db import queries
from pms.db.dump import BadDump, InUse
from pms.db.errors import SchemaTooNew
from pms.db.fold import OlderThanArchive
from pms.db.models import ROW_TABLES
from pms.flows.drain import Archive, drain
from pms.stack.backup import read_manifest, restore, take
from pms.stack.errors import StackError

ODD = "tab\t newline\n backslash\\ ü \\N \\."


class Desk:
    """A ledger and its archive, as one system has them."""

    def __init__(self, redis: Redis, engine: AsyncEngine, address: str, home: Path) -> None:
        self.redis, self.engine, self.address, self.home = redis, engine, address, home
        self.archive_dir = home / "archive"
        self.last = 0

    async def trade(self, count: int) -> None:
        """Journal, archive and fold some entries."""
        new = [paying(seq) for seq in range(self.last + 1, self.last + count + 1)]
        await journal(self.redis, new)
        self.last += count
        await self.fold()

    async def fold(self) -> int:
        archive = Archive(Writer(self.archive_dir, segment_bytes=4000), Reader(self.archive_dir))
        return await drain(self.redis, self.engine, archive=archive)

    async def rows(self) -> dict[str, list[Any]]:
        async with self.engine.connect() as connection:
            return {
                table.name: sorted(
                    (await connection.execute(text(f"SELECT * FROM {table.name}"))).all(), key=repr
                )
                for table in ROW_TABLES
            }

    def take(self, name: str) -> Path:
        take(self.address, self.archive_dir, self.home / name, now_ms=1, say=lambda _: None)
        return self.home / name

    async def restore(self, source: Path, *, now_ms: int = 2) -> str:
        await self.engine.dispose()  # a system that does not run holds no connection
        return restore(self.address, self.archive_dir, source, now_ms=now_ms, say=lambda _: None)


def paying(seq: int) -> Entry:
    return entry(
        seq,
        sub_accounts=(account(label=ODD, balance=D(seq) / 10),),
        orders=(order(f"PMS_alice_M_{seq}", reason=ODD if seq % 2 else None),),
        fills=(fill(seq),),
        positions=(position(updated_at=seq),),
        ledger=(line(seq, "0.1"),),
        commands=(command(f"r{seq}", text=ODD),),
    )


@pytest.fixture
def desk(redis: Redis, engine: AsyncEngine, address: str, tmp_path: Path) -> Desk:
    return Desk(redis, engine, address, tmp_path)


async def test_a_restored_backup_refolds_to_what_was_there_before(desk: Desk) -> None:
    await desk.trade(30)
    taken = desk.take("yesterday")
    await desk.trade(25)
    for segment in segments(desk.archive_dir)[:-1]:
        pack(segment)
    await desk.redis.xtrim(names.JOURNAL, minid="55-0", approximate=False)
    before = await desk.rows()
    assert await desk.restore(taken) == "the archive continues the backup and was kept"
    assert (await queries.counts(desk.engine)).applied == 30
    assert await desk.fold() == 25
    assert await desk.rows() == before
    (kept,) = (desk.home / "backups").iterdir()
    assert read_manifest(kept).database.applied == 55, "what was there is backed up first"


async def test_a_lost_machine_is_restored_with_its_archive(desk: Desk, blank_database_url: str) -> None:
    await desk.trade(30)
    before = await desk.rows()
    taken = desk.take("backup")
    await desk.redis.flushall()
    engine = engines.create(blank_database_url, name="test")
    new = Desk(desk.redis, engine, blank_database_url, desk.home / "new")
    assert await new.restore(taken) == "the archive is the backup's"
    assert await new.rows() == before
    assert Reader(new.archive_dir).end() == 30
    new.last = 30
    await new.trade(3)
    assert (await queries.counts(engine)).entries == 33
    await engine.dispose()


async def test_12_a_backup_older_than_the_archive_is_refused_by_the_fold(desk: Desk) -> None:
    await desk.trade(10)
    taken = desk.take("old")
    await desk.trade(50)
    for segment in segments(desk.archive_dir)[:-1]:
        segment.path.unlink()
    begin = Reader(desk.archive_dir).begin() or 0
    await desk.redis.xtrim(names.JOURNAL, minid="60-0", approximate=False)
    with pytest.raises(StackError, match="another history"):
        await desk.restore(taken)
    (desk.archive_dir).rename(desk.home / "aside")
    await desk.restore(taken, now_ms=3)
    (desk.archive_dir).rename(desk.home / "older")
    (desk.home / "aside").rename(desk.archive_dir)
    with pytest.raises(OlderThanArchive, match=f"begins behind entry {begin}"):
        await desk.fold()


async def test_another_history_is_not_mixed_in(desk: Desk, blank_database_url: str) -> None:
    await desk.trade(5)
    taken = desk.take("ours")
    await desk.redis.delete(names.JOURNAL)
    other = Desk(
        desk.redis, engines.create(blank_database_url, name="test"), blank_database_url, desk.home / "o"
    )
    await journal(desk.redis, [entry(seq) for seq in range(1, 9)])
    archive = Archive(Writer(other.archive_dir), Reader(other.archive_dir))
    await drain(desk.redis, desk.engine, archive=archive)
    with pytest.raises(StackError, match="another history"):
        await other.restore(taken)
    await other.engine.dispose()


def _broken_stream(whole: bytes) -> bytes:
    """One flipped bit that zlib itself takes offence at, and gzip passes on."""
    for place in range(10, len(whole)):
        flipped = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        try:
            gzip.decompress(flipped)
        except zlib.error:
            return flipped
        except (OSError, EOFError):
            continue
    raise AssertionError


async def test_a_backup_that_was_altered_is_refused_and_nothing_changes(desk: Desk) -> None:
    await desk.trade(12)
    taken = desk.take("backup")
    await desk.trade(1)
    before = await desk.rows()
    fills = taken / "database" / "fills.copy.gz"
    whole = fills.read_bytes()
    other = gzip.compress(gzip.decompress(whole).replace(b"BUY", b"SELL", 1))
    for damaged in (whole[:-9], _broken_stream(whole), other):
        fills.write_bytes(damaged)
        with pytest.raises(BadDump, match="fills"):
            await desk.restore(taken)
    fills.write_bytes(whole)
    log = next((taken / "archive").glob("*.log"))
    log.write_bytes(log.read_bytes()[:-1])
    with pytest.raises(StackError, match="not what was backed up"):
        await desk.restore(taken)
    assert await desk.rows() == before


@pytest.mark.parametrize("mounted", [False, True])
async def test_an_archive_that_cannot_be_put_back_leaves_the_ledger_as_it_was(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, mounted: bool
) -> None:
    await desk.trade(10)
    older = {path.name: path.read_bytes() for path in desk.archive_dir.glob("*.log")}
    await desk.trade(30)
    taken = desk.take("backup")
    for path in desk.archive_dir.glob("*.log"):
        path.unlink()
    for name, content in older.items():
        (desk.archive_dir / name).write_bytes(content)
    before = await desk.rows()
    copy, copied = shutil.copy2, []

    def full(source: Path, target: Path) -> None:
        if copied:
            raise OSError(ENOSPC, strerror(ENOSPC))
        copied.append(copy(source, target))

    with monkeypatch.context() as broken:
        if mounted:
            broken.setattr(Path, "is_mount", lambda _: True)
        broken.setattr(shutil, "copy2", full)
        with pytest.raises(StackError, match="a mount" if mounted else "No space left"):
            await desk.restore(taken)
    assert await desk.rows() == before
    assert {path.name: path.read_bytes() for path in desk.archive_dir.glob("*.log")} == older
    assert not [path for path in desk.home.iterdir() if "restor" in path.name]
    assert await desk.restore(taken) == "the archive is the backup's"
    assert Reader(desk.archive_dir).end() == 40


async def test_an_archive_that_cannot_take_its_place_is_said_to_wait_beside_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.trade(10)
    taken = desk.take("backup")
    shutil.rmtree(desk.archive_dir)
    rename = Path.rename

    def stuck(path: Path, target: Path) -> Path:
        if target == desk.archive_dir:
            raise OSError(EBUSY, strerror(EBUSY))
        return rename(path, target)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", stuck)
        with pytest.raises(StackError, match=r"rename .*restoring to .*archive before `pms up`"):
            await desk.restore(taken)
    assert (await queries.counts(desk.engine)).applied == 10
    assert Reader(desk.home / ".archive.restoring").end() == 10
    assert await desk.restore(taken, now_ms=3) == "the archive is the backup's", "or restore once more"


async def test_a_database_in_use_is_not_replaced(desk: Desk) -> None:
    await desk.trade(2)
    taken = desk.take("backup")
    worker = engines.create(desk.address, name="pms-worker")
    async with worker.connect():
        with pytest.raises(InUse, match="pms-worker"):
            await desk.restore(taken)
    await worker.dispose()


async def test_a_backup_of_a_newer_release_is_refused(desk: Desk) -> None:
    await desk.trade(1)
    taken = desk.take("backup")
    manifest = taken / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"revision": "0', '"revision": "9'))
    with pytest.raises(SchemaTooNew):
        await desk.restore(taken)


async def test_a_backup_never_overwrites_one_and_leaves_no_half_of_one(desk: Desk) -> None:
    await desk.trade(1)
    taken = desk.take("backup")
    with pytest.raises(StackError, match="already there"):
        desk.take("backup")
    with pytest.raises(StackError, match="not a backup"):
        read_manifest(desk.home)
    assert [path.name for path in desk.home.iterdir() if path.name.startswith(".")] == []
    assert taken.stat().st_mode & 0o077 == 0, "nobody else may read it"
