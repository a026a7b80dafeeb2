"""The whole report: every account valued, measured, shaken, and held against its limits. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from pms.contract.money import booked
from pms.contract.portfolio import (
    Crossing,
    PortfolioReport,
    RiskMethod,
    ScopeRisk,
    SymbolRisk,
    SymbolUsed,
    VirtualSum,
    percent_of,
)
from pms.risk.book import ZERO, Account, Scope, net_of, pool, value
from pms.risk.boundary import CENT, FloatArray, cents, cents_of_parts
from pms.risk.coverage import Quote, symbols_used, warnings
from pms.risk.limits import Figures, Finding, LimitsOf, judge
from pms.risk.maintenance import Ladders
from pms.risk.measures import (
    Measured,
    covariance,
    historical,
    historical_parts,
    parametric,
    parametric_parts,
    undiversified,
)
from pms.risk.returns import Returns
from pms.risk.scenarios import Scenario
from pms.risk.stress import Loss, Stress, exposures, worst
from pms.risk.stressed import outcomes_of, scenario_risk

MOST_ACCOUNTS = 200
"""Accounts shown one by one: a report of ten thousand would be read by nobody and fill Redis."""

MOST_CROSSINGS = 200
_KINDS = ("desk", "group", "account")


@dataclass(frozen=True, slots=True)
class Method:
    """How the statistics are to be made."""

    interval: str
    horizon: int
    var_confidence: Decimal
    es_confidence: Decimal
    decay: Decimal


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is assessed: the books at one seq, and prices and history beside them."""

    seq: int
    entry_at: int
    at: int
    accounts: Sequence[Account]
    quotes: Mapping[str, Quote]
    returns: Returns
    ladders: Ladders
    last_bars: Mapping[str, int] = field(default_factory=dict)
    stale: Collection[str] = ()
    #: symbols whose past could not be brought up to date
    standing: Collection[str] = ()
    #: subjects of limits that are crossed already


class Assessed(NamedTuple):
    """The report, what became of the limits, and which were crossed before."""

    report: PortfolioReport
    findings: tuple[Finding, ...]
    #: the desk's first, then groups, then accounts, the farthest beyond its limit first
    standing: Collection[str]


class _Statistics(NamedTuple):
    """The measures of every scope, one row each; None without history."""

    historical: Measured
    shortfall: FloatArray
    normal: Measured
    normal_shortfall: FloatArray
    undiversified: FloatArray


def assess(
    snapshot: Snapshot,
    *,
    report_id: str,
    method: Method,
    scenarios: Sequence[Scenario],
    limits_of: LimitsOf,
    wanted: str | None = None,
) -> Assessed:
    """Assess everything. `wanted` is an account that must be shown, alone; limits are judged for all."""
    return _Assessment(snapshot, method, scenarios, limits_of).report(report_id, wanted)


