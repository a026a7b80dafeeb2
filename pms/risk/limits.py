"""Limits on risk, as percents of equity: whose they are, what crosses one, and when that is over.

They are rows like any limit. A sub-account's is the narrowest that is set; a group has one as a whole, its
own or everything's; the desk has everything's.

A limit is crossed above it and over again below nine tenths of it, so that a figure that hovers around a
limit does not tell the same thing every five minutes. What cannot be measured neither crosses nor ends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, cast, get_args

from pms.contract import limits as terms
from pms.contract.limits import scope_of_group
from pms.contract.names import EVERYTHING
from pms.contract.portfolio import Measure, ScopeKind
from pms.domain.limits import LimitBook
from pms.domain.risk_limits import subject

RELEASE = Decimal("0.9")
ZERO, HUNDRED = Decimal(0), Decimal(100)


@dataclass(frozen=True, slots=True)
class Limits:
    """Percents of a scope's equity; None is no limit."""

    var: Decimal | None = None
    es: Decimal | None = None
    stress: Decimal | None = None
    margin: Decimal | None = None


LimitsOf = Callable[[ScopeKind, str], Limits]
"""The limits of a scope, by its kind and its name."""


def limits_in(book: LimitBook) -> LimitsOf:
    """Whose limits are which, as they are set."""

    def of(kind: ScopeKind, name: str) -> Limits:
        if kind == "account":
            return Limits(*(book.of(name, limit) for limit in terms.RISK))
        scope = EVERYTHING if kind == "desk" else scope_of_group(name)
        return Limits(*(book.within(scope, limit) for limit in terms.RISK))

    return of


@dataclass(frozen=True, slots=True)
class Figures:
    """What is held against the limits; None is unknown."""

    kind: ScopeKind
    name: str
    equity: Decimal
    var: Decimal | None
    es: Decimal | None
    stress: Decimal | None
    margin: Decimal | None


class Finding(NamedTuple):
    """One limit of one scope that is crossed, or was and is no more (`over`)."""

    kind: ScopeKind
    name: str
    measure: Measure
    limit: Decimal
    actual: Decimal
    over: bool = False

    @property
    def subject(self) -> str:
        return subject(self.kind, self.name, self.measure)


def judge(figures: Iterable[Figures], limits_of: LimitsOf, standing: Collection[str]) -> Iterator[Finding]:
    """Compare all figures; `standing` are the subjects that are crossed already."""
    gone = set(standing)
    for each in figures:
        limits = limits_of(each.kind, each.name)
        measures: tuple[tuple[Measure, Decimal | None, Decimal | None], ...] = (
            ("var", limits.var, each.var),
            ("es", limits.es, each.es),
            ("stress", limits.stress, each.stress),
            ("margin", limits.margin, each.margin),
        )
        for measure, percent, actual in measures:
            about = subject(each.kind, each.name, measure)
            gone.discard(about)
            stands = about in standing
            if percent is None:
                if stands:
                    yield Finding(each.kind, each.name, measure, ZERO, actual or ZERO, over=True)
            elif actual is not None:
                # Without equity nothing may be at risk at all.
                limit = max(each.equity, ZERO) * percent / HUNDRED
                crossed = actual > limit or (stands and actual > limit * RELEASE)
                if crossed or stands:
                    yield Finding(each.kind, each.name, measure, limit, actual, over=not crossed)
    for about in sorted(gone):
        kind, _, rest = about.partition(" ")
        name, _, last = rest.rpartition(" ")
        if kind in get_args(ScopeKind) and last in get_args(Measure):
            # The group is no more: nothing of it is at risk.
            yield Finding(cast(ScopeKind, kind), name, cast(Measure, last), ZERO, ZERO, over=True)
