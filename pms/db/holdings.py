"""What portfolio risk is reckoned from: all that is held, its limits and which are crossed, at one seq."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.contract.journal import IncidentRow, LimitRow, OrderRow, PositionRow, SubAccountRow
from pms.db import models
from pms.db.engine import reading
from pms.db.rows import fetch, select_as


@dataclass(frozen=True, slots=True)
class Holdings:
    """One snapshot: accounts, open positions, open orders, limits, unresolved incidents of one kind."""

    applied: int
    entry_at: int
    sub_accounts: list[SubAccountRow]
    positions: list[PositionRow]
    orders: list[OrderRow]
    incidents: list[IncidentRow]
    limits: list[LimitRow]
    #: those that are set


async def load_holdings(engine: AsyncEngine, *, incidents_of: str) -> Holdings:
    """Read it in one transaction; cheap whatever the length of history. Raises Unreachable."""
    cursor, accounts, orders = models.journal_cursor, models.sub_accounts, models.orders
    positions, incidents = models.positions, models.incidents
    async with reading(engine) as connection:
        at = (await connection.execute(select(cursor.c.applied, cursor.c.entry_at))).one()
        return Holdings(
            applied=at.applied,
            entry_at=at.entry_at,
            sub_accounts=await fetch(
                connection, select_as(SubAccountRow, accounts).order_by(accounts.c.id), SubAccountRow
            ),
            positions=await fetch(
                connection, select_as(PositionRow, positions).where(positions.c.quantity != 0), PositionRow
            ),
            orders=await fetch(connection, select_as(OrderRow, orders).where(text(models.IS_OPEN)), OrderRow),
            incidents=await fetch(
                connection,
                select_as(IncidentRow, incidents).where(
                    text("state <> 'resolved'"), incidents.c.kind == incidents_of
                ),
                IncidentRow,
            ),
            limits=await fetch(
                connection,
                select_as(LimitRow, models.limits).where(models.limits.c.value.is_not(None)),
                LimitRow,
            ),
        )
