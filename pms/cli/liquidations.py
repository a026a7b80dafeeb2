"""`pms liquidations`: each step of each liquidation, with the numbers that caused it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.cli.output import Column, Form, instant, listing, number, print_list, row_of
from pms.cli.session import run
from pms.contract.journal import UnwindRow
from pms.contract.money import plain
from pms.contract.names import INSURANCE
from pms.db import queries

COLUMNS = (
    instant("at", "time"),
    Column("subAccountId", "account", long=True),
    Column("action", "step"),
    Column("symbol", "symbol"),
    number("quantity", "quantity"),
    number("price", "price"),
    number("realized", "realised"),
    number("ratio", "ratio"),
)


@click.command()
@click.option("--account", metavar="ID", help="Only this sub-account's.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="Rows.")
@listing
def liquidations(account: str | None, limit: int, form: Form | None) -> None:
    """Steps of liquidations, newest first: what went to the house, at which price, and why.

    CLOSE is what is to be closed at market by the sub-account's own orders, CLOSED the end of it.

    The ratio is maintenance margin over equity before the step; none where equity covered nothing.
    """
    rows, left, closing, insurance = run(lambda s: _read(s.database, account, limit))
    print_list(rows, COLUMNS, form=form, empty="nobody was liquidated")
    if form is None:
        for row in left:
            click.echo(f"the house has yet to close {plain(row.quantity)} {row.symbol}")
        for name in closing:
            click.echo(f"{name} is being closed at market")
        click.echo(f"the insurance holds {plain(insurance)} USDT")


async def _read(
    database: AsyncEngine, account: str | None, limit: int
) -> tuple[list[dict[str, Any]], list[UnwindRow], list[str], Decimal]:
    found = await queries.liquidations(database, sub_account_id=account, limit=limit)
    left = [row for row in await queries.every(database, UnwindRow) if row.quantity]
    accounts = await queries.accounts(database)
    closing = sorted(row.id for row in accounts if row.closing)
    held = sum((row.balance for row in accounts if row.id == INSURANCE), Decimal(0))
    return [row_of(row) for row in found], sorted(left, key=lambda row: row.symbol), closing, held
