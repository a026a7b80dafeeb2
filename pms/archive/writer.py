"""Writing the archive: appended under a lock of the kernel, on disk before the call returns.

A crash in the middle of a call leaves a torn end. It is cut off when the archive is opened next: what
was torn was never acknowledged, so it still stands in Redis and is appended again. The cut bytes
are kept beside the files, for the day when it was not a crash that tore them. An end with a good
record in it is not torn but damaged, and stays as it is.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from pms.archive.errors import Broken, Busy, Damaged, Unwritable
from pms.archive.records import HEADER, Record, encode, good_line_behind, read_head, scan
from pms.archive.segments import Segment, segment_path, segments, sync_directory

log = structlog.get_logger()
SEGMENT_BYTES: Final = 16 * 2**20
DAY_MS: Final = 86_400_000


@dataclass(slots=True)
class _Newest:
    """The file being written, as far as it is on disk and good."""

    segment: Segment
    size: int
    last: int
    day: int


class Writer:
    """Appends records to the archive of one directory; one call at a time, whatever the process."""

    def __init__(self, directory: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.directory = directory
        self._segment_bytes = segment_bytes
        self._newest: _Newest | None = None
        self._end: int | None = None
        self._seen: tuple[int, int] | None = None
        self._lock = -1
        self.missed = False
        #: while it was held, another turn of this process wanted it

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the archive; raises Busy where another does. The kernel lets go when a process dies."""
        try:
            if not self.directory.exists():
                self.directory.mkdir(parents=True, mode=0o700)
            descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unwritable(f"the archive {self.directory} cannot be used: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise Busy from None
        self._lock = descriptor
        try:
            yield
        finally:
            os.close(descriptor)

    def end(self) -> int | None:
        """The seq archived last, None in an empty archive; cuts a torn end. Only while held.

        Raises Damaged, Unwritable.
        """
        try:
            if self._seen is None or self._seen != self._look():
                self._open()
        except OSError as error:
            raise self._unwritable(error) from None
        return self._end

    def append(self, records: Sequence[Record]) -> int | None:
        """Append what is not archived yet; returns the seq archived last. Only while held.

        Raises Damaged, Broken when the first new record does not follow, Unwritable when nothing was written.
        """
        last = self.end()
        fresh = [record for record in records if last is None or record.seq > last]
        for record in fresh:
            if last is not None and record.prev != last:
                raise Broken(ended=last, found=record.prev, seq=record.seq)
            last = record.seq
        try:
            while fresh:
                fresh = self._write(fresh)
        except OSError as error:
            raise self._unwritable(error) from None
        return self._end

    def _write(self, records: list[Record]) -> list[Record]:
        """Write what belongs into one file; returns the rest."""
        day = _day(records[0])
        newest = self._newest
        if newest is None or newest.size >= self._segment_bytes or day > newest.day:
            newest = self._begin(records[0], day)
        lines: list[bytes] = []
        room = self._segment_bytes - newest.size
        for record in records:
            if lines and (room <= 0 or _day(record) > newest.day):
                break
            lines.append(encode(record))
            room -= len(lines[-1])
        self._put(newest, b"".join(lines))
        newest.last = self._end = records[len(lines) - 1].seq
        self._seen = self._look()
        return records[len(lines) :]

    def _begin(self, record: Record, day: int) -> _Newest:
        os.pwrite(self._lock, b"%d" % (self._generation() + 1), 0)
        path = segment_path(self.directory, record.seq)
        self._newest = _Newest(Segment(record.seq, path), 0, record.prev, day)
        self._put(self._newest, HEADER)
        sync_directory(self.directory)
        return self._newest

    def _put(self, newest: _Newest, content: bytes) -> None:
        """Append and wait for the disk; on any fault the next call looks at the file afresh.

        After a failed fsync the kernel may call pages clean that never reached the disk: so the end is
        cut back to what is known to be there, and written anew.
        """
        descriptor = os.open(newest.segment.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            written = 0
            while written < len(content):
                written += os.pwrite(descriptor, content[written:], newest.size + written)
            os.fsync(descriptor)
        except OSError:
            self._seen = None
            os.ftruncate(descriptor, newest.size)
            raise
        finally:
            os.close(descriptor)
        newest.size += len(content)

    def _open(self) -> None:
        """Find the end; cut off what is torn."""
        self._newest, self._end = None, None
        for segment in reversed(segments(self.directory)):
            newest = self._examine(segment)
            if newest is None:
                continue  # begun by a crash, without a record
            self._end = newest.last
            self._newest = None if segment.packed else newest
            break
        self._seen = self._look()

    def _examine(self, segment: Segment) -> _Newest | None:
        content = segment.content()
        good, last, day = len(HEADER), None, 0
        for record, end in scan(content, at=good, after=None):
            good, last, day = end, record.seq, max(day, _day(record))
        if segment.packed:
            return None if last is None else _Newest(segment, good, last, day)
        if good < len(content):
            # Records that are good were acknowledged, and Redis may have forgotten them: no torn end.
            if good_line_behind(content, good):
                raise Damaged(file=segment.path.name, after=segment.first - 1 if last is None else last)
            self._cut(segment, content, good)
        if last is None:
            segment.path.unlink()
            return None
        return _Newest(segment, good, last, day)

    def _cut(self, segment: Segment, content: bytes, good: int) -> None:
        kept = segment.path.with_name(f"{segment.path.name}.cut-{good}")
        kept.write_bytes(content[good:])
        with segment.path.open("r+b") as file:
            file.truncate(good)
            os.fsync(file.fileno())
        log.warning("archive_end_cut", file=segment.path.name, bytes=len(content) - good, kept=kept.name)

    def _look(self) -> tuple[int, int]:
        """What changes when another process writes: the number of files begun, and the newest one's size."""
        size = -1
        if self._newest is not None:
            with suppress(FileNotFoundError):
                size = self._newest.segment.path.stat().st_size
        return self._generation(), size

    def _generation(self) -> int:
        """How many files were begun; counted in the lock file, before each."""
        return int(os.pread(self._lock, 20, 0) or b"0")

    def _unwritable(self, error: OSError) -> Unwritable:
        return Unwritable(f"the archive {self.directory} cannot be written: {error.strerror or error}")


def _day(record: Record) -> int:
    return read_head(record.body).at // DAY_MS
