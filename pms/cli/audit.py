"""`pms audit`: the independent reader. Exits 0 only if exchange, PostgreSQL and engine agree."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

import click
from rich.table import Table
from rich.text import Text

from pms.cli.audit_checks import Check, compare
from pms.cli.audit_money import compare_money, drift
from pms.cli.audit_read import (
    KEPT_DAYS,
    Incomes,
    horizon,
    journal_end,
    read_engine,
    read_exchange,
    read_ledger,
    read_money,
)
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
    since: int = 0
    #: what was booked until then is taken as it is; 0 where all was compared

    @property
    def agrees(self) -> bool:
        return all(check.agrees for check in self.checks)


def comparing(command: Callable[[float, int, bool], None]) -> Callable[[float, int, bool], None]:
    """The options of a command that compares books: how long it waits, how far back, how it tells."""
    settle = click.option(
        "--settle",
        default=10.0,
        show_default=True,
        type=click.FloatRange(0),
        help="Seconds for what is in flight to be folded, before a difference counts.",
    )
    days = click.option(
        "--days",
        default=KEPT_DAYS,
        show_default=True,
        type=click.IntRange(1, KEPT_DAYS),
        help="How far back to ask the exchange, which forgets; what is older is taken as it was booked.",
    )
    as_json = click.option(
        "--json", "as_json", is_flag=True, help="One JSON object; progress goes to stderr."
    )
    return settle(days(as_json(command)))


@click.command()
@comparing
def audit(settle: float, days: int, as_json: bool) -> None:
    """Recompute positions and balances from the exchange's trades and compare, to the last digit."""
    conclude(run(lambda session: settled(session, settle, days=days)), as_json=as_json)


async def settled(
    session: Session,
    seconds: float,
    *,
    days: int = KEPT_DAYS,
    before: Callable[[], Awaitable[list[Check]]] | None = None,
) -> Audit:
    """Compare until everything agrees or the time for settling is over; `before` makes further checks."""
    until = time.monotonic() + seconds
    now = time.time_ns() // 1_000_000  # one horizon for all passes: incomes are read once
    async with ExchangeReader(session.settings) as reader:
        incomes = Incomes(reader)
        while True:
            further = await before() if before else []
            found = await once(session, reader, incomes, now=now, days=days)
            found = replace(found, checks=[*further, *found.checks])
            if found.agrees or time.monotonic() > until + reader.waited_s:
                return found
            await asyncio.sleep(AGAIN_S)


def conclude(found: Audit, *, as_json: bool) -> None:
    """Tell the outcome. Ends the command with status 1 if the books differ."""
    if as_json:
        click.echo(encode(_as_object(found)))
    else:
        print_checks(found)
    if not found.agrees:
        raise click.exceptions.Exit(1)


async def once(session: Session, reader: ExchangeReader, incomes: Incomes, *, now: int, days: int) -> Audit:
    """Read the three books and compare them, the exchange's as far back as it is asked."""
    end = await journal_end(session.redis)
    ledger = await read_ledger(session.database)
    symbols = {fill.symbol for fill in ledger.fills} | {symbol for _, symbol, _ in ledger.positions}
    since = horizon(ledger.opened_at, now=now, days=days)
    income = await incomes.read(since=max(since, ledger.opened_at))
    exchange = await read_exchange(reader, symbols, income, ledger, since=since)
    engine = await read_engine(session.redis, set(ledger.balances))
    money = await read_money(reader, session.database, ledger, income)
    counts = await queries.counts(session.database)
    folded = Check("the whole journal is in PostgreSQL", counts.entries)
    if counts.applied < end:
        folded.faults.append(f"applied {counts.applied}, the journal ends with {end}")
    checks = [folded, *compare(exchange, ledger, engine), *compare_money(exchange, ledger, money)]
    return Audit(checks, counts, drift(exchange, ledger, money), since)


def _as_object(found: Audit) -> dict[str, object]:
    """The outcome as one JSON object."""
    checks, counts = found.checks, found.counts
    return {
        "agrees": found.agrees,
        "since": found.since or None,
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
    if found.since:
        day = datetime.fromtimestamp(found.since / 1000, UTC)
        click.echo(
            f"compared with the exchange since {day:%Y-%m-%d %H:%M} UTC; what is older is as it was booked"
        )
    for name, amount in found.drift.items():
        click.secho(f"drift of {name}: {amount:f}", fg="red", err=True)
    click.echo(
        f"PostgreSQL: {counts.sub_accounts} accounts, {counts.orders} orders, {counts.fills} fills, "
        f"{counts.ledger_entries} ledger entries, {counts.commands} commands, {counts.entries} of the journal"
    )
