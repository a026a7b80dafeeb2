"""What commands that move books ask first, and who they say it was."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable
from typing import Any, TypeVar

import click

from pms.cli.session import Failed

LONGEST = 80
"""Characters of a name that every command takes."""

F = TypeVar("F", bound=Callable[..., Any])


def actor() -> str:
    """The person at this terminal, as the journal will name them: OS user @ host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"[:LONGEST]


def repeatable(function: F) -> F:
    """Add `--request-id`: what was meant once is done once, however often it is typed."""
    told = "Repeat a command whose answer was lost: it is done once."
    return click.option("--request-id", help=told)(function)


def correcting(function: F) -> F:
    """Add `--reason`, `--yes`, `--request-id` and `--json`."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="The result as JSON."),
        repeatable,
        click.option("--yes", is_flag=True, help="Do not ask; for scripts."),
        click.option("--reason", required=True, help="Why, for the journal."),
    ):
        function = option(function)
    return function


def confirm(word: str, what: str, *, yes: bool) -> None:
    """Say what will be done and let its word be typed; raises Failed if it is not."""
    if yes:
        return
    click.echo(what, err=True)
    if not os.isatty(0):
        raise Failed("nobody is there to confirm: say --yes")
    if click.prompt(f"Type {word} to go on", default="", show_default=False, err=True) != word:
        raise Failed("nothing was changed")
