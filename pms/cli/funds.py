"""`pms deposit` and `pms withdraw`: money between the house and a sub-account."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

import click

from pms.cli.amounts import AMOUNT
from pms.cli.output import print_result
from pms.cli.session import run

F = TypeVar("F", bound=Callable[..., Any])


def _moving(function: F) -> F:
    """Add what both commands take."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="The result as JSON."),
        click.option("--request-id", help="Repeat a command whose answer was lost: it is booked once."),
        click.option("--reason", default="", help="Why, for the journal."),
        click.argument("amount", type=AMOUNT),
        click.argument("account"),
    ):
        function = option(function)
    return function


@click.command()
@_moving
def deposit(account: str, amount: Decimal, reason: str, request_id: str | None, as_json: bool) -> None:
    """Give a sub-account money that the house holds."""
    _send("pms.deposit", account, amount, reason, request_id=request_id, as_json=as_json)


@click.command()
@_moving
def withdraw(account: str, amount: Decimal, reason: str, request_id: str | None, as_json: bool) -> None:
    """Take money that a sub-account can spare back to the house.

    What its positions and orders hold back stays, and so does profit that is not realised.
    """
    _send("pms.withdraw", account, amount, reason, request_id=request_id, as_json=as_json)


def _send(
    command: str, account: str, amount: Decimal, reason: str, *, request_id: str | None, as_json: bool
) -> None:
    fields = {"subAccountId": account, "amount": amount, "reason": reason}
    print_result(run(lambda session: session.send(command, fields, request_id=request_id)), as_json=as_json)
