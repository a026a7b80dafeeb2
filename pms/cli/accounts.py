"""Sub-accounts: `pms accounts list | create | fund | freeze`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import click

from pms.cli.amounts import AMOUNT
from pms.cli.output import Column, Form, listing, number, print_list, print_result, row_of
from pms.cli.session import Session, run
from pms.contract import names
from pms.contract.limits import DEFAULT_GROUP
from pms.contract.money import decode_object
from pms.db import queries

COLUMNS = (
    Column("id", "account", long=True),
    Column("label", "label", long=True),
    Column("status", "status"),
    Column("hedge", "mode", text=lambda hedge: "hedge" if hedge else "one-way"),
    Column("group", "group"),
    number("balance", "balance"),
    number("equity", "equity"),
    number("marginUsed", "margin used"),
    number("availableMargin", "available"),
)


@click.group(invoke_without_command=True)
@click.pass_context
def accounts(context: click.Context) -> None:
    """Virtual sub-accounts; without a word more, lists them."""
    if context.invoked_subcommand is None:
        context.invoke(list_accounts)


@accounts.command("list")
@listing
def list_accounts(form: Form | None = None) -> None:
    """Every sub-account with its balance, and its equity where the engine follows it."""
    found = run(_accounts)
    print_list(found, COLUMNS, form=form, empty="no accounts yet: `pms accounts create alice --fund 1000`")


@accounts.command()
@click.argument("account")
@click.option("--label", default="", help="A name for people.")
@click.option("--group", default=DEFAULT_GROUP, show_default=True, help="Whose limits it shares.")
@click.option("--fund", type=AMOUNT, help="Move this much from the house at once.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def create(account: str, label: str, group: str, fund: Decimal | None, as_json: bool) -> None:
    """Create a sub-account; its first eight characters must be free."""

    async def work(session: Session) -> dict[str, Any]:
        fields = {"subAccountId": account, "label": label, "group": group}
        result = await session.send("pms.create_account", fields)
        if result["success"] and fund is not None:
            # Typed again, `create` is refused before it comes to the money.
            request_id = str(uuid4())
            again = (
                f"Repeat with `pms accounts fund {account} {fund} --request-id {request_id}`, never without"
            )
            result = await _fund(session, account, fund, request_id=request_id, again=again)
            if not result["success"]:
                click.secho(f"{account} is created; the money is refused:", fg="yellow", err=True)
        return result

    print_result(run(work), as_json=as_json)


@accounts.command()
@click.argument("account")
@click.argument("amount", type=AMOUNT)
@click.option("--from", "payer", default=names.HOUSE, show_default=True, help="Who pays.")
@click.option("--request-id", help="Repeat a transfer whose answer was lost: it is booked once.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def fund(account: str, amount: Decimal, payer: str, request_id: str | None, as_json: bool) -> None:
    """Move balance to a sub-account, from the house if no other payer is named."""
    result = run(lambda session: _fund(session, account, amount, payer=payer, request_id=request_id))
    print_result(result, as_json=as_json)


@accounts.command()
@click.argument("account")
@click.option("--lift", is_flag=True, help="Let it open positions again.")
@click.option("--reason", default="", help="Why, for the journal.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def freeze(account: str, lift: bool, reason: str, as_json: bool) -> None:
    """Freeze a sub-account: it may only reduce what it has."""
    fields = {"subAccountId": account, "frozen": not lift, "reason": reason}
    print_result(run(lambda session: session.send("pms.freeze", fields)), as_json=as_json)


async def _fund(
    session: Session,
    account: str,
    amount: Decimal,
    *,
    payer: str = names.HOUSE,
    request_id: str | None = None,
    again: str | None = None,
) -> dict[str, Any]:
    fields = {"fromAccountId": payer, "toAccountId": account, "amount": amount}
    return await session.send("pms.transfer", fields, request_id=request_id, again=again)


async def _accounts(session: Session) -> list[dict[str, Any]]:
    rows = [row_of(row) for row in await queries.accounts(session.database)]
    for row in rows:
        snapshot = await snapshot_of(session.redis, row["id"])
        for name in ("equity", "marginUsed", "availableMargin"):
            row[name] = snapshot.get(name)
    return rows


async def snapshot_of(redis: Any, account: str) -> dict[str, Any]:
    """The engine's own view of a sub-account; empty when it follows none."""
    text = await redis.get(names.risk_key(account))
    return decode_object(text) if text else {}
