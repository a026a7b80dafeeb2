"""The tables, in a schema of our own: the rows of the journal, one to one, and the fold's cursor.

A column is a field of the row in `pms.contract.journal`, under the same name. Decimals are numeric
without scale, so that what was journaled is what is read; times are bigint milliseconds.

No foreign keys: rows are whole facts of a single writer, and a fill must be booked even where its
parent is missing; `public.pms_balances` shows such a gap. The checks hold what is always true.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)

from pms.contract import journal

SCHEMA = "pms"
TERMINAL = ("filled", "cancelled", "expired", "rejected", "void")
"""States that an order never leaves."""

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ck": "%(table_name)s_%(constraint_name)s",
    },
)

_TERMINAL_SQL = ", ".join(f"'{state}'" for state in TERMINAL)
IS_OPEN = f"state NOT IN ({_TERMINAL_SQL})"
IS_TERMINAL = f"state IN ({_TERMINAL_SQL})"


def _key(name: str, kind: type[Text | BigInteger | Integer] = Text) -> Column[object]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _text(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, Text, nullable=null)


def _number(name: str, *, null: bool = False) -> Column[object]:
    return Column(name, Numeric, nullable=null)


def _int(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


def _side(name: str, *, key: bool = False) -> Column[str]:
    """A row of an older release is of the one position that an account had in a symbol."""
    return Column(name, Text, primary_key=key, nullable=False, server_default=text("'BOTH'"))


def _one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _finite(column: str, *, above: str = "'-Infinity'") -> CheckConstraint:
    """To PostgreSQL NaN is the greatest number: the upper bound keeps it out."""
    return CheckConstraint(f"{column} > {above} AND {column} < 'Infinity'", name=column)


sub_accounts = Table(
    "sub_accounts",
    metadata,
    _key("id"),
    _text("label"),
    _text("status"),
    _number("balance"),
    _int("created_at"),
    Column("group", Text, nullable=False, server_default=text("'default'")),
    Column("tier", BigInteger, nullable=False, server_default=text("0")),
    Column("hedge", Boolean, nullable=False, server_default=text("false")),
    Column("closing", BigInteger, nullable=False, server_default=text("0")),
    _one_of("status", "ACTIVE", "FROZEN"),
    _finite("balance"),
    CheckConstraint("id <> ''", name="id"),
)
# A client order id carries the first eight characters: they must tell the owner.
Index("sub_accounts_sub8", func.left(sub_accounts.c.id, text("8")), unique=True)

orders = Table(
    "orders",
    metadata,
    _key("client_order_id"),
    _text("sub_account_id"),
    _text("symbol"),
    _text("side"),
    _text("type"),
    _number("quantity"),
    _number("price", null=True),
    _text("time_in_force", null=True),
    Column("reduce_only", Boolean, nullable=False),
    Column("leverage", Integer, nullable=False),
    _text("origin"),
    _text("parent_id", null=True),
    _text("request_id", null=True),
    _text("state"),
    _text("reason", null=True),
    _int("exchange_order_id", null=True),
    _number("filled_qty"),
    _number("filled_quote"),
    Column("cancel_wanted", Boolean, nullable=False),
    _text("epoch"),
    _int("deadline"),
    _int("admitted_at"),
    _int("updated_at"),
    Column("amends", Integer, nullable=False, server_default=text("0")),
    _number("amend_quantity", null=True),
    _number("amend_price", null=True),
    _text("amend_request_id", null=True),
    _text("amend_epoch", null=True),
    _int("amend_deadline", null=True),
    _int("amend_asked_at", null=True),
    Column("terms_at", BigInteger, nullable=False, server_default=text("0")),
    _side("position_side"),
    Column("venue_reduce_only", Boolean, nullable=False, server_default=text("false")),
    Column("fees", Numeric, nullable=False, server_default=text("0")),
    Column("maker_qty", Numeric, nullable=False, server_default=text("0")),
    _one_of("side", "BUY", "SELL"),
    _one_of("state", "idle", "placing", "active", "partially_filled", "unknown", *TERMINAL),
    _finite("quantity", above="0"),
    _finite("price"),
    _finite("fees"),
    _finite("maker_qty"),
    CheckConstraint("filled_qty >= 0 AND filled_qty < 'Infinity'", name="filled_qty"),
    CheckConstraint("filled_quote >= 0 AND filled_quote < 'Infinity'", name="filled_quote"),
    Index("orders_open", "sub_account_id", "symbol", postgresql_where=text(IS_OPEN)),
    Index("orders_closed_at", "updated_at", postgresql_where=text(IS_TERMINAL)),
    Index("orders_by_account", "sub_account_id", "admitted_at"),
    Index("orders_by_time", "admitted_at"),
    # Not unique: conditional orders live in a second id space of the exchange.
    Index("orders_by_exchange_id", "exchange_order_id", "symbol"),
)

fills = Table(
    "fills",
    metadata,
    _key("symbol"),
    _key("exchange_order_id", BigInteger),
    _key("trade_id", BigInteger),
    _text("client_order_id", null=True),
    _text("sub_account_id"),
    _text("side"),
    _number("price"),
    _number("quantity"),
    _number("commission"),
    _text("commission_asset"),
    _number("realized_pnl"),
    _number("venue_realized_pnl"),
    Column("maker", Boolean, nullable=False),
    _int("venue_time"),
    _side("position_side"),
    _one_of("side", "BUY", "SELL"),
    _finite("price"),
    _finite("quantity", above="0"),
    _finite("commission"),
    _finite("realized_pnl"),
    _finite("venue_realized_pnl"),
    Index("fills_by_account", "sub_account_id", "venue_time"),
    Index("fills_by_time", "venue_time"),
    Index("fills_by_symbol", "symbol", "venue_time"),
    Index("fills_by_order", "client_order_id"),
)

positions = Table(
    "positions",
    metadata,
    _key("sub_account_id"),
    _key("symbol"),
    _text("id"),
    _number("quantity"),
    _number("cost"),
    Column("leverage", Integer, nullable=False),
    _int("opened_seq"),
    _number("realized_pnl"),
    _int("updated_at"),
    Column("leverage_set", Boolean, nullable=False, server_default=text("false")),
    _side("position_side", key=True),
    Column("fees", Numeric, nullable=False, server_default=text("0")),
    _finite("quantity"),
    _finite("cost"),
    _finite("realized_pnl"),
    _finite("fees"),
    Index("positions_open", "symbol", postgresql_where=text("quantity <> 0")),
    Index("positions_by_id", "id"),
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    _key("seq", BigInteger),
    _key("line", Integer),
    _text("sub_account_id"),
    _text("asset"),
    _number("amount"),
    _text("reason"),
    _text("reference", null=True),
    _int("at"),
    _finite("amount"),
    Index("ledger_entries_by_account", "sub_account_id", "seq", "line"),
    Index("ledger_entries_by_time", "at"),
)

# A requestId is remembered for 24 h; whoever uses it again later gets a decision of its own, which
# must neither overwrite the first nor stop the fold: so the time of the decision is in the key.
# What a refused command says of itself is as long as its sender likes, so none of it is indexed but its
# requestId, which the doors bound (and `gather`, where an older door did not): an index row has a size
# limit, and over it nothing could be folded any more.
commands = Table(
    "commands",
    metadata,
    _key("request_id"),
    _text("command"),
    _text("sub_account_id", null=True),
    _text("text"),
    _text("decision"),
    _text("code", null=True),
    _text("client_order_id", null=True),
    _text("answer"),
    _int("received_at"),
    _key("decided_at", BigInteger),
    _one_of("decision", "admitted", "refused", "expired"),
    Index("commands_by_time", "decided_at"),
)

cursors = Table("cursors", metadata, _key("symbol"), _int("trade_id"), _int("updated_at"))

incidents = Table(
    "incidents",
    metadata,
    _key("seq", BigInteger),
    _text("kind"),
    _text("severity"),
    _text("detail"),
    _int("at"),
    _text("subject"),
    _text("evidence"),
    _text("state"),
    _int("times"),
    _int("last_at"),
    _text("acked_by", null=True),
    _int("acked_at", null=True),
    _text("ack_reason", null=True),
    _text("resolved_by", null=True),
    _int("resolved_at", null=True),
    _text("resolution", null=True),
    _one_of("severity", "info", "warning", "critical"),
    _one_of("state", "open", "acknowledged", "resolved"),
    Index("incidents_unresolved", "seq", postgresql_where=text("state <> 'resolved'")),
)

assets = Table("assets", metadata, _key("asset"), _number("balance"), _int("updated_at"), _finite("balance"))

incomes = Table(
    "incomes",
    metadata,
    _key("kind"),
    _key("tran_id", BigInteger),
    _key("asset"),
    _key("symbol"),
    _number("amount"),
    _int("at"),
    _finite("amount"),
    Index("incomes_by_time", "at"),
)

fundings = Table(
    "fundings",
    metadata,
    _key("symbol"),
    _key("at", BigInteger),
    _key("sub_account_id"),
    _number("rate"),
    _number("mark"),
    _number("quantity"),
    _number("amount"),
    _side("position_side", key=True),
    _finite("rate"),
    _finite("mark"),
    _finite("quantity"),
    _finite("amount"),
    Index("fundings_by_account", "sub_account_id", "at"),
)

fees = Table(
    "fees",
    metadata,
    _key("symbol"),
    _key("exchange_order_id", BigInteger),
    _key("trade_id", BigInteger),
    _text("sub_account_id"),
    _text("asset"),
    _number("commission"),
    _number("price", null=True),
    _number("amount", null=True),
    _int("at"),
    _finite("commission"),
    _finite("price", above="0"),
    _finite("amount"),
    Index("fees_unpaid", "asset", postgresql_where=text("price IS NULL")),
)

moves = Table(
    "moves",
    metadata,
    _key("seq", BigInteger),
    _key("line", Integer),
    _text("sub_account_id"),
    _text("symbol"),
    _number("quantity"),
    _int("at"),
    _side("position_side"),
    _finite("quantity"),
    Index("moves_by_symbol", "symbol", "at"),
)

progress = Table("progress", metadata, _key("name"), _int("at"))

halts = Table(
    "halts",
    metadata,
    _key("scope"),
    _text("mode"),
    _text("reason"),
    _text("actor"),
    _int("since"),
    _text("request_id"),
    _one_of("mode", "HALTED", "REDUCE_ONLY", "RESUMED"),
)

limits = Table(
    "limits",
    metadata,
    _key("scope"),
    _key("name"),
    _key("symbol"),
    _text("value", null=True),
    _text("actor"),
    _text("reason"),
    _int("at"),
    _text("request_id"),
)

liquidations = Table(
    "liquidations",
    metadata,
    _key("seq", BigInteger),
    _key("line", Integer),
    _text("sub_account_id"),
    _text("action"),
    _int("tier"),
    _text("symbol", null=True),
    _number("quantity", null=True),
    _number("price", null=True),
    _number("realized", null=True),
    _number("ratio", null=True),
    _number("equity"),
    _number("maintenance"),
    _text("tops"),
    _int("at"),
    _side("position_side"),
    _one_of("action", "WARN", "CANCEL", "DELEVERAGE", "TAKEOVER", "REARM", "CLOSE", "CLOSED"),
    Index("liquidations_by_account", "sub_account_id", "seq"),
)

unwinds = Table(
    "unwinds",
    metadata,
    _key("symbol"),
    _number("quantity"),
    _int("updated_at"),
    Column("began_at", BigInteger, nullable=False, server_default=text("0")),
    _number("began_price", null=True),
    Column("closed", Numeric, nullable=False, server_default=text("0")),
    _text("last_order", null=True),
    Column("refused", BigInteger, nullable=False, server_default=text("0")),
    Column("refused_at", BigInteger, nullable=False, server_default=text("0")),
    _number("order_most", null=True),
    _finite("quantity"),
)

algos = Table(
    "algos",
    metadata,
    _key("id"),
    _text("kind"),
    _text("sub_account_id"),
    _text("symbol"),
    _text("side"),
    _text("terms"),
    _text("status"),
    _text("outcome", null=True),
    _text("reason", null=True),
    _text("memory"),
    _number("target"),
    _number("arrival"),
    _number("fees"),
    _number("maker_qty"),
    _int("reprices"),
    _int("started_at"),
    _int("ended_at", null=True),
    _int("updated_at"),
    _one_of("status", "running", "paused", "ending", "finished", "cancelled", "failed"),
    Index("algos_alive", "started_at", postgresql_where=text("ended_at IS NULL")),
    Index("algos_by_account", "sub_account_id", "started_at"),
    Index("algos_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
)

algo_slots = Table(
    "algo_slots",
    metadata,
    _key("algo_id"),
    _key("slot", BigInteger),
    _text("symbol"),
    _text("side"),
    _number("target"),
    _number("filled"),
    _number("quote"),
    _int("steps"),
    _text("order_id", null=True),
    _number("price", null=True),
    _number("sent_price", null=True),
    Column("cancelling", Boolean, nullable=False),
    _int("tries"),
    _int("resume_at"),
    _int("moved_at"),
    _int("due_at", null=True),
    _text("state"),
    _text("note", null=True),
    _int("updated_at"),
    Column("fees", Numeric, nullable=False, server_default=text("0")),
    Column("maker_qty", Numeric, nullable=False, server_default=text("0")),
    Column("reprices", BigInteger, nullable=False, server_default=text("0")),
    _finite("fees"),
    _finite("maker_qty"),
    _one_of("state", "waiting", "working", "done", "skipped"),
)

journal_cursor = Table(
    "journal_cursor",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("applied", BigInteger, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("entry_at", BigInteger, nullable=False),
    Column("applied_at", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="single"),
)
"""One row. `applied`: seq of the last entry folded, 0 before the first; `entries`: how many so far;
`entry_at`: that entry's own time; `applied_at`: the server's clock at its commit."""


@dataclass(frozen=True, eq=False)
class RowTable:
    """How one list of an entry's rows becomes rows of a table."""

    field: str
    row: type[msgspec.Struct]
    table: Table
    #: Written once: the same row again is ignored, a differing one contradicts. Else the newest wins.
    once: bool = False

    @property
    def name(self) -> str:
        return self.table.fullname

    @property
    def columns(self) -> tuple[str, ...]:
        return self.row.__struct_fields__

    @cached_property
    def key(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.primary_key)


