"""What the ledger holds: `pms positions`, `orders`, `fills`, `ledger`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pms.cli.output import Column, Form, instant, listing, number, print_list, row_of
from pms.cli.session import run
from pms.contract.money import plain
from pms.db import queries

F = TypeVar("F", bound=Callable[..., Any])

_ACCOUNT = Column("subAccountId", "account", long=True)
_SYMBOL = Column("symbol", "symbol")
_SIDE = Column("side", "side")
POSITIONS = (
    _ACCOUNT,
    _SYMBOL,
    _SIDE,
    number("quantity", "quantity"),
    number("entryPrice", "entry"),
    number("notional", "notional"),
    Column("leverage", "lev", right=True),
    Column("id", "id", text=lambda value: str(value)[:8]),
)
ORDERS = (
    instant("admittedAt", "time"),
    _ACCOUNT,
    _SYMBOL,
    _SIDE,
    number("filledQty", "filled"),
    number("quantity", "quantity"),
    Column("price", "price", text=lambda price: "market" if price is None else plain(price), right=True),
    Column("state", "state", text=lambda state: state.removesuffix("_filled")),
    Column("exchangeOrderId", "order", right=True),
)
FILLS = (
    instant("venueTime", "time"),
    _ACCOUNT,
    _SYMBOL,
    _SIDE,
    number("quantity", "quantity"),
    number("price", "price"),
    number("commission", "fee"),
    number("realizedPnl", "realised"),
    Column("maker", "", text=lambda maker: "maker" if maker else "taker"),
)
LEDGER = (
    instant("at", "time"),
    _ACCOUNT,
    number("amount", "amount"),
    Column("asset", "asset"),
    Column("reason", "reason"),
    Column("reference", "reference", long=True),
)


def _of_account(function: F) -> F:
    return click.option("--account", help="Only this sub-account.")(function)


def _of_symbol(function: F) -> F:
    return click.option("--symbol", type=str.upper, help="Only this symbol.")(function)


def _limited(function: F) -> F:
    return click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="Rows.")(
        function
    )


@click.command()
@_of_account
@_of_symbol
@listing
def positions(account: str | None, symbol: str | None, form: Form | None) -> None:
    """Open positions of every sub-account, the house's too."""
    found = run(lambda s: queries.positions(s.database, sub_account_id=account, symbol=symbol))
    print_list([row_of(row) for row in found], POSITIONS, form=form, empty="no open positions")


@click.command()
@_of_account
@_of_symbol
@click.option("--all", "closed_too", is_flag=True, help="Closed orders too.")
@_limited
@listing
def orders(account: str | None, symbol: str | None, closed_too: bool, limit: int, form: Form | None) -> None:
    """Open orders, the last admitted first."""
    found = run(
        lambda s: queries.orders(
            s.database, sub_account_id=account, symbol=symbol, open_only=not closed_too, limit=limit
        )
    )
    empty = "no orders" if closed_too else "no open orders (`--all` shows closed ones)"
    print_list([row_of(row) for row in found], ORDERS, form=form, empty=empty)


@click.command()
@_of_account
@_of_symbol
@_limited
@listing
def fills(account: str | None, symbol: str | None, limit: int, form: Form | None) -> None:
    """Trades of our orders, the latest at the exchange first."""
    found = run(lambda s: queries.fills(s.database, sub_account_id=account, symbol=symbol, limit=limit))
    print_list([row_of(row) for row in found], FILLS, form=form, empty="no fills")


@click.command()
@_of_account
@_limited
@listing
def ledger(account: str | None, limit: int, form: Form | None) -> None:
    """Movements of balances, the last booked first."""
    found = run(lambda s: queries.ledger(s.database, sub_account_id=account, limit=limit))
    print_list([row_of(row) for row in found], LEDGER, form=form, empty="no ledger entries")
