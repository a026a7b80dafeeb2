"""`pms import`: a desk's sub-accounts, balances and positions, journaled like any other command.

Every step has a requestId made of the account and what it brings, so a repeat of the same file after
a fault goes on where it stopped, and a file that was imported imports nothing again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import click

from pms.cli.attempts import attempts
from pms.cli.import_file import ImportedAccount, ImportedPosition, read_accounts
from pms.cli.output import Column, number, print_list, refused
from pms.cli.session import Session, run, warn_if_live
from pms.contract import names
from pms.contract.money import encode_canonical
from pms.db import queries

REASON = "import"
PLAN = (
    Column("account", "account", long=True),
    Column("step", "step"),
    number("amount", "amount"),
    Column("symbol", "symbol"),
    number("quantity", "quantity"),
    number("entryPrice", "entry"),
    Column("state", "state"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One command of an import."""

    command: str
    fields: dict[str, Any]
    shown: dict[str, Any]

    def request_id(self, attempt: int) -> str:
        """The same for the same step of the same account, whenever it is tried."""
        content = encode_canonical(self.fields).decode()
        return str(uuid5(NAMESPACE_OID, f"pms import {attempt} {self.command} {content}"))


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Read and check the file, show the steps, do nothing.")
@click.option("--json", "as_json", is_flag=True, help="The steps as a JSON array.")
def import_(file: Path, dry_run: bool, as_json: bool) -> None:
    """Take over accounts, balances and positions from a CSV or JSON FILE.

    CSV columns: account, label, balance, symbol, side, quantity, entryPrice, leverage; one row for each
    position, a row without symbol for a balance alone. Balances come from the house, positions too: the
    exchange account's own net stays what it is.
    """
    steps = plan(read_accounts(file))
    if dry_run:
        rows = [{**step.shown, "state": "planned"} for step in steps]
        print_list(rows, PLAN, form="json" if as_json else None, empty="nothing to import")
        return

    async def work(session: Session) -> list[dict[str, Any]]:
        warn_if_live(session.settings)
        return await carry_out(session, steps)

    done = run(work)
    print_list(done, PLAN, form="json" if as_json else None, empty="nothing to import")
    faults = [row for row in done if row["state"] == "refused"]
    for row in faults:
        click.secho(f"{row['account']} {row['step']}: {row['error']}", fg="red", err=True)
    if faults:
        click.secho("put it right and import the same file again: what is done is not done twice", err=True)
        raise click.exceptions.Exit(1)


def plan(accounts: list[ImportedAccount]) -> list[Step]:
    """The commands that bring the accounts in: each account, its balance, its positions."""
    steps: list[Step] = []
    for account in accounts:
        fields: dict[str, Any] = {"subAccountId": account.id, "label": account.label}
        steps.append(Step("pms.create_account", fields, _shown(account, "create")))
        if account.balance:
            fields = {
                "fromAccountId": names.HOUSE,
                "toAccountId": account.id,
                "amount": account.balance,
                "reason": REASON,
            }
            steps.append(Step("pms.transfer", fields, _shown(account, "fund", amount=account.balance)))
        steps += [_position_step(account, position) for position in account.positions]
    return steps


async def carry_out(session: Session, steps: list[Step]) -> list[dict[str, Any]]:
    """Do the steps in order; an account whose step is refused is left there, the others go on."""
    done: list[dict[str, Any]] = []
    stopped: set[str] = set()
    existing = {account.id for account in await queries.accounts(session.database)}
    for step in steps:
        account = step.shown["account"]
        if account in stopped:
            done.append({**step.shown, "state": "not tried"})
        elif step.command == "pms.create_account" and account in existing:
            done.append({**step.shown, "state": "exists"})
        elif (tried := await attempts(session, step.request_id)).admitted:
            done.append({**step.shown, "state": "was done"})
        else:
            result = await session.send(step.command, step.fields, request_id=tried.open_id)
            if result["success"]:
                done.append({**step.shown, "state": "done"})
            else:
                stopped.add(account)
                done.append({**step.shown, "state": "refused", "error": refused(result)})
    return done


def _position_step(account: ImportedAccount, position: ImportedPosition) -> Step:
    fields = {
        "subAccountId": account.id,
        "symbol": position.symbol,
        "quantity": position.quantity,
        "entryPrice": position.entry_price,
        "reason": REASON,
    }
    if position.leverage is not None:
        fields["leverage"] = position.leverage
    shown = _shown(
        account,
        "position",
        symbol=position.symbol,
        quantity=position.quantity,
        entryPrice=position.entry_price,
    )
    return Step("pms.import_position", fields, shown)


def _shown(account: ImportedAccount, step: str, **parts: Any) -> dict[str, Any]:
    empty = {"amount": None, "symbol": None, "quantity": None, "entryPrice": None}
    return {"account": account.id, "step": step, **empty, **parts}
