"""`pms audit`: the independent reader. Exits 0 only if exchange, PostgreSQL and engine agree."""

from __future__ import annotations

import asyncio
import time

import click
from rich.table import Table
from rich.text import Text

from pms.cli.audit_checks import Check, compare
from pms.cli.audit_read import journal_end, read_engine, read_exchange, read_ledger
from pms.cli.exchange import ExchangeReader
from pms.cli.output import console
from pms.cli.session import Session, run
from pms.contract.money import encode
from pms.db import queries
from pms.db.queries import Counts

SHOWN_FAULTS = 5
AGAIN_S = 0.5


@click.command()
@click.option(
    "--settle",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds for what is in flight to be folded, before a difference counts.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def audit(settle: float, as_json: bool) -> None:
    """Recompute positions and balances from the exchange's trades and compare, to the last digit."""
    checks, counts = run(lambda session: settled(session, settle))
    if as_json:
        click.echo(encode(as_object(checks, counts)))
    else:
        print_checks(checks, counts)
    if not all(check.agrees for check in checks):
        raise click.exceptions.Exit(1)


async def settled(session: Session, seconds: float) -> tuple[list[Check], Counts]:
    """Compare until everything agrees or the time for settling is over."""
    until = time.monotonic() + seconds
    async with ExchangeReader(session.settings) as reader:
        while True:
            checks, counts = await once(session, reader)
            if all(check.agrees for check in checks) or time.monotonic() > until:
                return checks, counts
            await asyncio.sleep(AGAIN_S)


async def once(session: Session, reader: ExchangeReader) -> tuple[list[Check], Counts]:
    """Read the three books and compare them."""
    end = await journal_end(session.redis)
    ledger = await read_ledger(session.database)
    symbols = {fill.symbol for fill in ledger.fills} | {symbol for _, symbol in ledger.positions}
    exchange = await read_exchange(reader, symbols, since=ledger.opened_at)
    engine = await read_engine(session.redis, set(ledger.balances))
    counts = await queries.counts(session.database)
    folded = Check("the whole journal is in PostgreSQL", counts.entries)
    if counts.applied < end:
        folded.faults.append(f"applied {counts.applied}, the journal ends with {end}")
    return [folded, *compare(exchange, ledger, engine)], counts


def as_object(checks: list[Check], counts: Counts) -> dict[str, object]:
    """The outcome as one JSON object."""
    return {
        "agrees": all(check.agrees for check in checks),
        "checks": [
            {"name": check.name, "rows": check.rows, "agrees": check.agrees, "faults": check.faults}
            for check in checks
        ],
        "counts": {
            "accounts": counts.sub_accounts,
            "orders": counts.orders,
            "fills": counts.fills,
            "ledgerEntries": counts.ledger_entries,
            "commands": counts.commands,
            "journalEntries": counts.entries,
        },
    }


def print_checks(checks: list[Check], counts: Counts) -> None:
    """Print one line a comparison, its first differences, and how much was compared."""
    table = Table(box=None, pad_edge=False, show_header=True, header_style="bold")
    table.add_column("comparison")
    table.add_column("rows", justify="right")
    table.add_column("")
    for check in checks:
        word, style = ("agrees", "green") if check.agrees else ("DIFFERS", "bold red")
        table.add_row(check.name, str(check.rows), Text(word, style=style))
    console().print(table)
    for check in checks:
        for fault in check.faults[:SHOWN_FAULTS]:
            click.secho(f"{check.name}: {fault}", fg="red", err=True)
        if len(check.faults) > SHOWN_FAULTS:
            click.secho(f"{check.name}: {len(check.faults) - SHOWN_FAULTS} more", fg="red", err=True)
    click.echo(
        f"PostgreSQL: {counts.sub_accounts} accounts, {counts.orders} orders, {counts.fills} fills, "
        f"{counts.ledger_entries} ledger entries, {counts.commands} commands, {counts.entries} of the journal"
    )
