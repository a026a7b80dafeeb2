"""State snapshots, and the books that a streamer starts from."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from entries import D, account, command, entry, fill, journal, order, position
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.archive.reader import Reader
from pms.archive.segments import segments
from pms.archive.writer import Writer
from pms.bus.inbox import Inbox, Noticed
from pms.contract import names
from pms.contract.journal import CursorRow
from pms.db.errors import Unreachable
from pms.db.fold import OlderThanArchive
from pms.db.load import LoadedState, applied_seq, load_state
from pms.db.state_file import newest_seq, newest_state, read_state, write_state
from pms.domain.treasury import Move
from pms.flows.drain import Archive, _read, drain
from pms.flows.snapshot import MISSED_IN_A_ROW, Snapshots, pack_finished, snapshot
from pms.streamer import books as state_files
from pms.streamer.books import Database, read_books

FULL = {
    "sub_accounts": (account(balance=D("12345678901234567890.000000010")),),
    "orders": (order(exchange_order_id=2**53 + 1, price=None),),
    "fills": (fill(1), fill(2)),
    "positions": (position(),),
    "commands": (command(text="ü\0"),),
    "cursors": (CursorRow(symbol="BTCUSDT", trade_id=1, updated_at=1),),
}


class Books:
    """A system's books: PostgreSQL, archive and snapshots."""

    def __init__(self, redis: Redis, engine: AsyncEngine, home: Path) -> None:
        self.redis, self.engine, self.home = redis, engine, home
        self.archive = Archive(Writer(home, segment_bytes=2000), Reader(home))
        self.up = True

    async def drain(self) -> None:
        await drain(self.redis, self.engine, archive=self.archive)

    async def read(self, *, forgot: bool = False) -> LoadedState:
        database = Database(self._applied, self._load)
        return await read_books(self.home, database, sleep=asyncio.sleep, forgot=forgot)

    async def _applied(self) -> int:
        self._answer()
        return await applied_seq(self.engine)

    async def _load(self) -> LoadedState:
        self._answer()
        return await load_state(self.engine)

    def _answer(self) -> None:
        if not self.up:
            raise Unreachable.__new__(Unreachable)


@pytest.fixture
def books(redis: Redis, engine: AsyncEngine, tmp_path: Path) -> Books:
    return Books(redis, engine, tmp_path)


def seqs(state: LoadedState) -> tuple[int, list[int]]:
    return state.applied, [each.seq for each in state.tail]


async def test_a_snapshot_comes_back_digit_by_digit(books: Books) -> None:
    await journal(books.redis, [entry(1, **FULL)])
    await books.drain()
    assert await snapshot(books.engine, books.home) == 1
    assert await snapshot(books.engine, books.home) is None, "nothing new"
    assert newest_state(books.home / "state") == await load_state(books.engine)


