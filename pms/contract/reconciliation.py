"""What a reconciliation found, and the streamer's books at that moment: rows as the journal knows them.

A pass compares memory with the exchange; whoever asked compares the books with Redis and PostgreSQL.
"""

from __future__ import annotations

import msgspec

from pms.contract.journal import OrderRow, PositionRow, SubAccountRow


class Comparison(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One thing compared: how many rows, and what differed, in words."""

    what: str
    rows: int
    found: tuple[str, ...] = ()
    note: str = ""
    #: why it is not complete


class Books(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Memory behind the entry `seq`: live orders, open positions, all accounts."""

    seq: int
    orders: tuple[OrderRow, ...]
    positions: tuple[PositionRow, ...]
    accounts: tuple[SubAccountRow, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One pass. `before` and `seq` are equal where nothing was journaled by it or meanwhile."""

    id: str
    at: int
    before: int
    seq: int
    dry_run: bool
    weight: int
    #: of the exchange's request budget
    booked: int
    #: trades that were missing
    comparisons: tuple[Comparison, ...]
    books: Books
    fault: str | None = None
    #: why the pass was not finished


_encoder = msgspec.json.Encoder(decimal_format="string")
_decoder = msgspec.json.Decoder(Report)


def encode_report(report: Report) -> bytes:
    """Write a report as it stands in Redis; decimals are strings."""
    return _encoder.encode(report)


def decode_report(text: bytes) -> Report:
    """Read one; raises msgspec.DecodeError."""
    return _decoder.decode(text)
