"""Changing limits and groups at run time: each change is an entry that says who wanted it, and why.

A tighter limit touches nothing that exists: it judges what is asked for from then on.
"""

from __future__ import annotations

from typing import Any

from pms.contract.codes import Code, Refusal
from pms.contract.commands import JoinGroup, Limits
from pms.contract.journal import LimitRow
from pms.contract.limits import GROUP_PREFIX, LIMITS, MODE, TIERS, Limit, written
from pms.contract.names import EVERYTHING, HOUSE, INSURANCE
from pms.contract.results import Result
from pms.domain.checks import known_account
from pms.domain.decisions import Asked, decided
from pms.domain.desk import Desk
from pms.domain.limits import Effective
from pms.domain.posting import Posting

_OURS = frozenset({HOUSE, INSURANCE})
"""Accounts that no trader has."""


def change_limits(desk: Desk, asked: Asked, command: Limits) -> Posting:
    """Set, remove or show; raises Refusal."""
    _check_scope(desk, command.scope)
    if command.action == "show":
        return _show(desk, asked, command)
    for field, given in (("limit", command.limit), ("reason", command.reason), ("actor", command.actor)):
        if given is None:
            raise Refusal(Code.MISSING_FIELD, f"{field} is missing", field=field)
    limit = _known(command.limit or "")
    symbol = command.symbol or ""
    standing = desk.limits.rows.get((command.scope, limit.name, symbol))
    row = LimitRow(
        scope=command.scope,
        name=limit.name,
        symbol=symbol,
        value=_value(desk, limit, command) if command.action == "set" else None,
        actor=command.actor or "",
        reason=command.reason or "",
        at=asked.now,
        request_id=asked.request_id,
    )
    if command.action == "unset" and standing is None:
        raise Refusal(
            Code.NOT_SET,
            f"{limit.name} is not set for {_told(command.scope, symbol)}",
            field="limit",
            actual=limit.name,
        )
    desk.limits.take(row)
    if limit is TIERS:
        # Whoever is beyond the new line is so from now on, not from the next time that he would be looked at.
        desk.unweighed.update(account for account, held in desk.held.items() if held)
    if limit is MODE:
        desk.unweighed.update(desk.closing)
    draft = desk.draft("limits", at=asked.now)
    draft.limits[row.scope, row.name, row.symbol] = row
    draft.note["before"] = standing.value if standing else None
    details = {
        "scope": row.scope,
        "limit": row.name,
        "symbol": row.symbol or None,
        "value": row.value,
        "before": standing.value if standing else None,
        "unit": limit.unit,
        "actor": row.actor,
        "members": _members(desk, row.scope),
    }
    return decided(desk, draft, asked, _result(asked, command, details), decision="admitted", final=False)


def join_group(desk: Desk, asked: Asked, command: JoinGroup) -> Posting:
    """Put a sub-account into a group; raises Refusal."""
    account = known_account(desk, command.sub_account_id, field="subAccountId")
    if account.id in _OURS:
        raise Refusal(Code.HOUSE_ONLY, f"{account.id} is in no group", field="subAccountId")
    before, account.group = account.group, command.group
    desk.limits.join(account.id, account.group)
    desk.unweighed.add(account.id)
    draft = desk.draft("account", at=asked.now)
    draft.note |= {"reason": command.reason, "actor": command.actor, "before": before}
    draft.sub_accounts[account.id] = account.row()
    result = Result(
        success=True,
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=account.id,
        state="done",
        details={"group": account.group, "before": before, "actor": command.actor},
    )
    return decided(desk, draft, asked, result, decision="admitted", final=False)


def view(found: Effective) -> dict[str, Any]:
    """A limit as it holds somewhere, and where that comes from."""
    limit, value, row = found
    return {
        "limit": limit.name,
        "unit": limit.unit,
        "value": written(value) or None,
        "from": row.scope if row else "default",
        "symbol": row.symbol or None if row else None,
        "actor": row.actor if row else None,
        "reason": row.reason if row else None,
        "at": row.at if row else None,
    }


def _show(desk: Desk, asked: Asked, command: Limits) -> Posting:
    if command.limit is not None:
        _known(command.limit)
    symbol, scope = command.symbol or "", command.scope
    book = desk.limits
    found = book.effective(scope, symbol) if _is_account(scope) else book.effective_in(scope, symbol)
    shown = [view(each) for each in found if command.limit in {None, each.limit.name}]
    draft = desk.draft("limits_shown", at=asked.now)
    result = _result(asked, command, {"scope": scope, "limits": shown})
    return decided(desk, draft, asked, result, decision="admitted", final=False)


def _result(asked: Asked, command: Limits, details: dict[str, Any]) -> Result:
    return Result(
        success=True,
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=command.scope if _is_account(command.scope) else None,
        symbol=command.symbol,
        state="done",
        details=details,
    )


def _is_account(scope: str) -> bool:
    return scope != EVERYTHING and not scope.startswith(GROUP_PREFIX)


def _check_scope(desk: Desk, scope: str) -> None:
    """A group may be without members: its limits are best set before the first one joins."""
    if _is_account(scope) and known_account(desk, scope, field="scope").id in _OURS:
        raise Refusal(Code.HOUSE_ONLY, f"{scope} has no limits: it trades for nobody", field="scope")


def _members(desk: Desk, scope: str) -> int | None:
    """How many sub-accounts a group has, so that a misspelt one is seen at once."""
    if not scope.startswith(GROUP_PREFIX):
        return None
    group = scope.removeprefix(GROUP_PREFIX)
    return sum(account.group == group and account.id not in _OURS for account in desk.accounts.values())


def _known(name: str) -> Limit[Any]:
    limit = LIMITS.get(name)
    if limit is None:
        raise Refusal(Code.UNKNOWN_LIMIT, f"there is no limit {name}", field="limit", actual=name)
    return limit


def _value(desk: Desk, limit: Limit[Any], command: Limits) -> str:
    """The value as the limit reads it, written anew; raises Refusal."""
    if command.value is None:
        raise Refusal(Code.MISSING_FIELD, "value is missing", field="value", limit=limit.unit)
    if command.symbol is not None and not limit.by_symbol:
        raise Refusal(
            Code.BAD_LIMIT,
            f"{limit.name} is of the whole sub-account, not of one symbol",
            field="symbol",
            actual=command.symbol,
        )
    if limit.of_all and command.scope != EVERYTHING:
        raise Refusal(
            Code.BAD_LIMIT,
            f"{limit.name} is of everything: the house closes for all alike",
            field="scope",
            limit=EVERYTHING,
            actual=command.scope,
        )
    try:
        value = limit.read(command.value)
    except ValueError as error:
        raise Refusal(
            Code.BAD_LIMIT, f"{limit.name} is {error}", field="value", limit=str(error), actual=command.value
        ) from None
    for field, symbols in (
        ("value", value if isinstance(value, frozenset) else ()),
        ("symbol", _one(command)),
    ):
        for symbol in sorted(symbols):
            if symbol not in desk.instruments:
                raise Refusal(
                    Code.UNKNOWN_SYMBOL,
                    f"the exchange does not list {symbol}",
                    field=field,
                    actual=symbol,
                )
    return written(value)


def _one(command: Limits) -> tuple[str, ...]:
    return () if command.symbol is None else (command.symbol,)


def _told(scope: str, symbol: str) -> str:
    return f"{'everything' if scope == EVERYTHING else scope}{f' in {symbol}' if symbol else ''}"
