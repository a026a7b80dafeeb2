"""Reading the archive while another process writes it.

A reader remembers where it stopped, so that reading on in small steps costs what is read. It needs no
lock: half a record at the end is one that is being written. A bad record with good ones behind it
is damage, and is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pms.archive.errors import Damaged
from pms.archive.records import HEADER, Record, good_line_behind, scan
from pms.archive.segments import Segment, segments

FOLLOWED_AT_ONCE: Final = 10_000


class Reader:
    """Reads the records of a directory in order. Not for several threads at once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._stopped: tuple[int, int, int] | None = None
        #: seq read last, its file's first seq, the offset behind it
        self._whole: tuple[int, bytes] | None = None
        #: a file that is written no more, by its first seq
        self._begin: int | None = None
        self._followed: int | None = None

    def begin(self) -> int | None:
        """The seq that the first record follows, 0 for a whole history; None for an empty archive."""
        if self._begin is None:
            first = self.read(-1, count=1)
            self._begin = first[0].prev if first else None
        return self._begin

    def end(self) -> int | None:
        """The seq of the last good record; None for an empty archive. Raises Damaged."""
        every = segments(self.directory)
        for segment in reversed(every):
            last = None
            for record in self._records(segment, len(HEADER), after=None, newest=segment is every[-1]):
                last = record.seq
            if last is not None:
                return last
        return None

    def follow(self) -> int:
        """The seq of the last good record, 0 at first; costs what was archived since the last call.

        Raises Damaged.
        """
        if self._followed is None:
            self._followed = self.end() or 0
        while records := self.read(self._followed, count=FOLLOWED_AT_ONCE):
            self._followed = records[-1].seq
        return self._followed

    def read(self, after: int, *, count: int) -> list[Record]:
        """Up to `count` records behind a seq, in order; none at the end. Raises Damaged.

        Trap: behind a seq that lies before the beginning the first record's `prev` is another: whoever
        needs the chain looks.
        """
        every = segments(self.directory)
        first, place = self._begin_at(every, after)
        last = after if place > len(HEADER) else None
        found: list[Record] = []
        for segment in every[first:]:
            for record in self._records(segment, place, after=last, newest=segment is every[-1]):
                last = record.seq
                if record.seq > after:
                    found.append(record)
                if len(found) == count:
                    return found
            place = len(HEADER)
        return found

    def _begin_at(self, every: list[Segment], after: int) -> tuple[int, int]:
        """Which file to begin with for what stands behind a seq, and where in it."""
        if self._stopped is not None and self._stopped[0] == after:
            _, first, place = self._stopped
            for number, segment in enumerate(every):
                if segment.first == first:
                    return number, place
        return max((n for n, segment in enumerate(every) if segment.first <= after), default=0), len(HEADER)

    def _records(self, segment: Segment, place: int, *, after: int | None, newest: bool) -> Iterator[Record]:
        """The good records of a file from an offset on. Raises Damaged; only the newest may end badly."""
        content, skipped = self._content(segment, place, newest=newest)
        at, last = place - skipped, after
        for record, end in scan(content, at=at, after=after):
            at, last = end, record.seq
            self._stopped = (record.seq, segment.first, at + skipped)
            yield record
        if at < len(content) and (not newest or good_line_behind(content, at)):
            raise Damaged(file=segment.path.name, after=segment.first - 1 if last is None else last)

    def _content(self, segment: Segment, place: int, *, newest: bool) -> tuple[bytes, int]:
        """A file's content, and how many bytes of its beginning were left out."""
        if newest and not segment.packed and place > len(HEADER):
            with segment.path.open("rb") as file:
                file.seek(place)
                return file.read(), place
        if self._whole is not None and self._whole[0] == segment.first:
            return self._whole[1], 0
        try:
            content = segment.content()
        except FileNotFoundError:  # packed meanwhile
            content = next(each for each in segments(self.directory) if each.first == segment.first).content()
        if not newest:
            self._whole = (segment.first, content)
        return content, 0
