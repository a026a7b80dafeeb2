"""The venue's memory on disk: an append-only file of facts, one JSON array a transaction.

A transaction is written before anything of it is answered or sent, so that killing the process loses
nothing that anybody has seen. A thread syncs the file in the background, everything that has gathered in
one call: a power cut can lose the last moments, a killed process cannot.

Now and then it is cut: the file becomes a closed segment, and another begins (venue.store).
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from pms.venue.restore import Remembered
from pms.venue.state import Fact
from pms.venue.store import recovery
from pms.venue.store.files import LOCK, JournalError, StateDirectory, new_file, take
from pms.venue.store.history_file import HistoryFile
from pms.venue.store.lines import Step, encode, nobody

__all__ = ["CutPostponed", "FileJournal", "JournalBroken", "JournalError", "MemoryJournal"]
SYNC_EVERY_S = 0.05


class JournalBroken(Exception):
    """The disk refused a write: nothing may be answered or sent from now on."""


class CutPostponed(Exception):
    """There was no descriptor or no place for another file: nothing has changed, the segment grows on."""


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
        self.directory = StateDirectory(directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"state directory {directory}: {error.strerror}") from None
        busy = f"state directory {directory} is in use by another venue"
        self._lock = take(directory / LOCK, wait=False, otherwise=busy)
        self._file = -1
        # The directory, held open: a sync of its names must not find all descriptors taken
        self._names = -1
        self._retired: list[int] = []
        self._history: HistoryFile | None = None
        self._error: OSError | None = None
        #: the last closed segment, and whether a snapshot is still to be made of it
        self.closed = 0
        self.behind = False
        #: bytes of the segment that is written
        self.size = 0
        self._dirty = threading.Event()
        self._stopping = threading.Event()
        self._syncer = threading.Thread(target=self._sync_forever, name="venue-journal", daemon=True)

    @property
    def history(self) -> HistoryFile:
        """What is over and no longer in memory."""
        assert self._history is not None, "restore() first"
        return self._history

    def restore(self, *, step: Step = nobody) -> Remembered:
        """Read everything and open the journal for appending; `step` hears of the bytes read."""
        memory, base = recovery.recover(self.directory, step=step)
        self.closed, self.behind = base.last, bool(base.behind)
        self._history = HistoryFile(self.directory.history)
        if self._history.covered < base.number:
            raise JournalError(
                f"{self.directory.history} has no rows of segment {base.number}, which are nowhere else:"
                " put the file back that belongs to this directory"
            )
        if self._history.covered > base.last:
            raise JournalError(
                f"{self.directory.history} has rows of segment {self._history.covered}, and the journal ends"
                f" with {base.last}: they are of two directories; put the file back that belongs to this one"
            )
        try:
            recovery.cut_torn_line(self.directory)
            if self.directory.live.exists():
                self._file = os.open(self.directory.live, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
                self.size = os.fstat(self._file).st_size
            else:
                self._file = new_file(self.directory.live)
            self._names = os.open(self.directory.root, os.O_RDONLY | os.O_CLOEXEC)
            os.fsync(self._names)
        except OSError as error:
            raise JournalError(f"{self.directory.live} cannot be written: {error.strerror}") from None
        self._syncer.start()
        return memory

    def append(self, facts: list[Fact]) -> None:
        """Write one transaction to the operating system, whole; JournalBroken for ever once that fails."""
        line = memoryview(encode(facts) + b"\n")
        self.size += len(line)
        try:
            while line and self._error is None:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            self._error = error
        self._unbroken()
        self._dirty.set()

    def cut(self) -> None:
        """Close the segment and begin another. It takes no longer for a long one. May raise CutPostponed.

        What the thread has not synced yet is synced here: were the new segment on disk before the end of the
        old one, a power cut would leave a gap.
        """
        try:
            self.directory.coming.unlink(missing_ok=True)
            fresh = new_file(self.directory.coming)
        except OSError as error:
            raise CutPostponed(error.strerror) from error
        try:
            os.fdatasync(self._file)
            self.directory.live.rename(self.directory.segment(self.closed + 1))
            self.closed += 1
            self.directory.coming.rename(self.directory.live)
            self._retired.append(self._file)
            self._file, self.size, self.behind = fresh, 0, True
        except OSError as error:
            self._error = error
        self._unbroken()
        self._dirty.set()

    def _unbroken(self) -> None:
        if self._error is not None:
            self.failed(self._error)
            raise JournalBroken(self._error.strerror) from self._error

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
        if self._history is not None:
            self._history.close()
        if self._names >= 0:
            os.close(self._names)
        os.close(self._lock)

    def _sync_forever(self) -> None:
        while True:
            self._dirty.wait()
            self._dirty.clear()
            try:
                if self._retired:
                    # The name of a new segment, before what is in it
                    os.fsync(self._names)
                while self._retired:
                    os.close(self._retired.pop())
                os.fdatasync(self._file)
            except OSError as error:
                self._error = error
            # A write may wait for a sync of the same page: leave room between two
            if self._stopping.wait(SYNC_EVERY_S):
                return
