"""The parts' log files: followed by whoever wants to see them, cut before they fill the disk.

A part writes to its file itself. A pipe through the supervisor would stop the engine as soon as
somebody pauses the terminal.
"""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

MOST_BYTES = 20 * 1024 * 1024
KEPT = 3
_CHUNK = 256 * 1024


@dataclass(slots=True)
class Tail:
    """Follows one file that grows, is cut, or is not there yet."""

    path: Path
    _offset: int = 0
    _rest: bytes = b""
    _file: BinaryIO | None = field(default=None, repr=False)

    @classmethod
    def from_end(cls, path: Path) -> Tail:
        """Follow from here on."""
        return cls(path, path.stat().st_size if path.exists() else 0)

    def lines(self) -> Iterator[str]:
        """Whole lines written since the last call; of a file that was removed, what it still held."""
        yield from self._new_lines()
        if self._file is not None and not self._is_there(self._file):
            self._file.close()
            self._file, self._offset, self._rest = None, 0, b""
            yield from self._new_lines()

    def _is_there(self, file: BinaryIO) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            return False

    def _new_lines(self) -> Iterator[str]:
        if self._file is None:
            try:
                self._file = self.path.open("rb")
            except FileNotFoundError:
                return
        if os.fstat(self._file.fileno()).st_size < self._offset:
            self._offset, self._rest = 0, b""
        self._file.seek(self._offset)
        while chunk := self._file.read(_CHUNK):
            self._offset += len(chunk)
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace")


def last_lines(path: Path, count: int) -> list[str]:
    """The end of a log; nothing where it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, maxlen=count)]
    except OSError:
        return []


def cut(path: Path, most_bytes: int = MOST_BYTES) -> bool:
    """Move a log that has grown too long to `.1` and empty it; True if it did.

    Its writer keeps the file open and only ever appends, so the file itself must stay; what is
    written between the copy and the cut is lost. Where no copy can be made, as on a full disk, all of it
    is lost: there the room is worth more.
    """
    try:
        if path.stat().st_size <= most_bytes:
            return False
    except FileNotFoundError:
        return False
    for number in range(KEPT - 1, 0, -1):
        older = _numbered(path, number)
        if older.exists():
            older.rename(_numbered(path, number + 1))
    copy = _numbered(path, 1)
    try:
        shutil.copyfile(path, copy)
    except OSError:
        copy.unlink(missing_ok=True)
    with path.open("r+b") as file:
        file.truncate(0)
    return True


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
