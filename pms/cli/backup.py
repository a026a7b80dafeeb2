"""`pms backup` and `pms restore`: everything that cannot be had from the exchange again."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from pms.archive.errors import ArchiveError
from pms.cli.session import Failed
from pms.config import Settings, load_settings
from pms.contract.money import encode
from pms.db.errors import DatabaseError
from pms.stack import backup as backups
from pms.stack import state
from pms.stack.errors import StackError
from pms.stack.places import Places
from pms.stack.supervisor import only_one


@click.command()
@click.option(
    "--to", type=click.Path(path_type=Path), help="Directory to make; default PMS_HOME/backups/TIME."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object; progress goes to stderr.")
def backup(to: Path | None, as_json: bool) -> None:
    """Back up the ledger and the journal's archive, of a running system or of one that rests."""
    places = Places.of(load_settings(of_running_stack=False))
    found = state.read(places.state)
    # A system that was killed leaves the addresses of servers which are no more.
    settings = load_settings(of_running_stack=found is not None and found.running())
    now_ms = time.time_ns() // 1_000_000
    target = (
        to or places.home / "backups" / f"{datetime.fromtimestamp(now_ms / 1000, UTC):%Y%m%d-%H%M%S}"
    ).absolute()
    with _faults(), _held(settings, places), backups.database_of(settings, places) as address:
        manifest = backups.take(address, settings.archive_dir, target, now_ms=now_ms, say=_say)
    if as_json:
        click.echo(encode({"directory": str(target), **_told(manifest)}))
    else:
        click.echo(
            f"backed up to {target}: entries up to {manifest.end}, database at {manifest.database.applied}"
        )


@click.command()
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--yes", is_flag=True, help="Do not ask; for scripts.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; progress goes to stderr.")
def restore(source: Path, yes: bool, as_json: bool) -> None:
    """Put a backup back, after a typed confirmation; the next start refolds what came after it."""
    settings = load_settings(of_running_stack=False)
    places = Places.of(settings)
    with _faults():
        running = state.read(places.state)
        if running is not None and running.running():
            raise StackError("the system runs: stop it first (`pms down`)")
        manifest = backups.read_manifest(source)
        taken = datetime.fromtimestamp(manifest.taken_at / 1000, UTC)
        click.echo(
            f"This replaces the ledger of {places.home} by the one of {taken:%Y-%m-%d %H:%M:%S} UTC"
            f" (entry {manifest.database.applied}).",
            err=True,
        )
        _confirm(yes=yes)
        places.make()
        now_ms = time.time_ns() // 1_000_000
        with only_one(places), backups.database_of(settings, places) as address:
            archive = backups.restore(address, settings.archive_dir, source, now_ms=now_ms, say=_say)
    if as_json:
        click.echo(encode({"restored": str(source), "archive": archive, **_told(manifest)}))
    else:
        click.echo(f"restored; {archive}. `pms up` refolds the rest, then `pms verify` compares everything")


def _held(settings: Settings, places: Places) -> AbstractContextManager[None]:
    """Keep a system that rests from being started; one that runs needs no hold. Raises StackError."""
    if settings.database_url:
        return nullcontext()
    if not places.postgres_data.exists():
        raise StackError(f"there is nothing to back up: no system has run in {places.home}")
    places.make()  # behind a reboot the sockets' directories are gone
    return only_one(places)


def _told(manifest: backups.Manifest) -> dict[str, object]:
    return {
        "takenAt": manifest.taken_at,
        "applied": manifest.database.applied,
        "begin": manifest.begin,
        "end": manifest.end,
        "entries": manifest.entries,
        "tables": {table.name: table.rows for table in manifest.database.tables},
    }


@contextmanager
def _faults() -> Iterator[None]:
    """What an operator can put right is one line."""
    try:
        yield
    except (StackError, DatabaseError, ArchiveError, msgspec.DecodeError) as fault:
        raise Failed(str(fault)) from None


def _say(text: str) -> None:
    click.secho(text, dim=True, err=True)


def _confirm(*, yes: bool) -> None:
    if yes:
        return
    if not os.isatty(0):
        raise Failed("nobody is there to confirm: say --yes")
    if click.prompt("Type restore to go on", default="", show_default=False) != "restore":
        raise Failed("nothing was changed")
