"""The journal: one entry for each state change, and the rows that it leaves behind.

An entry says *what happened* (`kind`, `note`) and *what is now so* (`rows`: whole rows, by table).
PostgreSQL is the fold of all entries, memory is the fold of PostgreSQL plus the entries behind it,
and both folds are the same one line: the newest row of a key wins. So recovery has no logic of its
own to be wrong in.

Chain: `prev` is the seq of the entry before; an entry whose `prev` is not what was applied last is
never skipped over. An entry that tells several events takes as many seqs as events, so that each
event has its own; `seq` is the last of them.

Format `v` 1. Decimals are strings; times are exchange or Redis milliseconds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

FORMAT: Final = 1


class SubAccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """A sub-account after the entry. Key: id."""

    id: str
    label: str
    status: str
    #: ACTIVE or FROZEN
    balance: Decimal
    #: always the sum of its ledger entries
    created_at: int


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order after the entry. Key: client_order_id. Foreign orders have none here."""

    client_order_id: str
    sub_account_id: str
    symbol: str
    side: str
    type: str
    quantity: Decimal
    price: Decimal | None
    time_in_force: str | None
    reduce_only: bool
    leverage: int
    origin: str
    parent_id: str | None
    request_id: str | None
    state: str
    reason: str | None
    exchange_order_id: int | None
    filled_qty: Decimal
    filled_quote: Decimal
    cancel_wanted: bool
    epoch: str
    deadline: int
    admitted_at: int
    updated_at: int


class FillRow(msgspec.Struct, frozen=True, kw_only=True):
    """One side of one trade. Key: symbol, exchange_order_id, trade_id; written once."""

    symbol: str
    exchange_order_id: int
    trade_id: int
    client_order_id: str | None
    sub_account_id: str
    side: str
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    realized_pnl: Decimal
    #: the sub-account's own, before commission
    venue_realized_pnl: Decimal
    #: the exchange's, on the netted position
    maker: bool
    venue_time: int


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A position after the entry. Key: sub_account_id, symbol; quantity 0 is a closed one."""

    sub_account_id: str
    symbol: str
    id: str
    quantity: Decimal
    #: signed
    cost: Decimal
    #: signed sum of price x quantity of what is open; entry price = cost / quantity
    leverage: int
    opened_seq: int
    realized_pnl: Decimal
    #: of this position since it was opened
    updated_at: int


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One movement of one balance. Key: seq, line; written once."""

    seq: int
    line: int
    sub_account_id: str
    asset: str
    amount: Decimal
    reason: str
    #: REALIZED_PNL, COMMISSION, NETTING, TRANSFER, DEPOSIT, FUNDING, OPENING, IMPORT
    reference: str | None
    at: int


class CommandRow(msgspec.Struct, frozen=True, kw_only=True):
    """A command and its decision. Key: request_id; written once."""

    request_id: str
    command: str
    sub_account_id: str | None
    text: str
    decision: str
    #: admitted, refused, expired
    code: str | None
    client_order_id: str | None
    answer: str
    #: the Result as JSON, as it was at the decision
    received_at: int
    decided_at: int


class CursorRow(msgspec.Struct, frozen=True, kw_only=True):
    """The proven cursor of a symbol's trades: the last id of a committed REST page. Key: symbol."""

    symbol: str
    trade_id: int
    updated_at: int


class HaltRow(msgspec.Struct, frozen=True, kw_only=True):
    """A halt after the entry. Key: scope."""

    scope: str
    #: a sub-account, or * for everything
    mode: str
    #: HALTED, REDUCE_ONLY, or RESUMED: lifted
    reason: str
    actor: str
    since: int
    request_id: str
    #: of the command that halted, also in the row that lifts it: only that very halt is lifted


class IncidentRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something an operator should see. Key: seq."""

    seq: int
    kind: str
    severity: str
    #: info, warning, critical
    detail: str
    at: int


class Rows(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rows an entry leaves, by table; each list may be empty."""

    sub_accounts: tuple[SubAccountRow, ...] = ()
    orders: tuple[OrderRow, ...] = ()
    fills: tuple[FillRow, ...] = ()
    positions: tuple[PositionRow, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    commands: tuple[CommandRow, ...] = ()
    cursors: tuple[CursorRow, ...] = ()
    incidents: tuple[IncidentRow, ...] = ()
    halts: tuple[HaltRow, ...] = ()


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One state change, as it stands in the stream under the id `{seq}-0`, field `e`."""

    v: int
    seq: int
    prev: int
    at: int
    #: Redis or exchange time of the change, ms
    kind: str
    #: admitted, refused, order, fill, cursor, transfer, account, incident, noop, ...
    rows: Rows = Rows()
    note: dict[str, Any] = {}


class UnknownFormat(Exception):
    """The entry is of a format that this code does not know; it must not be folded."""


_encoder = msgspec.json.Encoder(decimal_format="string")
_decoder = msgspec.json.Decoder(Entry)


def encode_entry(entry: Entry) -> bytes:
    """Write an entry as it is journaled."""
    return _encoder.encode(entry)


def decode_entry(text: bytes) -> Entry:
    """Read a journaled entry; raises UnknownFormat, never guesses."""
    try:
        entry = _decoder.decode(text)
    except msgspec.DecodeError as error:
        raise UnknownFormat(str(error)) from error
    if entry.v != FORMAT:
        raise UnknownFormat(f"entry {entry.seq} is of format {entry.v}, this code reads {FORMAT}")
    return entry
