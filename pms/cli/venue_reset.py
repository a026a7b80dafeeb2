"""`pms venue reset`: let a venue forget everything, after a typed confirmation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click

from pms.cli.confirming import confirm
from pms.cli.session import Failed
from pms.config import load_settings
from pms.stack.places import Places
from pms.venue.store.files import COMPACTING, LOCK, JournalError, StateDirectory, held


@click.command()
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Its directory.  [default: this home's]",
)
@click.option("--yes", is_flag=True, help="Do not ask; for scripts.")
def reset(state: Path | None, yes: bool) -> None:
    """Delete a venue's accounts, orders, trades and balances. Refused while a venue runs on them."""
    directory = StateDirectory(state or Places.of(load_settings(of_running_stack=False)).venue_state)
    if not directory.root.is_dir():
        click.echo(f"there is nothing in {directory.root}")
        return
    with _alone(directory):
        doomed = directory.owned()
        if not doomed and not directory.resetting.exists():
            click.echo(f"there is nothing in {directory.root}")
            return
        size = sum(path.stat().st_size for path in doomed)
        what = f"all accounts, orders, trades and balances of the venue in {directory.root}"
        confirm("reset", f"This deletes {what}: {len(doomed)} files, {size} bytes.", yes=yes)
        # Whoever dies in between leaves no state that looks like one
        directory.resetting.touch()
        directory.sync()
        for path in doomed:
            path.unlink(missing_ok=True)
            click.echo(f"deleted {path}")
        with contextlib.suppress(FileNotFoundError):
            directory.archive.rmdir()
        directory.sync()
        directory.resetting.unlink()


@contextlib.contextmanager
def _alone(directory: StateDirectory) -> Iterator[None]:
    """Nobody else writes there: no venue, and no compaction that one left behind."""
    try:
        with (
            held(
                directory.root / LOCK,
                wait=False,
                otherwise=f"a venue runs on {directory.root}: stop it first",
            ),
            held(directory.root / COMPACTING, wait=True, otherwise=""),
        ):
            yield
    except JournalError as fault:
        raise Failed(str(fault)) from None
