"""What is over, in an SQLite file: one page of a shelf costs the same however long the shelf is.

The process that compacts writes it, the venue reads it meanwhile (write-ahead log). A row is entered by its
place, so entering it twice is entering it once. Every query names its index: a plan that sorts a shelf, or
walks along it, would hold up matching.
"""

from __future__ import annotations

import gzip
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from pms.venue.history import DAY_MS, NEVER, Over, Row, Wanted, place
from pms.venue.state import Fact
from pms.venue.store.files import JournalError, StateDirectory, new_file

APPLICATION, FORMAT = 0x504D5356, 1
BUSY_S = 1.0
DURABLE = "FULL"
"""A segment is deleted once its rows are here: they must be on disk by then."""
SCHEMA = """
CREATE TABLE shelves (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE rows (
    shelf INTEGER NOT NULL, id INTEGER NOT NULL, part INTEGER NOT NULL, time INTEGER NOT NULL,
    ref TEXT NOT NULL, symbol TEXT NOT NULL, leaves INTEGER NOT NULL, row BLOB NOT NULL,
    PRIMARY KEY (shelf, id, part)
) WITHOUT ROWID;
CREATE INDEX by_time ON rows (shelf, time, id, part);
CREATE INDEX by_ref ON rows (shelf, ref, time, id, part);
CREATE INDEX by_symbol ON rows (shelf, symbol, time, id, part);
CREATE INDEX by_leave ON rows (leaves);
CREATE TABLE covered (segment INTEGER NOT NULL);
INSERT INTO covered VALUES (0);
CREATE TABLE leaving (name TEXT NOT NULL, before INTEGER NOT NULL);
"""
encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Fact).decode


class HistoryFile:
    """A `Past` on disk. Trap: a connection belongs to the thread that opened it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shelves: dict[str, int] = {}
        try:
            if not path.exists():
                os.close(new_file(path))
            self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"{path} cannot be used: {error}") from None

    def _prepare(self) -> None:
        application, form = self._pragma("application_id"), self._pragma("user_version")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {DURABLE}")
        if (application, form) == (0, 0):
            self._db.executescript(
                f"BEGIN IMMEDIATE; {SCHEMA}"
                f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT"
            )
        elif (application, form) != (APPLICATION, FORMAT):
            raise JournalError(f"{self._path} is not a venue's history of format {FORMAT}")

    def _pragma(self, name: str) -> int:
        return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])

    @property
    def covered(self) -> int:
        """The last segment whose rows are all here."""
        return int(self._db.execute("SELECT segment FROM covered").fetchone()[0])

    def add(self, rows: Iterable[Over], *, segment: int) -> None:
        """Enter what a segment left behind that is over, all or nothing.

        One that is folded again, as its snapshot is damaged, was entered before: its rows are here, or
        have left for the archive since and must not come back.
        """
        if segment <= self.covered:
            return
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            for row in rows:
                at = place(row)
                self._db.execute(
                    "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (self._shelf(at.shelf, make=True), *at[1:], encode(row)),
                )
            self._db.execute("UPDATE covered SET segment = ?", (segment,))

    def _shelf(self, name: str, *, make: bool = False) -> int | None:
        found = self._shelves.get(name)
        if found is None:
            if make:
                self._db.execute("INSERT OR IGNORE INTO shelves (name) VALUES (?)", (name,))
            row = self._db.execute("SELECT id FROM shelves WHERE name = ?", (name,)).fetchone()
            if row is not None:
                found = self._shelves[name] = int(row[0])
        return found

    def rows(self, kind: type[Row], wanted: Wanted) -> list[Row]:
        """One page, ascending."""
        shelf = self._shelf(wanted.shelf)
        if shelf is None:
            return []
        source, values = _source(shelf, wanted)
        direction = "DESC" if wanted.newest else "ASC"
        order = ("time", "id", "part") if wanted.window is not None else ("id", "part")
        found = self._db.execute(
            f"SELECT row {source} ORDER BY {', '.join(f'{each} {direction}' for each in order)}"
            " LIMIT ? OFFSET ?",
            (*values, wanted.limit, wanted.offset),
        )
        page: list[Row] = [row for row in map(_decoded, found) if isinstance(row, kind)]
        if wanted.newest:
            page.reverse()
        return page

    def count(self, wanted: Wanted) -> int:
        """How many rows there are, whatever the limit."""
        shelf = self._shelf(wanted.shelf)
        if shelf is None:
            return 0
        source, values = _source(shelf, wanted)
        return int(self._db.execute(f"SELECT count(*) {source}", values).fetchone()[0])

    def leave(self, directory: StateDirectory, name: str, *, now: int) -> int:
        """Move what nobody may ask for any more into a compressed file, once a day; how many rows.

        What goes into which file is noted before the file is written: after a crash the same file is
        written again, so that no row is in two.
        """
        oldest = self._db.execute("SELECT min(leaves) FROM rows").fetchone()[0]
        noted = self._db.execute("SELECT name, before FROM leaving").fetchone()
        if noted is None:
            if oldest is None or oldest >= now - DAY_MS:
                return 0
            noted = name, min(now, NEVER)
            self._db.execute("INSERT INTO leaving VALUES (?, ?)", noted)
        name, before = noted
        with closing(
            self._db.execute("SELECT row FROM rows WHERE leaves < ? ORDER BY leaves", (before,))
        ) as rows:
            count = _archive(directory, name, rows)
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            self._db.execute("DELETE FROM rows WHERE leaves < ?", (before,))
            self._db.execute("DELETE FROM leaving")
        return count

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def _decoded(found: tuple[bytes]) -> Fact:
    fact: Fact = _decode(found[0])
    return fact


def _source(shelf: int, wanted: Wanted) -> tuple[str, list[Any]]:
    """What is read, and along which index."""
    index, conditions = "", ["shelf = ?"]
    values: list[Any] = [shelf]

    def must(condition: str, *given: Any) -> None:
        conditions.append(condition)
        values.extend(given)

    if wanted.window is not None:
        index = "INDEXED BY by_time"
        must("time BETWEEN ? AND ?", *wanted.window)
    if wanted.symbol is not None:
        # By ids it would have to be sorted
        index = "INDEXED BY by_symbol" if wanted.window is not None else index
        must("symbol = ?", wanted.symbol)
    if wanted.ref is not None:
        index = "INDEXED BY by_ref" if wanted.symbol is None else index
        must("ref = ?", wanted.ref)
    if wanted.ref_prefix is not None:
        index = "INDEXED BY by_ref"
        must("ref >= ? AND ref < ?", wanted.ref_prefix, wanted.ref_prefix + "\U0010ffff")
    if wanted.first is not None:
        must("id >= ?", wanted.first)
    if wanted.now:
        must("leaves >= ?", wanted.now)
    if wanted.before is not None:
        must("id < ?", wanted.before)
    return f"FROM rows {index} WHERE {' AND '.join(conditions)}", values


def _archive(directory: StateDirectory, name: str, rows: Iterable[tuple[bytes]]) -> int:
    directory.archive.mkdir(mode=0o700, exist_ok=True)
    path = directory.archive / name
    fresh = path.with_name(name + ".new")
    fresh.unlink(missing_ok=True)
    count = 0
    with os.fdopen(new_file(fresh), "wb") as file:
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            for (row,) in rows:
                packed.write(row + b"\n")
                count += 1
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    StateDirectory(directory.archive).sync()
    directory.sync()
    return count