ROW_TABLES = (
    RowTable("sub_accounts", journal.SubAccountRow, sub_accounts),
    RowTable("orders", journal.OrderRow, orders),
    RowTable("fills", journal.FillRow, fills, once=True),
    RowTable("positions", journal.PositionRow, positions),
    RowTable("ledger", journal.LedgerRow, ledger_entries, once=True),
    RowTable("commands", journal.CommandRow, commands, once=True),
    RowTable("cursors", journal.CursorRow, cursors),
    RowTable("incidents", journal.IncidentRow, incidents),
    RowTable("assets", journal.AssetRow, assets),
    RowTable("incomes", journal.IncomeRow, incomes, once=True),
    RowTable("fundings", journal.FundingRow, fundings, once=True),
    RowTable("fees", journal.FeeRow, fees),
    RowTable("moves", journal.MoveRow, moves, once=True),
    RowTable("progress", journal.ProgressRow, progress),
    RowTable("halts", journal.HaltRow, halts),
    RowTable("limits", journal.LimitRow, limits),
    RowTable("liquidations", journal.LiquidationRow, liquidations, once=True),
    RowTable("unwinds", journal.UnwindRow, unwinds),
    RowTable("algos", journal.AlgoRow, algos),
    RowTable("algo_slots", journal.AlgoSlotRow, algo_slots),
)
