"""What people ask the ledger: for the command line, the portal and the independent checks.

Lists come newest first where there is a time, `limit` None gives all. Each call is one snapshot and
raises Unreachable. Rows of the journal come as themselves; the rest as the structs below.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Select, column, func, select, table, text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.contract.journal import (
    AlgoRow,
    AlgoSlotRow,
    CommandRow,
    CursorRow,
    FillRow,
    IncidentRow,
    LedgerRow,
    LimitRow,
    LiquidationRow,
    OrderRow,
    PositionRow,
    SubAccountRow,
)
from pms.db import models
from pms.db.engine import reading
from pms.db.rows import T, fetch, select_as


class OpenPosition(msgspec.Struct, frozen=True, kw_only=True):
    """An open position as people read it: side and size instead of a sign, entry price of eight decimals."""

    id: str
    sub_account_id: str
    symbol: str
    side: str
    #: LONG or SHORT
    quantity: Decimal
    entry_price: Decimal
    notional: Decimal
    #: at the entry price
    leverage: int
    realized_pnl: Decimal
    opened_seq: int
    updated_at: int
    position_side: str
    #: BOTH, or in hedge mode the side
    fees: Decimal
    #: paid for it since it was opened
    break_even_price: Decimal


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """A sub-account's balance beside the sum of its ledger; balance None: a ledger without account."""

    sub_account_id: str
    balance: Decimal | None
    ledger_sum: Decimal
    drift: Decimal
    lines: int
    agrees: bool


class ReasonSum(msgspec.Struct, frozen=True, kw_only=True):
    """All ledger entries of an account for one reason."""

    reason: str
    amount: Decimal
    lines: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is of everything, and how far the journal is folded."""

    applied: int
    entries: int
    entry_at: int
    applied_at: int
    sub_accounts: int
    orders: int
    open_orders: int
    fills: int
    ledger_entries: int
    commands: int
    incidents: int


async def accounts(engine: AsyncEngine) -> list[SubAccountRow]:
    """All sub-accounts, oldest first."""
    accounts = models.sub_accounts
    statement = select_as(SubAccountRow, accounts).order_by(accounts.c.created_at, accounts.c.id)
    return await _read(engine, statement, SubAccountRow)


async def limits(engine: AsyncEngine) -> list[LimitRow]:
    """The limits that are set, everything's first."""
    rows = models.limits
    statement = select_as(LimitRow, rows).where(rows.c.value.is_not(None))
    return await _read(engine, statement.order_by(rows.c.scope, rows.c.name, rows.c.symbol), LimitRow)


async def balances(engine: AsyncEngine) -> list[Balance]:
    """Every balance beside the sum of its ledger entries."""
    view = _view("pms_balances", Balance)
    return await _read(engine, select_as(Balance, view).order_by(view.c.sub_account_id), Balance)


async def positions(
    engine: AsyncEngine, *, sub_account_id: str | None = None, symbol: str | None = None
) -> list[OpenPosition]:
    """Open positions by account and symbol."""
    view = _view("pms_positions", OpenPosition)
    statement = select_as(OpenPosition, view).order_by(
        view.c.sub_account_id, view.c.symbol, view.c.position_side
    )
    return await _read(
        engine, _only(statement, view, sub_account_id=sub_account_id, symbol=symbol), OpenPosition
    )


async def every(engine: AsyncEngine, row: type[T]) -> list[T]:
    """All rows of a kind, in no order."""
    table_ = next(each.table for each in models.ROW_TABLES if each.row is row)
    return await _read(engine, select_as(row, table_), row)


async def position_rows(engine: AsyncEngine, *, open_only: bool = False) -> list[PositionRow]:
    """All positions as they were journaled, the closed ones too unless told otherwise."""
    rows = models.positions
    statement = select_as(PositionRow, rows).order_by(
        rows.c.sub_account_id, rows.c.symbol, rows.c.position_side
    )
    if open_only:
        statement = statement.where(rows.c.quantity != 0)
    return await _read(engine, statement, PositionRow)


async def orders(
    engine: AsyncEngine,
    *,
    sub_account_id: str | None = None,
    symbol: str | None = None,
    open_only: bool = False,
    limit: int | None = 100,
) -> list[OrderRow]:
    """Orders, the last admitted first."""
    rows = models.orders
    statement = select_as(OrderRow, rows).order_by(rows.c.admitted_at.desc(), rows.c.client_order_id)
    if open_only:
        statement = statement.where(text(models.IS_OPEN))
    statement = _only(statement, rows, sub_account_id=sub_account_id, symbol=symbol)
    return await _read(engine, statement.limit(limit), OrderRow)


async def fills(
    engine: AsyncEngine,
    *,
    sub_account_id: str | None = None,
    symbol: str | None = None,
    client_order_id: str | None = None,
    exchange_order_id: int | None = None,
    limit: int | None = 100,
) -> list[FillRow]:
    """Fills, the latest at the exchange first."""
    rows = models.fills
    statement = select_as(FillRow, rows).order_by(
        rows.c.venue_time.desc(), rows.c.symbol, rows.c.trade_id.desc(), rows.c.exchange_order_id.desc()
    )
    statement = _only(
        statement, rows, sub_account_id=sub_account_id, symbol=symbol, client_order_id=client_order_id
    )
    if exchange_order_id is not None:
        statement = statement.where(rows.c.exchange_order_id == exchange_order_id)
    return await _read(engine, statement.limit(limit), FillRow)


async def ledger(
    engine: AsyncEngine, *, sub_account_id: str | None = None, limit: int | None = 100
) -> list[LedgerRow]:
    """Balance movements, the last booked first."""
    rows = models.ledger_entries
    statement = select_as(LedgerRow, rows).order_by(rows.c.seq.desc(), rows.c.line.desc())
    return await _read(engine, _only(statement, rows, sub_account_id=sub_account_id).limit(limit), LedgerRow)


