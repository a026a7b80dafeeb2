"""The names in a state directory, and what is there.

`venue.journal` is appended to. A cut renames it to `venue.journal.N`, a closed segment, and begins a new one;
`venue.snapshot.N` is all that the segments up to N left behind, but for what is over (venue.history).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIVE = "venue.journal"
SNAPSHOT = "venue.snapshot"
HISTORY = "venue.history"
ARCHIVE = "venue.archive"
LOCK = "venue.lock"
COMPACTING = "venue.compacting"
RESETTING = "venue.resetting"
DIGITS = 8


class JournalError(Exception):
    """The state directory cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """Where everything of one venue is."""

    root: Path

    @property
    def live(self) -> Path:
        """The segment that is written."""
        return self.root / LIVE

    @property
    def coming(self) -> Path:
        """The next one, until it has its name; one that is left over is nothing."""
        return self.root / f"{LIVE}.new"

    @property
    def history(self) -> Path:
        """What is over and still asked for."""
        return self.root / HISTORY

    @property
    def archive(self) -> Path:
        """What nobody may ask for any more, compressed."""
        return self.root / ARCHIVE

    def segment(self, number: int) -> Path:
        """A closed segment."""
        return self.root / f"{LIVE}.{number:0{DIGITS}d}"

    def snapshot(self, number: int) -> Path:
        """The snapshot behind a closed segment."""
        return self.root / f"{SNAPSHOT}.{number:0{DIGITS}d}"

    def segments(self) -> list[int]:
        """Numbers of the closed segments, ascending."""
        return self._numbers(LIVE)

    def snapshots(self) -> list[int]:
        """Numbers of the snapshots, ascending, good or not."""
        return self._numbers(SNAPSHOT)

    def _numbers(self, stem: str) -> list[int]:
        ends = (path.name.removeprefix(f"{stem}.") for path in self.root.glob(f"{stem}.*"))
        return sorted(int(end) for end in ends if len(end) == DIGITS and end.isdigit())

    @property
    def resetting(self) -> Path:
        """Is there while everything is being deleted: what is left then is no state to start from."""
        return self.root / RESETTING

    def sync(self) -> None:
        """Make names durable."""
        descriptor = os.open(self.root, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def owned(self) -> list[Path]:
        """Every file that a venue has written here, but for locks and the mark of a reset."""
        apart = (LOCK, COMPACTING, RESETTING)
        here = [path for path in self.root.glob("venue.*") if path.name not in apart]
        inside = [path for path in here if path.is_dir() for path in path.iterdir()]
        return sorted([path for path in here if path.is_file()] + inside)


@contextlib.contextmanager
def held(path: Path, *, wait: bool, otherwise: str) -> Iterator[int]:
    """Hold a lock file; a JournalError with these words where another process does."""
    descriptor = take(path, wait=wait, otherwise=otherwise)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def take(path: Path, *, wait: bool, otherwise: str) -> int:
    """Take a lock until its descriptor is closed, or the process ends."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(descriptor)
        raise JournalError(otherwise) from None
    return descriptor


def new_file(path: Path) -> int:
    """Create a file for its owner alone: listen keys in it are secrets."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
