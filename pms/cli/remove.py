"""`pms reset` and `pms uninstall`: what goes is listed first, and a word must be typed."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pms.cli.session import Failed
from pms.config import CHECKOUT, Settings, load_settings
from pms.stack import removal
from pms.stack.errors import StackError
from pms.stack.places import Places
from pms.stack.servers import identity
from pms.stack.supervisor import only_one

_yes = click.option("--yes", is_flag=True, help="Do not ask; for scripts.")


@click.command()
@_yes
def reset(yes: bool) -> None:
    """Delete this home's data: Redis, PostgreSQL, the exchange's books. Logs and secrets stay."""
    settings = load_settings(of_running_stack=False)
    places = Places.of(settings)
    if not places.home.is_dir():
        click.echo(f"there is nothing in {places.home}")
        return
    click.echo(f"This deletes all accounts, orders, trades and balances of {places.home}.")
    _mention_external(settings)
    _confirm("reset", yes=yes)
    try:
        places.make()
        with only_one(places):
            removed = removal.remove_data(places)
    except StackError as fault:
        raise Failed(str(fault)) from None
    for path in removed:
        click.echo(f"deleted {path}")
    click.echo("`pms up` begins anew")


@click.command()
@_yes
def uninstall(yes: bool) -> None:
    """Remove all that PMS put on this machine, data included."""
    settings = load_settings(of_running_stack=False)
    places = Places.of(settings)
    click.echo(f"This removes {places.home} with all data, logs and secrets, but for backups,")
    of_root = places.as_root and identity.made_by_us(places.system_dir)
    if of_root:
        user = " and the user pms" if identity.user_made_by_us(places.system_dir) else ""
        click.echo(f"and {places.system_dir} with PostgreSQL{user}.")
        for home in removal.other_homes(places):
            click.secho(f"It also deletes the database of {home}!", fg="yellow")
    elif places.system_dir.exists():
        click.echo(f"but not {places.system_dir}, which root made: `sudo pms uninstall` removes that.")
    _mention_external(settings)
    _confirm("uninstall", yes=yes)
    left: list[Path] = []
    try:
        if of_root:
            removal.refuse_while_used(places)
        if places.home.is_dir():
            places.make()
            with only_one(places):
                left = removal.remove_home(places)
        if of_root:
            removal.remove_system(places)
    except StackError as fault:
        raise Failed(str(fault)) from None
    if left:
        click.echo(f"{places.home} stays, with {', '.join(path.name for path in left)}: no longer in use")
    click.echo(f"removed; what is left is the checkout with its .venv: rm -rf {CHECKOUT}")


def _mention_external(settings: Settings) -> None:
    for name in ("redis_url", "database_url", "binance_rest_url"):
        if getattr(settings, name):
            click.echo(f"PMS_{name.upper()} points at an external part: it is not touched.")


def _confirm(word: str, *, yes: bool) -> None:
    if yes:
        return
    if not os.isatty(0):
        raise Failed("nobody is there to confirm: say --yes")
    if click.prompt(f"Type {word} to go on", default="", show_default=False) != word:
        raise Failed("nothing was deleted")
