"""Records: one line a journal entry, with its seq, its predecessor and a checksum over both.

    {crc32 of the rest, 8 hex digits} {seq} {prev} {the entry exactly as it stood in Redis}

Text, so that a person with `zcat` and `grep` can read what happened. A record is good only if its
checksum holds and it follows the record before it; so a torn or altered line is never taken for one,
and neither is a file with a line missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

import msgspec

HEADER = b"pms-archive 1\n"
"""First line of every file: the format of the records behind it, not of the entries in them."""


class Record(msgspec.Struct, frozen=True):
    """One archived entry. The body is kept as it came, whatever release wrote it."""

    seq: int
    prev: int
    body: bytes


class Head(msgspec.Struct, frozen=True):
    """What every format of an entry says of its place."""

    seq: int
    prev: int
    at: int


_heads = msgspec.json.Decoder(Head)


def read_head(body: bytes) -> Head:
    """Read an entry's place in the chain; raises msgspec.DecodeError."""
    return _heads.decode(body)


def encode(record: Record) -> bytes:
    """Write a record as a line. Raises ValueError for a body of several lines."""
    if b"\n" in record.body:
        raise ValueError(f"entry {record.seq} has a line break in it")
    rest = b"%d %d %s" % (record.seq, record.prev, record.body)
    return b"%08x %s\n" % (crc32(rest), rest)


def decode(line: bytes) -> Record | None:
    """Read a line without its end; None if it is not exactly what `encode` wrote."""
    rest = line[9:]
    if line[:9] != b"%08x " % crc32(rest):
        return None
    seq, prev, body = rest.split(b" ", 2)
    return Record(int(seq), int(prev), body)


def scan(content: bytes, *, at: int, after: int | None) -> Iterator[tuple[Record, int]]:
    """Yield the good records from an offset on, each with the offset behind it.

    Ends at the first that is not good: damaged, incomplete, or not the successor of the one before
    (of `after`, for the first; None takes any).
    """
    while (end := content.find(b"\n", at)) >= 0:
        record = decode(content[at:end])
        if record is None or record.seq <= record.prev or (after is not None and record.prev != after):
            return
        at, after = end + 1, record.seq
        yield record, at


def good_line_behind(content: bytes, at: int) -> bool:
    """Whether any whole record stands behind an offset: then what lies there was not merely torn off."""
    return any(decode(line) is not None for line in content[at:].split(b"\n")[:-1])
