"""`pms venue verify`: refold a venue's directory as a start would, and say what is in it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import click

from pms.cli.session import Failed
from pms.venue.store import recovery
from pms.venue.store.files import LOCK, JournalError, StateDirectory, held


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
def verify(directory: Path) -> None:
    """Read all of a venue's DIRECTORY and count what it holds. Changes none of it; no venue may run there."""
    state = StateDirectory(directory)
    try:
        with held(directory / LOCK, wait=False, otherwise=f"a venue runs on {directory}: stop it first"):
            memory, base = recovery.recover(state)
            over = _history(state)
    except (JournalError, sqlite3.Error) as fault:
        raise Failed(str(fault)) from None
    rows = {
        "snapshot behind segment": base.number,
        "closed segments behind it": len(base.behind),
        "accounts": len(memory.wallets),
        "open orders": sum(each.open for each in memory.orders.values()),
        "open conditional orders": sum(each.open for each in memory.algos.values()),
        "positions": sum(bool(each.lots) for each in memory.positions.values()),
        "orders over, in the journal": sum(not each.open for each in memory.orders.values()),
        "trades in the journal": len(memory.trades),
        "incomes in the journal": len(memory.incomes),
        "rows of history": over,
    }
    for name, count in rows.items():
        click.echo(f"{name:<28} {count:>10}")


def _history(state: StateDirectory) -> int:
    """How many rows are over; sqlite3.DatabaseError where their file is damaged."""
    if not state.history.exists():
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{state.history}?mode=ro", uri=True)) as database:
        said = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != "ok":
            raise JournalError(f"{state.history} is damaged: {said}")
        return int(database.execute("SELECT count(*) FROM rows").fetchone()[0])
