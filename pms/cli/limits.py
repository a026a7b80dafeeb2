"""Limits: `pms limits list | set | unset | group`."""

from __future__ import annotations

from typing import Any

import click

from pms.cli import confirming
from pms.cli.output import Column, Form, instant, listing, print_list, print_result, row_of
from pms.cli.session import Failed, Session, run
from pms.contract.journal import LimitRow
from pms.contract.limits import GROUP_PREFIX, LIMITS
from pms.contract.names import EVERYTHING, Task
from pms.db import queries
from pms.domain.limiting import view
from pms.domain.limits import Effective, LimitBook

EFFECTIVE = (
    Column("limit", "limit"),
    Column("value", "value", right=True),
    Column("unit", "unit", long=True),
    Column("from", "from"),
    Column("symbol", "symbol"),
    Column("actor", "set by", long=True),
    Column("reason", "reason", long=True),
)
SETTINGS = (
    Column("scope", "scope"),
    Column("name", "limit"),
    Column("symbol", "symbol"),
    Column("value", "value", right=True),
    Column("actor", "set by", long=True),
    Column("reason", "reason", long=True),
    instant("at", "at"),
)


@click.group(invoke_without_command=True)
@click.pass_context
def limits(context: click.Context) -> None:
    """What sub-accounts may do; without a word more, lists every setting.

    A SCOPE is a sub-account, group:NAME, or * for everything. The narrowest setting counts.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_limits)


@limits.command("list")
@click.argument("scope", required=False)
@click.option(
    "--symbol", default="", help="As it holds in this symbol.", callback=lambda *given: given[2].upper()
)
@listing
def list_limits(scope: str | None = None, symbol: str = "", form: Form | None = None) -> None:
    """Every setting; with a SCOPE every limit as it holds there, and where its value comes from."""
    if scope is None and not symbol:
        rows = [row_of(row) for row in run(_settings)]
        empty = "nothing is set: `pms limits list ACCOUNT` shows the defaults"
        print_list(rows, SETTINGS, form=form, empty=empty)
        return
    found = run(lambda session: _effective(session, scope or EVERYTHING, symbol))
    print_list([view(each) for each in found], EFFECTIVE, form=form, empty="")


def _change(function: Any) -> Any:
    """What every change takes."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="The result as JSON."),
        confirming.repeatable,
        click.option("--actor", help="Who wants it, if not you."),
        click.option("--reason", required=True, help="Why, for the journal."),
    ):
        function = option(function)
    return function


@limits.command("set")
@click.argument("scope")
@click.argument("limit", type=click.Choice(list(LIMITS)), metavar="LIMIT")
@click.argument("value")
@click.option("--symbol", help="Only in this symbol.")
@_change
def set_limit(*, scope: str, limit: str, value: str, symbol: str | None, **change: Any) -> None:
    """Set a limit: a number, a word, or symbols with commas between them. It holds from then on."""
    fields = {"action": "set", "scope": scope, "limit": limit, "value": value, "symbol": symbol}
    _send(Task.LIMITS, fields, **change)


@limits.command("unset")
@click.argument("scope")
@click.argument("limit")
@click.option("--symbol", help="The setting of this symbol.")
@_change
def unset(*, scope: str, limit: str, symbol: str | None, **change: Any) -> None:
    """Remove a setting: what is set more widely holds again, or the default."""
    fields = {"action": "unset", "scope": scope, "limit": limit, "symbol": symbol}
    _send(Task.LIMITS, fields, **change)


@limits.command("group")
@click.argument("account")
@click.argument("group")
@_change
def group(account: str, group: str, **change: Any) -> None:
    """Put a sub-account into a group, whose limits it shares from then on."""
    fields = {"subAccountId": account, "group": group.removeprefix(GROUP_PREFIX)}
    _send(Task.GROUP, fields, **change)


def _send(
    command: str,
    fields: dict[str, Any],
    *,
    reason: str,
    actor: str | None,
    request_id: str | None,
    as_json: bool,
) -> None:
    fields = {**fields, "reason": reason, "actor": actor or confirming.actor()}
    sent = run(lambda session: session.send(command, fields, request_id=request_id))
    print_result(sent, as_json=as_json)


async def _settings(session: Session) -> list[LimitRow]:
    return await queries.limits(session.database)


async def _effective(session: Session, scope: str, symbol: str) -> list[Effective]:
    """As PostgreSQL has them: an operator may ask while the engine is down."""
    book = LimitBook()
    for row in await queries.limits(session.database):
        book.take(row)
    if scope == EVERYTHING or scope.startswith(GROUP_PREFIX):
        return book.effective_in(scope, symbol)
    known = {account.id: account.group for account in await queries.accounts(session.database)}
    if scope not in known:
        raise Failed(f"there is no sub-account {scope}; a group is written {GROUP_PREFIX}{scope}")
    book.join(scope, known[scope])
    return book.effective(scope, symbol)