async def ledger_sums(engine: AsyncEngine, *, sub_account_id: str) -> list[ReasonSum]:
    """What an account's balance is made of: its ledger entries by reason."""
    rows = models.ledger_entries
    statement = (
        select(rows.c.reason, func.sum(rows.c.amount).label("amount"), func.count().label("lines"))
        .where(rows.c.sub_account_id == sub_account_id)
        .group_by(rows.c.reason)
        .order_by(rows.c.reason)
    )
    return await _read(engine, statement, ReasonSum)


async def commands(
    engine: AsyncEngine,
    *,
    decision: str | None = None,
    named: tuple[str, ...] | None = None,
    limit: int | None = 100,
) -> list[CommandRow]:
    """Commands and what was decided, the last decided first."""
    rows = models.commands
    statement = select_as(CommandRow, rows).order_by(rows.c.decided_at.desc(), rows.c.request_id)
    if named is not None:
        statement = statement.where(rows.c.command.in_(named))
    return await _read(engine, _only(statement, rows, decision=decision).limit(limit), CommandRow)


async def find_command(engine: AsyncEngine, request_id: str) -> CommandRow | None:
    """A command by its requestId; the last, where one was used again after its 24 h."""
    rows = models.commands
    statement = select_as(CommandRow, rows).where(rows.c.request_id == request_id)
    found = await _read(engine, statement.order_by(rows.c.decided_at.desc()).limit(1), CommandRow)
    return found[0] if found else None


async def incidents(
    engine: AsyncEngine,
    *,
    severity: str | None = None,
    unresolved_only: bool = False,
    limit: int | None = 100,
) -> list[IncidentRow]:
    """What an operator should see, the last first."""
    rows = models.incidents
    statement = select_as(IncidentRow, rows).order_by(rows.c.seq.desc())
    if unresolved_only:
        statement = statement.where(text("state <> 'resolved'"))
    return await _read(engine, _only(statement, rows, severity=severity).limit(limit), IncidentRow)


async def liquidations(
    engine: AsyncEngine, *, sub_account_id: str | None = None, limit: int | None = 100
) -> list[LiquidationRow]:
    """Steps of liquidations, the last first."""
    rows = models.liquidations
    statement = select_as(LiquidationRow, rows).order_by(rows.c.seq.desc(), rows.c.line.desc())
    return await _read(
        engine, _only(statement, rows, sub_account_id=sub_account_id).limit(limit), LiquidationRow
    )


async def algos(
    engine: AsyncEngine, *, sub_account_id: str | None = None, ended: bool, limit: int | None = 100
) -> list[AlgoRow]:
    """Algos that run, the last started first; or those that have ended, the last ended first."""
    rows = models.algos
    newest = rows.c.ended_at if ended else rows.c.started_at
    statement = select_as(AlgoRow, rows).order_by(newest.desc(), rows.c.id)
    statement = statement.where(rows.c.ended_at.is_not(None) if ended else rows.c.ended_at.is_(None))
    return await _read(engine, _only(statement, rows, sub_account_id=sub_account_id).limit(limit), AlgoRow)


async def find_algos(engine: AsyncEngine, algo_id: str) -> list[AlgoRow]:
    """The algos whose id begins with these characters, two at most."""
    rows = models.algos
    statement = select_as(AlgoRow, rows).where(rows.c.id.startswith(algo_id, autoescape=True))
    return await _read(engine, statement.order_by(rows.c.id).limit(2), AlgoRow)


async def algo_slots(engine: AsyncEngine, algo_ids: list[str]) -> list[AlgoSlotRow]:
    """The slots of algos, in their order."""
    rows = models.algo_slots
    statement = select_as(AlgoSlotRow, rows).where(rows.c.algo_id.in_(algo_ids))
    return await _read(engine, statement.order_by(rows.c.algo_id, rows.c.slot), AlgoSlotRow)


async def cursors(engine: AsyncEngine) -> list[CursorRow]:
    """The proven cursor of each symbol's trades."""
    statement = select_as(CursorRow, models.cursors).order_by(models.cursors.c.symbol)
    return await _read(engine, statement, CursorRow)


async def counts(engine: AsyncEngine) -> Counts:
    """Row counts and the fold's cursor, of one snapshot."""
    cursor = models.journal_cursor
    statement = select(
        cursor.c.applied,
        cursor.c.entries,
        cursor.c.entry_at,
        cursor.c.applied_at,
        _count(models.sub_accounts),
        _count(models.orders),
        _count(models.orders, models.IS_OPEN).label("open_orders"),
        _count(models.fills),
        _count(models.ledger_entries),
        _count(models.commands),
        _count(models.incidents),
    )
    return (await _read(engine, statement, Counts))[0]


async def _read(engine: AsyncEngine, statement: Select[Any], row: type[T]) -> list[T]:
    async with reading(engine) as connection:
        return await fetch(connection, statement, row)


def _only(statement: Select[Any], source: Any, **wanted: str | None) -> Select[Any]:
    """Keep the rows whose columns have the wanted values; None wants any."""
    for name, value in wanted.items():
        if value is not None:
            statement = statement.where(source.c[name] == value)
    return statement


def _view(name: str, row: type[msgspec.Struct]) -> Any:
    return table(name, *(column(field) for field in row.__struct_fields__), schema="public")


def _count(source: Any, condition: str | None = None) -> Any:
    statement = select(func.count()).select_from(source)
    if condition is not None:
        statement = statement.where(text(condition))
    return statement.scalar_subquery().label(source.name)
