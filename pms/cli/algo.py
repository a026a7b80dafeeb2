"""`pms algo`: what runs and what ran, from PostgreSQL; start, cancel, pause and resume."""

from __future__ import annotations

from typing import Any

import click

from pms.cli.algo_plan import DUE, show_plan
from pms.cli.algo_report import report, reports, show
from pms.cli.confirming import repeatable
from pms.cli.output import Column, console, number, print_list, print_result
from pms.cli.session import Failed, Session, run, warn_if_live
from pms.contract import names
from pms.contract.algo_kinds import ALGO_STARTS
from pms.contract.journal import AlgoRow
from pms.contract.money import BadJson, decode_any, decode_object, encode
from pms.contract.names import Task
from pms.db import queries

KINDS = {model.name.removeprefix("pms."): model for model in ALGO_STARTS}
SLOTS = (
    Column("slot", "slot", right=True),
    Column("side", "side"),
    number("target", "target"),
    number("filled", "filled"),
    number("price", "price"),
    Column("state", "state"),
    DUE,
    Column("note", "note", long=True),
)


@click.group()
def algo() -> None:
    """Algos: what runs and what ran; start, cancel, pause, resume.

    An ID may be shortened to its first characters.
    """


_account = click.option("--account", metavar="ID", help="Only this sub-account's.")
_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")
_limit = click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="Rows.")


@algo.command("list")
@_account
@_limit
@_json
def list_algos(account: str | None, limit: int, as_json: bool) -> None:
    """Algos that run, the last started first."""
    _print(_read(account, ended=False, limit=limit), as_json=as_json, empty="no algo runs")


@algo.command()
@_account
@_limit
@_json
def history(account: str | None, limit: int, as_json: bool) -> None:
    """Algos that have ended: how much, against the price at the start, and at what cost."""
    _print(_read(account, ended=True, limit=limit), as_json=as_json, empty="no algo has ended")


@algo.command("show")
@click.argument("algo_id", metavar="ID")
@_json
def show_algo(algo_id: str, as_json: bool) -> None:
    """One algo with its slots, and what the engine told of it last."""

    async def work(session: Session) -> dict[str, Any]:
        row = await _found(session, algo_id)
        slots = await queries.algo_slots(session.database, [row.id])
        text = await session.redis.get(names.algo_key(row.kind, row.id))
        return {
            **report(row, slots),
            "slots": [
                {
                    "slot": slot.slot,
                    "symbol": slot.symbol,
                    "side": slot.side,
                    "target": slot.target,
                    "filled": slot.filled,
                    "price": slot.price,
                    "state": slot.state,
                    "dueAt": slot.due_at,
                    "orderId": slot.order_id,
                    "note": slot.note,
                }
                for slot in slots
            ],
            "told": None if text is None else decode_object(text),
        }

    told = run(work)
    if as_json:
        click.echo(encode(told))
        return
    show(console(), told)
    print_list(told["slots"], SLOTS, form=None, empty="no slots")


@algo.command()
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("terms", nargs=-1, metavar="NAME=VALUE...")
@click.option("--account", required=True, metavar="ID", help="The sub-account that it trades for.")
@click.option("--dry-run", is_flag=True, help="Print what it would plan and send first; nothing is sent.")
@click.option("--request-id", help="Repeat a command whose answer was lost: the same, never a new one.")
@_json
def start(
    *, kind: str, terms: tuple[str, ...], account: str, dry_run: bool, request_id: str | None, as_json: bool
) -> None:
    """Start an algo on terms as its command names them.

    E.g. `pms algo start scalper --account alice symbol=BTCUSDT quantity=0.01 layers=3 baseOffsetPct=0.1`.
    """
    fields = {**dict(_term(term) for term in terms), "subAccountId": account}
    name = KINDS[kind].name

    async def work(session: Session) -> dict[str, Any] | None:
        if dry_run:
            await show_plan(session, name, fields, as_json=as_json)
            return None
        warn_if_live(session.settings)
        return await session.send(name, fields, request_id=request_id)

    result = run(work)
    if result is not None:
        print_result(result, as_json=as_json)


@algo.command()
@click.argument("algo_id", metavar="ID")
@repeatable
@_json
def cancel(algo_id: str, request_id: str | None, as_json: bool) -> None:
    """Cancel an algo: its orders are cancelled first, and some close what they hold.

    Typed again without its request id it means another thing: a scalper that is cancelled twice
    keeps what it holds.
    """
    _control(algo_id, None, request_id, as_json=as_json)


@algo.command()
@click.argument("algo_id", metavar="ID")
@repeatable
@_json
def pause(algo_id: str, request_id: str | None, as_json: bool) -> None:
    """Let an algo have no order at the exchange until it is resumed."""
    _control(algo_id, "pause", request_id, as_json=as_json)


@algo.command()
@click.argument("algo_id", metavar="ID")
@repeatable
@_json
def resume(algo_id: str, request_id: str | None, as_json: bool) -> None:
    """Let a paused algo go on."""
    _control(algo_id, "resume", request_id, as_json=as_json)


def _control(algo_id: str, action: str | None, request_id: str | None, *, as_json: bool) -> None:
    async def work(session: Session) -> dict[str, Any]:
        # A whole id is sent as it is: one that PostgreSQL has not heard of yet can be cancelled.
        whole = algo_id if len(algo_id) == _ID_LENGTH else (await _found(session, algo_id)).id
        if action is None:
            return await session.send(Task.CANCEL_ALGO, {"algoId": whole}, request_id=request_id)
        return await session.send(Task.ALGO, {"algoId": whole, "action": action}, request_id=request_id)

    print_result(run(work), as_json=as_json)


_ID_LENGTH = 36


async def _found(session: Session, algo_id: str) -> AlgoRow:
    rows = await queries.find_algos(session.database, algo_id)
    if len(rows) > 1:
        raise Failed(f"several algos' ids begin with {algo_id}; `pms algo list` shows them")
    if not rows:
        raise Failed(f"no algo's id begins with {algo_id}; `pms algo list` and `history` show them")
    return rows[0]


def _read(account: str | None, *, ended: bool, limit: int) -> list[dict[str, Any]]:
    async def work(session: Session) -> list[dict[str, Any]]:
        rows = await queries.algos(session.database, sub_account_id=account, ended=ended, limit=limit)
        return reports(rows, await queries.algo_slots(session.database, [row.id for row in rows]))

    return run(work)


def _print(told: list[dict[str, Any]], *, as_json: bool, empty: str) -> None:
    if as_json:
        click.echo(b"[" + b",\n ".join(encode(each) for each in told) + b"]")
    elif not told:
        click.echo(empty, err=True)
    else:
        for each in told:
            show(console(), each)


def _term(text: str) -> tuple[str, Any]:
    """`NAME=VALUE`; a value that is JSON of more than one word is read as such."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{text!r} is not NAME=VALUE")
    if not value.startswith(("[", "{")):
        return name, value
    try:
        return name, decode_any(value)
    except BadJson as error:
        raise click.UsageError(f"{name}: {error}") from None
