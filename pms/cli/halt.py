"""`pms halt` and `pms resume`: stop what may be sent, at once, and let it go again."""

from __future__ import annotations

from typing import Any

import click

from pms.cli import confirming
from pms.cli.output import print_result
from pms.cli.session import Session, Undecided, run, warn_if_live
from pms.contract.names import Task


@click.command()
@click.argument("account", required=False)
@click.option("--reason", required=True, help="Why, for the journal and for whoever is refused.")
@click.option("--reduce-only", is_flag=True, help="Still let orders out that say reduceOnly, and closes.")
@click.option("--actor", help="Who wants it, if not you.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def halt(account: str | None, reason: str, reduce_only: bool, actor: str | None, as_json: bool) -> None:
    """Halt all trading, or one sub-account's. It holds at once, even if the engine hangs.

    Orders that rest at the exchange stay there: `pms cancel --all` takes them back.
    """
    fields = {
        "subAccountId": account,
        "mode": "REDUCE_ONLY" if reduce_only else "HALTED",
        "reason": reason,
        "actor": actor or confirming.actor(),
    }

    async def work(session: Session) -> dict[str, Any]:
        warn_if_live(session.settings)
        try:
            return await session.send(Task.HALT, fields)
        except Undecided:
            raise Undecided(
                "the halt holds: no order is sent. The engine has not confirmed it; `pms status` tells why"
            ) from None

    print_result(run(work), as_json=as_json)


@click.command()
@click.argument("account", required=False)
@click.option("--reason", required=True, help="Why, for the journal.")
@click.option("--actor", help="Who wants it, if not you.")
@confirming.repeatable
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def resume(
    account: str | None, reason: str, actor: str | None, request_id: str | None, as_json: bool
) -> None:
    """Lift the halt of everything, or of one sub-account; only the engine can.

    Typed again without its request id it would lift a halt that came since.
    """
    fields = {"subAccountId": account, "reason": reason, "actor": actor or confirming.actor()}

    async def work(session: Session) -> dict[str, Any]:
        warn_if_live(session.settings)
        return await session.send(Task.RESUME, fields, request_id=request_id)

    print_result(run(work), as_json=as_json)
