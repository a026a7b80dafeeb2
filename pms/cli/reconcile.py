"""`pms reconcile`: one pass, and a table of what was compared and found."""

from __future__ import annotations

import asyncio
import time
from uuid import uuid4

import click
import msgspec
from rich.table import Table
from rich.text import Text

from pms.cli.output import console
from pms.cli.session import Failed, Session, run
from pms.flows import reconcile as flow

SHOWN = 5


@click.command()
@click.option("--dry-run", is_flag=True, help="Compare only: book nothing, repair nothing, tell nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def reconcile(dry_run: bool, as_json: bool) -> None:
    """Compare exchange, engine, Redis and PostgreSQL; repair what evidence repairs. Exits 1 unless all agree.

    What could not be compared, for the ledger is behind, does not agree. Books only the exchange's own
    trades. What no evidence repairs becomes an incident once it has lasted: `pms incidents`.
    """

    async def work(session: Session) -> flow.Reconciled:
        deps = flow.Deps(
            redis=session.redis,
            database=session.database,
            new_id=lambda: str(uuid4()),
            sleep=asyncio.sleep,
            monotonic=time.monotonic,
        )
        return await flow.reconcile(deps, dry_run=dry_run)

    try:
        found = run(work)
    except flow.NoReport as error:
        raise Failed(f"{error}; `pms status` tells whether it is up") from None
    if as_json:
        click.echo(msgspec.json.encode(as_object(found)))
    else:
        _show(found)
    if not found.agrees:
        raise click.exceptions.Exit(1)


def as_object(found: flow.Reconciled) -> dict[str, object]:
    """The outcome as one JSON object."""
    report = found.report
    return {
        "agrees": found.agrees,
        "dryRun": report.dry_run,
        "booked": report.booked,
        "journaled": report.seq != report.before,
        "seq": report.seq,
        "weight": report.weight,
        "fault": report.fault,
        "comparisons": [msgspec.to_builtins(each) for each in found.comparisons],
    }


def _show(found: flow.Reconciled) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("compared")
    table.add_column("rows", justify="right")
    table.add_column("")
    for each in found.comparisons:
        word, style = (
            (f"{len(each.found)} differ", "bold red")
            if each.found
            else ("not compared" if each.note else "agrees", "yellow" if each.note else "green")
        )
        table.add_row(each.what, str(each.rows), Text(word, style=style))
    console().print(table)
    for each in found.comparisons:
        for line in each.found[:SHOWN]:
            click.secho(f"{each.what}: {line}", fg="red", err=True)
        if len(each.found) > SHOWN:
            click.secho(f"{each.what}: {len(each.found) - SHOWN} more", fg="red", err=True)
        if each.note:
            click.secho(f"{each.what}: not compared: {each.note}", fg="yellow", err=True)
    if found.report.fault:
        click.secho(f"not finished: {found.report.fault}", fg="red", err=True)
    report = found.report
    done = "nothing was changed (dry run)" if report.dry_run else f"{report.booked} missing trades booked"
    click.echo(f"{done}; weight {report.weight} of the exchange's budget")
