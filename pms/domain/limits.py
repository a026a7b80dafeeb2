"""The limits as they are set, and which of them holds for a sub-account.

A look-up costs the same whatever the number of accounts, orders and settings: a limit that nobody ever
set is one step, any other at most six.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from pms.contract.journal import LimitRow
from pms.contract.limits import DEFAULT_GROUP, LIMITS, Limit, scope_of_group
from pms.contract.names import EVERYTHING

V = TypeVar("V")
Key = tuple[str, str, str]
"""Scope, name and symbol."""

_DEFAULT_SCOPE = scope_of_group(DEFAULT_GROUP)


class Effective(NamedTuple):
    """A limit as it holds somewhere; `row` is the setting it comes from, None for the default."""

    limit: Limit[Any]
    value: Any
    row: LimitRow | None


@dataclass(slots=True)
class LimitBook:
    """Every setting in force."""

    rows: dict[Key, LimitRow] = field(default_factory=dict)
    _values: dict[Limit[Any], dict[str, dict[str, Any]]] = field(default_factory=dict)
    #: what `rows` say, read once, by scope and then by symbol
    _scopes: dict[str, str] = field(default_factory=dict)
    #: the group's scope of each account that is in another than the default group

    def of(self, account: str, limit: Limit[V], symbol: str = "") -> V:
        """The limit's value for a sub-account and symbol: the narrowest setting, else the default."""
        values = self._values.get(limit)
        if not values:
            return limit.default
        value: V
        for scope in (account, self._scopes.get(account, _DEFAULT_SCOPE), EVERYTHING):
            found = values.get(scope)
            if found is not None:
                for of in (symbol, ""):
                    if of in found:
                        value = found[of]
                        return value
        return limit.default

    def within(self, scope: str, limit: Limit[V]) -> V:
        """The limit's value for a scope as a whole: its own setting, else everything's, else the default."""
        values = self._values.get(limit, {})
        value: V
        for each in (scope, EVERYTHING):
            found = values.get(each)
            if found is not None and "" in found:
                value = found[""]
                return value
        return limit.default

    def take(self, row: LimitRow) -> None:
        """Take a setting as it now is.

        One of a name that this release does not know is of a newer one, and kept.
        """
        key = row.scope, row.name, row.symbol
        limit = LIMITS.get(row.name)
        if row.value is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = row
        if limit is None:
            return
        values = self._values.setdefault(limit, {})
        found = values.setdefault(row.scope, {})
        if row.value is None:
            found.pop(row.symbol, None)
        else:
            found[row.symbol] = limit.read(row.value)
        if not found:
            del values[row.scope]

    def join(self, account: str, group: str) -> None:
        """Note in which group a sub-account is."""
        if group == DEFAULT_GROUP:
            self._scopes.pop(account, None)
        else:
            self._scopes[account] = scope_of_group(group)

    def effective(self, account: str, symbol: str = "") -> list[Effective]:
        """Every limit as it holds for a sub-account, and where its value comes from."""
        scopes = (account, self._scopes.get(account, _DEFAULT_SCOPE), EVERYTHING)
        return [self._effective(limit, scopes, symbol) for limit in LIMITS.values()]

    def effective_in(self, scope: str, symbol: str = "") -> list[Effective]:
        """Every limit as it holds for a whole scope: a group's, or everything."""
        scopes = (scope, EVERYTHING) if scope != EVERYTHING else (EVERYTHING,)
        return [self._effective(limit, scopes, symbol) for limit in LIMITS.values()]

    def _effective(self, limit: Limit[Any], scopes: tuple[str, ...], symbol: str) -> Effective:
        for scope in scopes:
            for of in dict.fromkeys((symbol, "")):
                row = self.rows.get((scope, limit.name, of))
                if row is not None:
                    return Effective(limit, self._values[limit][scope][of], row)
        return Effective(limit, limit.default, None)
