"""`pms`: every command on one line here; what a command needs is imported when it is called."""

from __future__ import annotations

import re
import sys
from importlib import import_module

import click

from pms import __version__
from pms.config import ConfigError

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("pms.cli.up", "Start the whole system and follow its logs; Ctrl-C stops it."),
    "down": ("pms.cli.up", "Stop the system that runs in this home."),
    "status": ("pms.cli.status", "Parts, queues and health of the running system."),
    "logs": ("pms.cli.logs", "Show the logs of one part or of all."),
    "doctor": ("pms.cli.doctor", "Check every part and say what to do."),
    "accounts": ("pms.cli.accounts", "Sub-accounts: create, list, fund, freeze."),
    "deposit": ("pms.cli.funds", "Give a sub-account money from the house."),
    "withdraw": ("pms.cli.funds", "Take a sub-account's free money back to the house."),
    "leverage": ("pms.cli.leverage", "Change a sub-account's leverage in a symbol."),
    "position-mode": ("pms.cli.position_mode", "Let a sub-account hold a long beside a short, or not."),
    "limits": ("pms.cli.limits", "Limits: what holds and why; set, unset, group."),
    "trade": ("pms.cli.trade", "Place one order."),
    "amend": ("pms.cli.trade", "Change a resting order's price or total quantity."),
    "cancel": ("pms.cli.trade", "Cancel one order, or all."),
    "close": ("pms.cli.trade", "Close a position at market, or all."),
    "algo": ("pms.cli.algo", "Algos: list, show, start, cancel, pause, resume, history."),
    "halt": ("pms.cli.halt", "Halt trading: all, or one sub-account."),
    "resume": ("pms.cli.halt", "Lift a halt."),
    "panic": ("pms.cli.panic", "Cancel everything at the exchange, whatever else is dead."),
    "positions": ("pms.cli.book", "Open positions."),
    "orders": ("pms.cli.book", "Live orders; --all for the finished too."),
    "fills": ("pms.cli.book", "Trades that were booked."),
    "ledger": ("pms.cli.book", "Balance entries, newest first."),
    "risk": ("pms.cli.risk", "What the desk may lose: VaR, shortfall, scenarios, margin."),
    "liquidations": ("pms.cli.liquidations", "Steps of liquidations, with the numbers that caused them."),
    "reconcile": ("pms.cli.reconcile", "Compare exchange, engine, Redis and PostgreSQL; repair by evidence."),
    "incidents": ("pms.cli.incidents", "What an operator should see; `ack ID` says that you have."),
    "house": ("pms.cli.house", "What the house holds, and why."),
    "resolve": ("pms.cli.corrections", "End an unknown order by your word."),
    "adjust": ("pms.cli.corrections", "Correct a balance or position against the house."),
    "reassign": ("pms.cli.corrections", "Hand a position or an order's trades to or from the house."),
    "watch": ("pms.cli.watch", "Follow events and prices live."),
    "audit": ("pms.cli.audit", "Compare exchange, PostgreSQL and engine to the last digit."),
    "verify": ("pms.cli.verify", "Refold the archive and compare it with everything."),
    "backup": ("pms.cli.backup", "Back up the ledger and the archive."),
    "restore": ("pms.cli.backup", "Put a backup back, after a typed confirmation."),
    "drain": ("pms.cli.drain", "Restart parts one after the other, losing nothing."),
    "demo": ("pms.cli.demo", "A scripted trading session, compared to the last digit."),
    "bench": ("pms.cli.bench", "Measure one path beside its floor."),
    "sim": ("pms.cli.sim", "Simulate the system under faults, deterministically."),
    "import": ("pms.cli.importing", "Take over positions and balances from CSV or JSON."),
    "venue": ("pms.cli.venue", "Serve our own exchange alone; book, fund, plot, reset, verify."),
    "crash": ("pms.cli.crash", "Let our own venue's prices fall, or rise, on demand."),
    "streamer": ("pms.cli.streamer", "Run the streamer alone."),
    "reset": ("pms.cli.remove", "Delete this home's data, after a typed confirmation."),
    "uninstall": ("pms.cli.remove", "Remove all that PMS put on this machine."),
    "completion": ("pms.cli.completion", "Print the shell's completion script."),
}
SURROGATES = re.compile("[\ud800-\udfff]")
"""What Python makes of the bytes of an argument that are no UTF-8."""

_ATTRIBUTES = {"import": "import_", "position-mode": "position_mode"}
"""Where a command's name is not its function's."""


class Commands(click.Group):
    """A group that imports a command when it is asked for, never to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(COMMANDS[cmd_name][0])
        command = getattr(module, _ATTRIBUTES.get(cmd_name, cmd_name))
        assert isinstance(command, click.Command), cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="pms")
def cli() -> None:
    """Many virtual sub-accounts on one Binance USDⓈ-M Futures account.

    `pms up` starts everything; `pms COMMAND --help` tells what a command takes.
    """


def main() -> None:
    """Run a command line; what an operator can put right is one line, never a traceback."""
    try:
        cli.main(prog_name="pms")
    except ConfigError as fault:
        _fail(str(fault))
    except UnicodeEncodeError as fault:
        if not SURROGATES.search(str(fault.object)):
            raise
        _fail("what was typed is not in UTF-8, and no command can carry it: type it in ASCII")


def _fail(text: str) -> None:
    click.secho(f"error: {text}", fg="red", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
