"""`pms venue`: serve our own exchange, or, by one of its commands, look at one and steer it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from pms.venue.command import venue as serving

COMMANDS: dict[str, tuple[str, str]] = {
    "book": ("pms.cli.venue_book", "Show a symbol's order book as a ladder."),
    "fund": ("pms.cli.venue_fund", "Deposit to an account of the exchange."),
    "plot": ("pms.cli.venue_plot", "Draw what a scenario does to a made-up market."),
    "reset": ("pms.cli.venue_reset", "Forget all that a state directory holds, after a confirmation."),
    "verify": ("pms.cli.venue_verify", "Read a state directory whole, and say what is in it."),
}


class VenueCommands(click.Group):
    """Serves when no command is named; imports one only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command), cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _serve(**options: Any) -> None:
    if click.get_current_context().invoked_subcommand is None:
        assert serving.callback is not None
        serving.callback(**options)


venue = VenueCommands(
    "venue",
    params=serving.params,
    callback=_serve,
    help=serving.help,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND [ARGS]...]",
)
