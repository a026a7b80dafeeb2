"""`pms leverage`: how much a sub-account borrows in a symbol."""

from __future__ import annotations

import click

from pms.cli.confirming import repeatable
from pms.cli.output import print_result
from pms.cli.session import run


@click.command()
@click.argument("account")
@click.argument("symbol", type=str.upper)
@click.argument("leverage", type=click.IntRange(1, 150))
@click.option("--reason", default="", help="Why, for the journal.")
@repeatable
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def leverage(
    *, account: str, symbol: str, leverage: int, reason: str, request_id: str | None, as_json: bool
) -> None:
    """Change a sub-account's leverage in a symbol, also with positions and orders open there."""
    fields = {"subAccountId": account, "symbol": symbol, "leverage": leverage, "reason": reason}
    result = run(lambda session: session.send("pms.leverage", fields, request_id=request_id))
    print_result(result, as_json=as_json)
