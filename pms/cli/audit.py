"""`pms audit`: the independent reader. Exits 0 only if exchange, PostgreSQL and engine agree."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from decimal import Decimal

import click
from rich.table import Table
from rich.text import Text

from pms.cli.audit_checks import Check, compare
from pms.cli.audit_money import compare_money, drift
from pms.cli.audit_read import journal_end, read_engine, read_exchange, read_ledger, read_money
from pms.cli.exchange import ExchangeReader
from pms.cli.output import console
from pms.cli.session import Session, run
from pms.contract.money import encode
from pms.db import queries
from pms.db.queries import Counts

SHOWN_FAULTS = 5
AGAIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Audit:
    """What one reading of the three books found."""

    checks: list[Check]
    counts: Counts
    drift: dict[str, Decimal]
    #: ours less the exchange's, by symbol and asset, where they differ

    @property
    def agrees(self) -> bool:
        return all(check.agrees for check in self.checks)


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
    found = run(lambda session: settled(session, settle))
    if as_json:
        click.echo(encode(as_object(found)))
    else:
        print_checks(found)
    if not found.agrees:
        raise click.exceptions.Exit(1)


async def settled(session: Session, seconds: float) -> Audit:
    """Compare until everything agrees or the time for settling is over."""
    until = time.monotonic() + seconds
    async with ExchangeReader(session.settings) as reader:
        while True:
            found = await once(session, reader)
            if found.agrees or time.monotonic() > until:
                return found
            await asyncio.sleep(AGAIN_S)


async def once(session: Session, reader: ExchangeReader) -> Audit:
    """Read the three books and compare them."""
    end = await journal_end(session.redis)
    ledger = await read_ledger(session.database)
    symbols = {fill.symbol for fill in ledger.fills} | {symbol for _, symbol, _ in ledger.positions}
    exchange = await read_exchange(reader, symbols, since=ledger.opened_at)
    engine = await read_engine(session.redis, set(ledger.balances))
    money = await read_money(reader, session.database, ledger)
    counts = await queries.counts(session.database)
    folded = Check("the whole journal is in PostgreSQL", counts.entries)
    if counts.applied < end:
        folded.faults.append(f"applied {counts.applied}, the journal ends with {end}")
    checks = [folded, *compare(exchange, ledger, engine), *compare_money(exchange, ledger, money)]
    return Audit(checks, counts, drift(exchange, ledger, money))


def as_object(found: Audit) -> dict[str, object]:
    """The outcome as one JSON object."""
    checks, counts = found.checks, found.counts
    return {
        "agrees": found.agrees,
        "drift": found.drift,
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


def print_checks(found: Audit) -> None:
    """Print one line a comparison, its first differences, the drift, and how much was compared."""
    checks, counts = found.checks, found.counts
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
    for name, amount in found.drift.items():
        click.secho(f"drift of {name}: {amount:f}", fg="red", err=True)
    click.echo(
        f"PostgreSQL: {counts.sub_accounts} accounts, {counts.orders} orders, {counts.fills} fills, "
        f"{counts.ledger_entries} ledger entries, {counts.commands} commands, {counts.entries} of the journal"
    )
