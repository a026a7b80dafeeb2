"""The venue's memory on disk: an append-only file of facts, one JSON array a transaction.

A transaction is written before anything of it is answered or sent, so that killing the process loses
nothing that anybody has seen. A thread syncs the file in the background, everything that has gathered in
one call: a power cut can lose the last moments, a killed process cannot.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import structlog

from pms.venue.state import Fact

log = structlog.get_logger(__name__)

FILE = "venue.journal"
LOCK = "venue.lock"
COMPACT_CHUNK = 500
SYNC_EVERY_S = 0.05


class JournalError(Exception):
    """The state directory cannot be used; the message says which and why."""


class JournalBroken(Exception):
    """The disk refused a write: nothing may be answered or sent from now on."""


class MemoryJournal:
    """The journal of a venue without a state directory: nothing outlives the process."""

    def append(self, facts: list[Fact]) -> None:
        """Nothing to do: no promise was made."""

    def close(self) -> None:
        """Nothing to close."""


class FileJournal:
    """The journal in a state directory, which it holds locked while open.

    `failed` is told, in the caller's thread, when the disk refuses a write: memory is then ahead of the
    disk, so the venue must stop.
    """

    def __init__(self, directory: Path, *, failed: Callable[[OSError], None]) -> None:
        self.failed = failed
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(list[Fact])
        self._path = directory / FILE
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"state directory {directory}: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise JournalError(f"state directory {directory} is in use by another venue") from None
        self._file = -1
        self._error: OSError | None = None
        self._dirty = threading.Event()
        self._stopping = threading.Event()
        self._syncer = threading.Thread(target=self._sync_forever, name="venue-journal", daemon=True)

    def read(self) -> Iterator[Fact]:
        """All facts in order. A last line cut short by a power failure is left out: nobody saw it."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    log.warning("journal.torn_line", path=str(self._path), line=number)
                    return
                try:
                    yield from self._decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise JournalError(f"{self._path} line {number} is damaged: {error}") from None

    def restart(self, facts: Iterable[Fact]) -> None:
        """Replace the file by these facts in one step and open it for appending."""
        fresh = self._path.with_suffix(".new")
        try:
            fresh.unlink(missing_ok=True)
            # Listen keys are secrets: the file is its owner's alone
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                for chunk in _chunks(facts):
                    file.write(self._encoder.encode(chunk) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            raise JournalError(f"{self._path} cannot be written: {error.strerror}") from None
        self._syncer.start()

    def append(self, facts: list[Fact]) -> None:
        """Write one transaction to the operating system, whole; JournalBroken for ever once that fails."""
        line = memoryview(self._encoder.encode(facts) + b"\n")
        try:
            while line and self._error is None:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            self._error = error
        if self._error is not None:
            self.failed(self._error)
            raise JournalBroken(self._error.strerror) from self._error
        self._dirty.set()

    def close(self) -> None:
        """Sync and release the directory."""
        self._stopping.set()
        self._dirty.set()
        if self._syncer.is_alive():
            self._syncer.join()
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.fdatasync(self._file)
            os.close(self._file)
        os.close(self._lock)

    def _sync_forever(self) -> None:
        while True:
            self._dirty.wait()
            self._dirty.clear()
            try:
                os.fdatasync(self._file)
            except OSError as error:
                self._error = error
            # A write may wait for a sync of the same page: leave room between two
            if self._stopping.wait(SYNC_EVERY_S):
                return


def _chunks(facts: Iterable[Fact]) -> Iterator[list[Fact]]:
    chunk: list[Fact] = []
    for fact in facts:
        chunk.append(fact)
        if len(chunk) == COMPACT_CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
