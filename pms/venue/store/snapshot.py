"""A snapshot: what all closed segments up to one left behind, but for what is over.

Its last line holds the number of its facts and the digest of all before, so that a snapshot that was
not finished or is damaged is never taken for a good one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from pms.venue.state import Fact
from pms.venue.store.files import JournalError, StateDirectory, new_file
from pms.venue.store.lines import Step, chunks, encode, nobody, parsed


class Seal(msgspec.Struct):
    """The last line of a snapshot."""

    segment: int
    facts: int
    sha256: str


def write(directory: StateDirectory, number: int, rows: Iterable[Fact]) -> None:
    """Write a snapshot beside its name, make it durable, then give it its name."""
    path = directory.snapshot(number)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    digest, count = hashlib.sha256(), 0
    with os.fdopen(new_file(fresh), "wb") as file:
        for chunk in chunks(rows):
            line = encode(chunk) + b"\n"
            digest.update(line)
            count += len(chunk)
            file.write(line)
        file.write(encode(Seal(number, count, digest.hexdigest())) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    directory.sync()


def read(path: Path, number: int, *, step: Step = nobody) -> list[Fact]:
    """All facts of a snapshot; JournalError if it is not exactly what was written."""
    digest, rows = hashlib.sha256(), list[Fact]()
    last, at = b"", 0
    with path.open("rb") as file:
        for at, line in enumerate(file, start=1):
            step(len(line))
            if last:
                digest.update(last)
                rows += parsed(path, at - 1, last)
            last = line
    try:
        seal = msgspec.json.decode(last, type=Seal)
    except msgspec.DecodeError:
        raise JournalError(f"{path} line {at} is not a snapshot's end: it is cut short") from None
    if (seal.segment, seal.facts, seal.sha256) != (number, len(rows), digest.hexdigest()):
        raise JournalError(f"{path} line {at}: what is above is not what was written")
    return rows
