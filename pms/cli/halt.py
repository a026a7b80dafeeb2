"""`pms halt` and `pms resume`: stop what may be sent, at once, and let it go again."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import click
from redis.exceptions import RedisError

from pms.cli import confirming
from pms.cli.output import print_result, refusal_told
from pms.cli.session import Session, Undecided, run, warn_if_live
from pms.contract.codes import Refusal
from pms.contract.halts import read_standing
from pms.contract.money import encode_canonical
from pms.contract.names import EVERYTHING, Task, halt_key
from pms.contract.reading import read_command
from pms.db import queries
from pms.db.errors import DatabaseError


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
        **({"subAccountId": account} if account is not None else {}),
        "mode": "REDUCE_ONLY" if reduce_only else "HALTED",
        "reason": reason,
        "actor": actor or confirming.actor(),
    }

    async def work(session: Session) -> dict[str, Any]:
        warn_if_live(session.settings)
        # An engine that hangs refuses nothing: what it would refuse later must not hold until then.
        if (fault := _fault(fields)) is not None:
            return fault
        try:
            return await session.send(Task.HALT, fields)
        except Undecided:
            raise Undecided(await _as_it_stands(session, account)) from None

    print_result(run(work), as_json=as_json)


def _fault(fields: dict[str, Any]) -> dict[str, Any] | None:
    """Why no engine would read this halt; None where it would."""
    try:
        read_command(Task.HALT, encode_canonical({"requestId": str(uuid4()), **fields}))
    except Refusal as refusal:
        return refusal_told(refusal)
    return None


async def _as_it_stands(session: Session, account: str | None) -> str:
    """What the send right finds of a halt that nobody answered, read back."""
    try:
        text = await session.redis.get(halt_key(account or EVERYTHING))
    except RedisError as error:
        return f"nobody answered, and Redis does not tell whether the halt holds ({error}): type it again"
    if text is None:
        return "the halt does NOT hold: nothing stands at the send right. Type it again, or `pms panic`"
    standing = read_standing(account or EVERYTHING, text, now=time.time_ns() // 1_000_000)
    only = " that does not say reduceOnly" if standing.mode == "REDUCE_ONLY" else ""
    whose = f" of {account}" if account else ""
    holds = (
        f"the halt holds: no order{whose}{only} is sent."
        " The engine has not confirmed it; `pms status` tells why"
    )
    if account is None or await _known(session, account) is not False:
        return holds
    return f"nobody answered, and PostgreSQL knows no sub-account {account}: `pms accounts` lists them"


async def _known(session: Session, account: str) -> bool | None:
    """Whether there is such a sub-account; None where PostgreSQL does not tell."""
    try:
        return account in {row.id for row in await queries.accounts(session.database)}
    except DatabaseError:
        return None


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