class _Assessment:
    """One assessment, taken apart into its steps."""

    def __init__(
        self, snapshot: Snapshot, method: Method, scenarios: Sequence[Scenario], limits_of: LimitsOf
    ) -> None:
        self._snapshot, self._method = snapshot, method
        self._scenarios, self._limits_of = scenarios, limits_of
        self._prices = {symbol: quote.price for symbol, quote in snapshot.quotes.items()}
        self._accounts = [value(each, self._prices, snapshot.ladders) for each in snapshot.accounts]
        self._virtual = [
            scope
            for scope, account in zip(self._accounts, snapshot.accounts, strict=True)
            if scope.held and not account.is_house
        ]
        self._net = net_of(self._accounts, snapshot.ladders)
        self._groups = self._pooled()
        self._scopes = [self._net, *self._groups, *self._accounts]
        self._row = {id(scope): n for n, scope in enumerate(self._scopes)}
        self._books = exposures(self._scopes, snapshot.returns.symbols)
        self._covered = {symbol: n for n, symbol in enumerate(snapshot.returns.symbols)}
        self._covariances = covariance(snapshot.returns.matrix, method.decay) if self._has_history else None
        self._measured = self._measure()

    @property
    def _has_history(self) -> bool:
        return self._snapshot.returns.count > 0

    def report(self, report_id: str, wanted: str | None) -> Assessed:
        """Everything put together."""
        snapshot = self._snapshot
        found = worst(self._scopes, self._scenarios)
        worst_of = {id(scope): loss for scope, loss in zip(self._scopes, found, strict=True)}
        losses = {key: loss.amount if loss else ZERO for key, loss in worst_of.items()}
        judged = judge((self._figures(s, losses) for s in self._scopes), self._limits_of, snapshot.standing)
        findings = tuple(sorted(judged, key=_by_urgency))
        crossed = [each for each in findings if not each.over]
        shown = self._shown(losses, findings, wanted)
        used = self._used()
        stress = Stress(snapshot.accounts, self._prices, snapshot.ladders)
        report = PortfolioReport(
            id=report_id,
            seq=snapshot.seq,
            entry_at=snapshot.entry_at,
            at=snapshot.at,
            method=RiskMethod(
                interval=self._method.interval,
                bars=snapshot.returns.count,
                horizon=self._method.horizon,
                var_confidence=self._method.var_confidence,
                es_confidence=self._method.es_confidence,
                decay=self._method.decay,
                reference=snapshot.returns.reference,
            ),
            symbols=used,
            net=self._shape(self._net, worst_of),
            virtual=self._sum(losses),
            groups=[self._shape(scope, worst_of) for scope in self._groups],
            accounts=[self._shape(scope, worst_of) for scope in shown],
            accounts_left_out=len([scope for scope in self._accounts if scope.held]) - len(shown),
            scenarios=[scenario_risk(stress.shake(each), self._net) for each in self._scenarios],
            outcomes=[
                outcome
                for account in snapshot.accounts
                if account.id == wanted
                for outcome in outcomes_of(account, self._scenarios, self._prices, snapshot.ladders)
            ],
            crossed=[
                Crossing(
                    kind=each.kind,
                    name=each.name,
                    measure=each.measure,
                    limit=booked(each.limit),
                    actual=booked(each.actual),
                )
                for each in crossed[:MOST_CROSSINGS]
            ],
            crossed_left_out=max(0, len(crossed) - MOST_CROSSINGS),
            warnings=warnings(used, snapshot.stale),
        )
        return Assessed(report, findings, snapshot.standing)

    def _used(self) -> list[SymbolUsed]:
        snapshot = self._snapshot
        return symbols_used(
            sorted({symbol for scope in self._accounts for symbol in scope.held}),
            quotes=snapshot.quotes,
            returns=snapshot.returns,
            covariances=self._covariances,
            bracketed=snapshot.ladders.keys(),
            last_bars=snapshot.last_bars,
        )

    # --- measuring ---

    def _pooled(self) -> list[Scope]:
        """The groups that have a name, in its order."""
        members: dict[str, list[Scope]] = {}
        for account, scope in zip(self._snapshot.accounts, self._accounts, strict=True):
            if account.group:
                members.setdefault(account.group, []).append(scope)
        return [pool(name, members[name]) for name in sorted(members)]

    def _measure(self) -> _Statistics | None:
        if self._covariances is None:
            return None
        books, returns = self._books, self._snapshot.returns.matrix
        at_var, at_es = self._method.var_confidence, self._method.es_confidence
        reach = np.sqrt(self._method.horizon)
        normal = parametric(books, self._covariances, at_var)
        simulated = historical(books, returns, at_var)
        return _Statistics(
            historical=Measured(simulated.var * reach, simulated.es * reach),
            shortfall=historical(books, returns, at_es).es * reach,
            normal=Measured(normal.var * reach, normal.es * reach),
            normal_shortfall=parametric(books, self._covariances, at_es).es * reach,
            undiversified=undiversified(books, self._covariances, at_var) * reach,
        )

    def _uncovered(self, scope: Scope) -> Decimal:
        return sum(
            (abs(held.exposure) for symbol, held in scope.held.items() if symbol not in self._covered), ZERO
        )

    def _figures(self, scope: Scope, losses: Mapping[int, Decimal]) -> Figures:
        """What limits are held against; a VaR that leaves a position out is not known."""
        measured = None if self._uncovered(scope) else self._measured
        row = self._row[id(scope)]
        flat = not scope.held
        return Figures(
            kind=scope.kind,
            name=scope.name,
            equity=scope.equity,
            var=ZERO if flat else None if measured is None else cents(measured.historical.var[row]),
            es=ZERO if flat else None if measured is None else cents(measured.shortfall[row]),
            stress=losses[id(scope)],
            margin=scope.margin_used,
        )

    # --- showing ---

    def _shown(
        self, losses: Mapping[int, Decimal], findings: Sequence[Finding], wanted: str | None
    ) -> list[Scope]:
        """The account that was asked for; or those over a limit, then those that stand to lose most."""
        if wanted is not None:
            return [scope for scope in self._accounts if scope.name == wanted]
        over = {finding.name for finding in findings if finding.kind == "account" and not finding.over}
        held = [scope for scope in self._accounts if scope.held]
        held.sort(key=lambda scope: (scope.name not in over, -losses[id(scope)], scope.name))
        return held[:MOST_ACCOUNTS]

    def _shape(self, scope: Scope, worst_of: Mapping[int, Loss | None]) -> ScopeRisk:
        row, measured = self._row[id(scope)], self._measured
        loss = worst_of[id(scope)]
        equity = booked(scope.equity)
        margin = scope.margin_used
        return ScopeRisk(
            kind=scope.kind,
            name=scope.name,
            balance=scope.balance,
            unrealized=booked(scope.unrealized),
            equity=equity,
            gross=booked(scope.gross),
            net=booked(scope.net),
            margin_used=margin,
            margin_percent=None if margin is None else percent_of(margin, equity),
            maintenance=booked(scope.maintenance),
            maintenance_percent=percent_of(scope.maintenance, equity),
            var=None if measured is None else cents(measured.historical.var[row]),
            es=None if measured is None else cents(measured.shortfall[row]),
            parametric_var=None if measured is None else cents(measured.normal.var[row]),
            parametric_es=None if measured is None else cents(measured.normal_shortfall[row]),
            undiversified_var=None if measured is None else cents(measured.undiversified[row]),
            uncovered=booked(self._uncovered(scope)),
            stress_loss=booked(loss.amount) if loss else ZERO,
            stress_scenario=loss.scenario.name if loss else None,
            symbols=self._parts(scope),
        )

    def _parts(self, scope: Scope) -> list[SymbolRisk]:
        """Each symbol's share; those of no statistic have none."""
        shares: dict[str, tuple[Decimal, Decimal]] = {}
        if self._covariances is not None:
            book, reach = self._books[self._row[id(scope)]], np.sqrt(self._method.horizon)
            columns = [self._covered[symbol] for symbol in scope.held if symbol in self._covered]
            of_var = parametric_parts(book, self._covariances, self._method.var_confidence)[columns] * reach
            of_es = historical_parts(book, self._snapshot.returns.matrix, self._method.es_confidence)[columns]
            names = [symbol for symbol in scope.held if symbol in self._covered]
            shares = dict(
                zip(
                    names,
                    zip(cents_of_parts(of_var), cents_of_parts(of_es * reach), strict=True),
                    strict=True,
                )
            )
        return [
            SymbolRisk(
                symbol=symbol,
                quantity=held.quantity,
                exposure=booked(held.exposure),
                component_var=shares[symbol][0] if symbol in shares else None,
                component_es=shares[symbol][1] if symbol in shares else None,
            )
            for symbol, held in sorted(scope.held.items())
        ]

    def _sum(self, losses: Mapping[int, Decimal]) -> VirtualSum:
        rows = [self._row[id(scope)] for scope in self._virtual]
        measured = self._measured
        return VirtualSum(
            accounts=len(self._virtual),
            equity=booked(sum((scope.equity for scope in self._virtual), ZERO)),
            gross=booked(sum((scope.gross for scope in self._virtual), ZERO)),
            margin_used=sum((scope.margin_used or ZERO for scope in self._virtual), ZERO),
            maintenance=booked(sum((scope.maintenance for scope in self._virtual), ZERO)),
            var=None if measured is None else cents(measured.historical.var[rows].sum()),
            es=None if measured is None else cents(measured.shortfall[rows].sum()),
            stress_loss=booked(sum((losses[id(scope)] for scope in self._virtual), ZERO)),
        )


def _by_urgency(each: Finding) -> tuple[int, Decimal, str]:
    """Larger scopes first; within one kind by how many times the limit, without a limit by the amount."""
    return _KINDS.index(each.kind), -each.actual / max(each.limit, CENT), each.subject