async def test_a_damaged_snapshot_is_passed_over_for_the_one_before(books: Books) -> None:
    directory = books.home / "state"
    for seq in (1, 2, 3):
        await journal(books.redis, [entry(seq, **(FULL if seq == 1 else {}))])
        await books.drain()
        await snapshot(books.engine, books.home)
    kept = sorted(directory.iterdir())
    assert [newest_seq(directory), len(kept)] == [3, 2]
    raw = kept[1].read_bytes()
    for place in (0, 10, 20, len(raw) // 2, len(raw) - 1):
        kept[1].write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        with pytest.raises(ValueError, match=r"checksum|format|says"):
            read_state(kept[1])
        found = newest_state(directory)
        assert found is not None
        assert found.applied == 2
    kept[1].write_bytes(raw[:-5])
    kept[0].unlink()
    assert newest_state(directory) is None


async def test_a_snapshot_that_finds_no_room_gives_back_what_it_took(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive writes to the same disk, and needs little."""
    await journal(books.redis, [entry(1, **FULL)])
    await books.drain()
    directory = books.home / "state"
    directory.mkdir()
    (directory / "1.state.77.new").write_bytes(b"of a worker that was killed")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pms.db.state_file.os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            await snapshot(books.engine, books.home)
    assert list(directory.iterdir()) == []
    assert await snapshot(books.engine, books.home) == 1


async def test_the_books_are_snapshot_and_archive_while_postgres_is_away(books: Books) -> None:
    await journal(books.redis, [entry(1, **FULL), *(entry(seq) for seq in range(2, 11))])
    await books.drain()
    loaded = await books.read()
    assert seqs(loaded) == (10, [])
    await snapshot(books.engine, books.home)
    await journal(books.redis, [entry(seq) for seq in range(11, 15)])
    await books.drain()
    for books.up in (True, False):
        state = await books.read()
        assert seqs(state) == (10, [11, 12, 13, 14])
        assert replace(state, tail=[]) == loaded


async def test_without_a_snapshot_postgres_is_needed(books: Books) -> None:
    await journal(books.redis, [entry(1), entry(2)])
    await books.drain()
    books.up = False
    with pytest.raises(Unreachable):
        await books.read()


async def test_whoever_archives_what_redis_lost_is_waited_for_as_long_as_it_takes(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_files, "LOCK_WITHIN_S", 0.05)
    await journal(books.redis, [entry(1, **FULL)])
    await books.drain()
    await journal(books.redis, [entry(2)])
    sleeps = books.archive.writer
    with sleeps.held():
        read = await _read(books.redis, sleeps.end())
        await books.redis.delete(names.JOURNAL)
        begins = asyncio.create_task(books.read(forgot=True))
        assert seqs(await books.read()) == (1, []), "what Redis still has, it has"
        await asyncio.wait({begins}, timeout=0.2)
        assert not begins.done()
        sleeps.append(read)
    assert seqs(await begins) == (1, [2])


async def test_a_restored_postgres_does_not_take_the_books_back(books: Books) -> None:
    await journal(books.redis, [entry(seq) for seq in range(1, 21)])
    await books.drain()
    await snapshot(books.engine, books.home)
    async with books.engine.begin() as connection:
        await connection.execute(text("UPDATE pms.journal_cursor SET applied = 4"))
    assert seqs(await books.read()) == (20, [])
    for file in (books.home / "state").iterdir():
        file.unlink()
    assert seqs(await books.read()) == (4, list(range(5, 21)))


async def test_12_a_postgres_older_than_the_archive_is_refused(books: Books) -> None:
    await journal(books.redis, [entry(seq) for seq in range(1, 61)])
    await books.drain()
    await snapshot(books.engine, books.home)
    segments(books.home)[0].path.unlink()
    async with books.engine.begin() as connection:
        await connection.execute(text("UPDATE pms.journal_cursor SET applied = 1"))
    with pytest.raises(OlderThanArchive, match="PostgreSQL has applied entry 1"):
        await books.read()


async def test_a_postgres_that_knows_more_than_the_archive_counts(books: Books) -> None:
    """The archive is an old copy; PostgreSQL is the newer of the two."""
    await journal(books.redis, [entry(seq) for seq in range(1, 6)])
    await books.drain()
    await snapshot(books.engine, books.home)
    await journal(books.redis, [entry(6), entry(7)])
    await drain(books.redis, books.engine)
    assert seqs(await books.read()) == (7, [])


async def test_a_damaged_archive_leaves_postgres(books: Books) -> None:
    await journal(books.redis, [entry(seq) for seq in range(1, 61)])
    await books.drain()
    path = segments(books.home)[-1].path
    raw = bytearray(path.read_bytes())
    raw[40] ^= 1
    path.write_bytes(raw)
    assert seqs(await books.read()) == (60, [])


async def test_finished_files_are_packed_and_still_read(books: Books) -> None:
    await journal(books.redis, [entry(seq) for seq in range(1, 61)])
    await books.drain()
    write_state(
        books.home / "state",
        LoadedState(3, 1, [], [], [], set(), [], [], [], [], [], [], [], [], {}, [], [], []),
    )
    finished = len(segments(books.home)) - 1
    assert await pack_finished(books.home) == finished
    assert await pack_finished(books.home) == 0
    books.up = False
    assert seqs(await books.read()) == (3, list(range(4, 61)))


def test_moves_of_an_older_release_are_of_the_one_position_there_was() -> None:
    old = msgspec.msgpack.encode([101, "alice", "-0.5"])
    assert msgspec.msgpack.decode(old, type=Move) == Move(101, "alice", D("-0.5"), "BOTH")


async def test_snapshots_that_do_not_come_are_told_until_one_comes(books: Books) -> None:
    await journal(books.redis, [entry(1, **FULL)])
    await books.drain()
    inbox = Inbox(books.redis)

    async def told() -> list[tuple[str, bool]]:
        found = []
        while isinstance(message := await inbox.wait(timeout_s=0.01), Noticed):
            found.append((message.incident, message.over))
        return found

    kept = Snapshots(books.engine, books.home, inbox)
    (books.home / "state").write_text("where the directory should be")
    for _ in range(MISSED_IN_A_ROW - 1):
        assert await kept.keep() is None
    assert await told() == []
    assert await kept.keep() is None
    assert await told() == [("snapshot_missing", False)]
    (books.home / "state").unlink()
    assert await kept.keep() == 1
    assert await kept.keep() is None, "nothing new"
    assert await told() == [("snapshot_missing", True)]
