"""The journal: one entry for each state change, and the rows that it leaves behind.

An entry says *what happened* (`kind`, `note`) and *what is now so* (`rows`: whole rows, by table).
PostgreSQL is the fold of all entries, memory is the fold of PostgreSQL plus the entries behind it,
and both folds are the same one line: the newest row of a key wins. So recovery has no logic of its
own to be wrong in.

Chain: `prev` is the seq of the entry before; an entry whose `prev` is not what was applied last is
never skipped over. An entry that tells several events takes as many seqs as events, so that each
event has its own; `seq` is the last of them.

Format `v` 1. Decimals are strings; times are exchange or Redis milliseconds. Entries live for ever in the
archive: whatever is added later has a default, and a format that was ever written stays in `READABLE`.

Trap: a field or a table that this code does not know is an error. A ledger of the release before would fold
without it, move on, and nobody would ever write it again.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

FORMAT: Final = 1
READABLE: Final = frozenset({1})
"""Formats that this code reads: entries of an older release are folded by a newer one."""


class SubAccountRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sub-account after the entry. Key: id."""

    id: str
    label: str
    status: str
    #: ACTIVE or FROZEN
    balance: Decimal
    #: always the sum of its ledger entries
    created_at: int
    group: str = "default"
    #: whose limits it shares
    tier: int = 0
    #: the worst tier of liquidation that has fired and is not armed again; 0 is none
    hedge: bool = False
    #: hedge mode: a long beside a short
    closing: int = 0
    #: the tier of a liquidation at market that is under way; 0 is none


class OrderRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
    amends: int = 0
    #: how many amendments were wished; the newest is in flight while it has a quantity
    amend_quantity: Decimal | None = None
    #: the total
    amend_price: Decimal | None = None
    amend_request_id: str | None = None
    amend_epoch: str | None = None
    amend_deadline: int | None = None
    amend_asked_at: int | None = None
    terms_at: int = 0
    #: exchange time since which quantity and price are these; 0 from the beginning
    position_side: str = "BOTH"
    #: which of the sub-account's positions in the symbol it is for: BOTH, or in hedge mode LONG or SHORT
    venue_reduce_only: bool = False
    #: said to the exchange too, on whose net it acts: only for what it would else find too small
    fees: Decimal = Decimal(0)
    #: of its trades, in USDT
    maker_qty: Decimal = Decimal(0)


class FillRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
    position_side: str = "BOTH"
    #: of the sub-account; the exchange knows of none


class PositionRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A position after the entry. Key: sub_account_id, symbol, position_side; quantity 0 is a closed one."""

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
    leverage_set: bool = False
    #: by a command of its own: it stands for the next position too
    position_side: str = "BOTH"
    #: BOTH, or in hedge mode LONG, never below zero, and SHORT, never above
    fees: Decimal = Decimal(0)
    #: paid in USDT for this position since it was opened; an older release did not count them


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One movement of one balance. Key: seq, line; written once."""

    seq: int
    line: int
    sub_account_id: str
    asset: str
    amount: Decimal
    reason: str
    #: REALIZED_PNL, COMMISSION, NETTING, FEE, TRANSFER, DEPOSIT, WITHDRAW, FUNDING, OPENING, IMPORT, or
    #: the exchange's own word for an income
    reference: str | None
    at: int


class CommandRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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


class CursorRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The proven cursor of a symbol's trades: the last id of a committed REST page. Key: symbol."""

    symbol: str
    trade_id: int
    updated_at: int


class AssetRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the house holds of an asset other than USDT. Key: asset."""

    asset: str
    balance: Decimal
    updated_at: int


class IncomeRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of the exchange's income history, accounted for. Key: kind, tran_id, asset, symbol; once."""

    kind: str
    tran_id: int
    #: unique within its kind only
    asset: str
    symbol: str
    #: "" where it is of no symbol
    amount: Decimal
    at: int


class FundingRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One position's part of one funding. Key: symbol, at, sub_account_id, position_side; once.

    The house's row is always there, even where nobody held anything: it says that this one is done.
    """

    symbol: str
    at: int
    sub_account_id: str
    rate: Decimal
    mark: Decimal
    quantity: Decimal
    #: signed, as held at `at`
    amount: Decimal
    position_side: str = "BOTH"


class FeeRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a sub-account owes the house for a commission in another asset.

    Key: symbol, exchange_order_id, trade_id. Without a price it is an open item.
    """

    symbol: str
    exchange_order_id: int
    trade_id: int
    sub_account_id: str
    asset: str
    commission: Decimal
    price: Decimal | None
    amount: Decimal | None
    at: int


class MoveRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of a position that no trade made: a handing over between accounts. Key: seq, line; once."""

    seq: int
    line: int
    sub_account_id: str
    symbol: str
    quantity: Decimal
    at: int
    position_side: str = "BOTH"


class ProgressRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to which time a history of the exchange is booked. Key: name, `income` or `funding:{symbol}`."""

    name: str
    at: int


class HaltRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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


class LimitRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A limit's setting after the entry. Key: scope, name, symbol."""

    scope: str
    #: a sub-account, group:NAME, or * for everything
    name: str
    #: of `pms.contract.limits`
    symbol: str
    #: "" for all symbols
    value: str | None
    #: as its limit reads it; None: removed
    actor: str
    reason: str
    at: int
    request_id: str


class LiquidationRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a liquidation and the numbers that caused it. Key: seq, line; written once."""

    seq: int
    line: int
    sub_account_id: str
    action: str
    #: WARN, CANCEL, DELEVERAGE, TAKEOVER, REARM; CLOSE and CLOSED of a liquidation at market
    tier: int
    #: in which the account is from here on
    symbol: str | None
    quantity: Decimal | None
    #: signed, as it was held; it went to the house, or in CLOSE is what is to be closed
    price: Decimal | None
    realized: Decimal | None
    ratio: Decimal | None
    #: maintenance over equity; None where equity covers nothing
    equity: Decimal
    maintenance: Decimal
    #: both as weighed before the step
    tops: str
    #: a JSON object: by symbol the bid, the ask and their exchange time that the account was weighed at
    at: int
    position_side: str = "BOTH"


class UnwindRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the house took over in a symbol and has not yet closed at the exchange. Key: symbol."""

    symbol: str
    quantity: Decimal
    #: signed
    updated_at: int
    began_at: int = 0
    #: since when there is something to close to this side
    began_price: Decimal | None = None
    #: the mark price then, mid where none was heard
    closed: Decimal = Decimal(0)
    #: what the house's own trades have closed since
    last_order: str | None = None
    #: the newest order for it, until its end is counted
    refused: int = 0
    #: how many orders in a row ended without a trade
    refused_at: int = 0
    order_most: Decimal | None = None
    #: the largest next order, where the exchange refused a larger one as too much


class AlgoRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An algo after the entry. Key: id, the requestId of the command that started it."""

    id: str
    kind: str
    #: chase, twap, ...
    sub_account_id: str
    symbol: str
    #: "" where it has several
    side: str
    #: "" where it has both
    terms: str
    #: the command that started it, as it stands after amendments, as JSON
    status: str
    #: running, paused, ending, finished, cancelled, failed
    outcome: str | None
    #: what an ending one will be once its last order is over: finished, cancelled or failed
    reason: str | None
    memory: str
    #: what it keeps in mind beside its slots, as a JSON object
    target: Decimal
    #: never filled beyond; zero where it has none
    arrival: Decimal
    #: mid at the start
    fees: Decimal
    #: paid in USDT
    maker_qty: Decimal
    reprices: int
    started_at: int
    ended_at: int | None
    updated_at: int


class AlgoSlotRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place of an algo, in which one order lives at a time. Key: algo_id, slot."""

    algo_id: str
    slot: int
    symbol: str
    side: str
    target: Decimal
    #: the most that may ever be filled here
    filled: Decimal
    quote: Decimal
    steps: int
    #: how many orders it ever had
    order_id: str | None
    #: the newest, until it is over and counted
    price: Decimal | None
    #: at which the algo wanted that order; None at market, or where it must be looked at again
    sent_price: Decimal | None
    #: and where it was put, by siblings' orders for example
    cancelling: bool
    #: the algo itself wants that order gone
    tries: int
    #: ends in a row that nobody asked for, with nothing filled
    resume_at: int
    #: not before, ms
    moved_at: int
    #: when its order was last placed or repriced
    due_at: int | None
    #: not before, by plan
    state: str
    #: waiting, working, done, skipped
    note: str | None
    #: the last refusal, for people
    updated_at: int
    fees: Decimal = Decimal(0)
    #: paid in USDT
    maker_qty: Decimal = Decimal(0)
    reprices: int = 0


class IncidentRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something an operator should see, as it stands after the entry. Key: seq, that of its opening."""

    seq: int
    kind: str
    severity: str
    #: info, warning, critical
    detail: str
    at: int
    #: when it was opened
    subject: str = ""
    #: what it is about; while it is not resolved, the same kind and subject are the same incident
    evidence: str = "{}"
    #: a JSON object
    state: str = "open"
    #: open, acknowledged, resolved
    times: int = 1
    last_at: int = 0
    #: when it was told last
    acked_by: str | None = None
    acked_at: int | None = None
    ack_reason: str | None = None
    resolved_by: str | None = None
    #: an operator, or `evidence`
    resolved_at: int | None = None
    resolution: str | None = None


class Rows(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The rows an entry leaves, by table; each list may be empty."""

    sub_accounts: tuple[SubAccountRow, ...] = ()
    orders: tuple[OrderRow, ...] = ()
    fills: tuple[FillRow, ...] = ()
    positions: tuple[PositionRow, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    commands: tuple[CommandRow, ...] = ()
    cursors: tuple[CursorRow, ...] = ()
    incidents: tuple[IncidentRow, ...] = ()
    assets: tuple[AssetRow, ...] = ()
    incomes: tuple[IncomeRow, ...] = ()
    fundings: tuple[FundingRow, ...] = ()
    fees: tuple[FeeRow, ...] = ()
    moves: tuple[MoveRow, ...] = ()
    progress: tuple[ProgressRow, ...] = ()
    halts: tuple[HaltRow, ...] = ()
    limits: tuple[LimitRow, ...] = ()
    liquidations: tuple[LiquidationRow, ...] = ()
    unwinds: tuple[UnwindRow, ...] = ()
    algos: tuple[AlgoRow, ...] = ()
    algo_slots: tuple[AlgoSlotRow, ...] = ()


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
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
    except ValueError as error:  # a rotten byte within a string is no msgspec.DecodeError
        raise UnknownFormat(str(error)) from error
    if entry.v not in READABLE:
        raise UnknownFormat(f"entry {entry.seq} is of format {entry.v}, this code reads {sorted(READABLE)}")
    return entry
