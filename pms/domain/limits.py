"""The limits as they are set, and which of them holds for a sub-account.

A look-up costs the same whatever the number of accounts, orders and settings. A limit that nobody ever set is
one step. What holds in a symbol is looked for once, in at most six steps, and then known until a setting
changes: once for each group, whose sub-accounts share it, and for each that has settings of its own.
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

MOST_KNOWN = 8_192
"""Groups or sub-accounts by symbols whose limits are known at a time; beyond them all are looked for anew."""

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
    _own: set[str] = field(default_factory=set)
    #: scopes that anything is set for
    _known: dict[tuple[str, str], dict[Limit[Any], Any]] = field(default_factory=dict)
    #: by the narrowest scope that anything is set for, or the group, and by symbol what was found

    def of(self, account: str, limit: Limit[V], symbol: str = "") -> V:
        """The limit's value for a sub-account and symbol: the narrowest setting, else the default."""
        if limit not in self._values:
            return limit.default
        narrowest = account if account in self._own else self._scopes.get(account, _DEFAULT_SCOPE)
        place = narrowest, symbol
        known = self._known.get(place)
        if known is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[place] = {}
        if limit not in known:
            known[limit] = self._found(account, limit, symbol)
        value: V = known[limit]
        return value

    def _found(self, account: str, limit: Limit[V], symbol: str) -> V:
        values = self._values[limit]
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
            if not any(scope == row.scope for scope, _, _ in self.rows):
                self._own.discard(row.scope)
        else:
            self.rows[key] = row
            self._own.add(row.scope)
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
        if not values:
            del self._values[limit]
        self._known.clear()

    def join(self, account: str, group: str) -> None:
        """Note in which group a sub-account is."""
        if account in self._own:
            self._known.clear()
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
