"""`pms venue` serves the exchange; what else is done to one are subcommands, each in a file of its own."""

from __future__ import annotations

from importlib import import_module

import click

from pms.venue.command import venue as serving

SUBCOMMANDS = {"reset": "pms.cli.venue_reset", "verify": "pms.cli.venue_verify"}


class Subcommands(click.Group):
    """Imports a subcommand when it is asked for: a venue that serves needs none of what they do."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        command = getattr(import_module(SUBCOMMANDS[cmd_name]), cmd_name)
        assert isinstance(command, click.Command), cmd_name
        return command


venue = Subcommands(
    name="venue",
    callback=serving.callback,
    params=serving.params,
    help=serving.help,
    invoke_without_command=True,
)
