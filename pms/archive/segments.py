"""The archive's files: `{first seq}.log`, the newest being written; older ones packed as `.log.gz`.

Sixteen digits hold any seq, so names sort as their contents do. A file is packed beside itself and
then renamed, so at any moment one of both names holds it whole.
"""

from __future__ import annotations

import gzip
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from pms.archive.errors import Damaged, OtherFormat
from pms.archive.records import HEADER, good_line_behind, scan

PLAIN, PACKED = ".log", ".log.gz"


@dataclass(frozen=True, slots=True)
class Segment:
    """One file and the seq of its first record."""

    first: int
    path: Path

    @property
    def packed(self) -> bool:
        return self.path.name.endswith(PACKED)

    def content(self) -> bytes:
        """All of it, unpacked, header included. Raises Damaged, OtherFormat, FileNotFoundError."""
        raw = self.path.read_bytes()
        if self.packed:
            try:
                raw = gzip.decompress(raw)
            except (EOFError, OSError, zlib.error):
                raise Damaged(file=self.path.name, after=self.first - 1) from None
        check_header(self.path, raw)
        return raw


def check_header(path: Path, content: bytes) -> None:
    """Raise for a file that is not of our format; one that was just begun may have half a header."""
    if content.startswith(HEADER) or HEADER.startswith(content):
        return
    word, _, rest = content.partition(b" ")
    if word == HEADER.split(b" ")[0] and rest[:1].isdigit() and not rest.startswith(b"1\n"):
        version = rest.split(b"\n", 1)[0].decode(errors="replace")
        raise OtherFormat(f"the archive's file {path.name} is of format {version}: run a newer release")
    raise Damaged(file=path.name, after=0)


def segment_path(directory: Path, first: int) -> Path:
    """Where the file of a first record lies while it is written."""
    return directory / f"{first:016d}{PLAIN}"


def segments(directory: Path) -> list[Segment]:
    """All files in the order of their records; none where there is no directory yet."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    found: dict[int, Segment] = {}
    for name in sorted(names):  # the plain file of a pair first: the packed one wins, it was renamed last
        stem, _, kind = name.partition(".")
        if stem.isdigit() and f".{kind}" in (PLAIN, PACKED):
            found[int(stem)] = Segment(int(stem), directory / name)
    return [found[first] for first in sorted(found)]


def pack(segment: Segment) -> Path:
    """Pack a file that is no longer written; raises Damaged for one that is not whole."""
    content = segment.content()
    last, good = segment.first - 1, len(HEADER)
    for record, end in scan(content, at=good, after=None):
        last, good = record.seq, end
    if good != len(content) or good_line_behind(content, good):
        raise Damaged(file=segment.path.name, after=last)
    target = segment.path.with_name(segment.path.name.removesuffix(PLAIN) + PACKED)
    draft = target.with_name(target.name + ".new")
    try:
        with draft.open("wb") as file:
            file.write(gzip.compress(content, 6, mtime=0))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(target)
    except BaseException:
        draft.unlink(missing_ok=True)  # it would take from entries the room that it did not find
        raise
    sync_directory(target.parent)
    segment.path.unlink()
    return target


def sync_directory(directory: Path) -> None:
    """Make names in a directory outlast a power failure."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
