"""`pms position-mode`: one position a symbol, or a long beside a short."""

from __future__ import annotations

import click

from pms.cli.output import print_result
from pms.cli.session import run


@click.command("position-mode")
@click.argument("account")
@click.argument("mode", type=click.Choice(["one-way", "hedge"]))
@click.option("--reason", default="", help="Why, for the journal.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def position_mode(account: str, mode: str, reason: str, as_json: bool) -> None:
    """Change a sub-account's mode, while it has neither positions nor live orders.

    Only our books know of it: the exchange account stays in one-way mode.
    """
    fields = {"subAccountId": account, "hedge": mode == "hedge", "reason": reason}
    print_result(run(lambda session: session.send("pms.position_mode", fields)), as_json=as_json)
