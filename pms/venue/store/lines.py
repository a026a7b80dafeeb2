"""Facts as lines of JSON, one array a transaction; each fault is told with file and line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from pms.venue.state import Fact
from pms.venue.store.files import JournalError

CHUNK = 500
encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Fact]).decode
Step = Callable[[int], None]


def nobody(_: int) -> None:
    """Nobody wants to know how many bytes were read."""


def facts(path: Path, *, step: Step = nobody, whole: bool = True) -> Iterator[Fact]:
    """The facts of a segment in order; `step` hears of each line's bytes.

    A last line without its end is damage, unless `whole` is False: in the live segment it was torn by a
    power cut before anybody had an answer. Then it is left out: `torn` says from where.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            step(len(line))
            if not line.endswith(b"\n"):
                if whole:
                    raise JournalError(f"{path} line {number} is cut short")
                return
            yield from parsed(path, number, line)


def parsed(path: Path, number: int, line: bytes) -> list[Fact]:
    """The facts of one line."""
    try:
        return _decode(line)
    except msgspec.DecodeError as error:
        raise JournalError(f"{path} line {number} is damaged: {error}") from None


def torn(path: Path) -> int | None:
    """Where the last line begins if it has no end; reads the end of the file alone."""
    size = path.stat().st_size
    with path.open("rb") as file:
        end, block = size, b""
        while end:
            begin = max(0, end - 65_536)
            file.seek(begin)
            block = file.read(end - begin)
            found = block.rfind(b"\n")
            if found >= 0:
                whole = begin + found + 1
                return None if whole == size else whole
            end = begin
    return None if size == 0 else 0


def chunks(rows: Iterable[Fact]) -> Iterator[list[Fact]]:
    """Facts by the line."""
    chunk: list[Fact] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
