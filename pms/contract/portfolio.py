"""What the desk may lose: the report of `pms.risk`, kept under `pms:portfolio:latest` or by request.

Amounts are USDT. What rests on statistics is rounded to cents and null where there is no history; what
is known (equity, exposure, margin, the loss of a scenario) is exact at the prices that the report shows.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from pms.contract.account import Shape
from pms.contract.commands import AccountId
from pms.contract.money import Number, decode_object

ScopeKind = Literal["account", "group", "desk"]
Measure = Literal["var", "es", "stress", "margin"]


class RiskRequest(BaseModel):
    """`pms.risk`: a report of now, under `pms:portfolio:{requestId}`; its result says when it is there.

    Not a command: nothing is decided or journaled, and a repeat reckons anew.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, title="RiskRequest"
    )

    request_id: UUID = Field(description="Names the report; in lower case.")
    sub_account_id: AccountId | None = Field(None, description="Show this account, alone.")
    scenario: str | dict[str, Any] | None = Field(
        None,
        description='The name of a known one, or {"name", "others": percent, "shocks": {symbol: percent}}.',
    )


class RiskMethod(Shape):
    """How the statistics were made."""

    interval: str = Field(description="Length of a bar: 1d, 1h, …")
    bars: int = Field(description="How many returns were used; 0 is no history at all.")
    horizon: int = Field(description="Bars ahead that the figures are for, by the square root of time.")
    var_confidence: Number
    es_confidence: Number
    decay: Number = Field(description="Weight of a bar against the next one's, in the parametric figures.")
    reference: str | None = Field(description="The symbol whose moves stand in for what others lack.")


class SymbolUsed(Shape):
    """A symbol that somebody holds: its price, and what is known of its past."""

    symbol: str
    price: Number | None
    price_source: Literal["mid", "close", "entry"] = Field(
        description="entry: no price at all; positions stand at their cost, their profit at zero."
    )
    price_age: int | None = Field(description="Milliseconds; of a close, since its bar ended.")
    returns: int = Field(description="Returns that were seen; 0 where there is no history.")
    filled: int = Field(description="Returns made up from the reference and the symbol's own residuals.")
    covered: bool = Field(description="False: too few returns; the statistics leave it out.")
    last_bar: int | None = Field(description="When the last finished bar that is known began, ms.")
    volatility: Number | None = Field(description="Of one bar, in percent, exponentially weighted.")
    brackets: bool = Field(description="False: not told; those of an unknown symbol are taken.")


class SymbolRisk(Shape):
    """One symbol's part in a scope."""

    symbol: str
    quantity: Number = Field(description="Signed.")
    exposure: Number = Field(description="Signed, at the price shown.")
    component_var: Number | None = Field(description="Its part of the parametric VaR; the parts add up.")
    component_es: Number | None = Field(description="Its part of the historical ES; the parts add up.")


class ScopeRisk(Shape):
    """The risk of an account, of a group, or of the desk's net at the exchange."""

    kind: ScopeKind
    name: str
    balance: Number
    unrealized: Number
    equity: Number
    gross: Number = Field(description="Sum of the positions' sizes.")
    net: Number = Field(description="Longs less shorts.")
    margin_used: Number | None = Field(
        description="Positions' margin and what orders reserve; null for the exchange's own."
    )
    margin_percent: Number | None = Field(description="marginUsed of equity; null without equity.")
    maintenance: Number
    maintenance_percent: Number | None = Field(description="maintenance of equity; liquidated at 100.")
    var: Number | None = Field(description="Historical.")
    es: Number | None = Field(description="Historical.")
    parametric_var: Number | None
    parametric_es: Number | None
    undiversified_var: Number | None = Field(description="Parametric, every correlation against the book.")
    uncovered: Number = Field(description="Gross exposure in symbols that the statistics leave out.")
    stress_loss: Number = Field(description="Of the worst scenario; 0 where none costs anything.")
    stress_scenario: str | None
    symbols: list[SymbolRisk]


class VirtualSum(Shape):
    """All sub-accounts but the house, each by itself and added: no profit of one pays for another."""

    accounts: int = Field(description="Those that hold something.")
    equity: Number
    gross: Number
    margin_used: Number
    maintenance: Number
    var: Number | None
    es: Number | None
    stress_loss: Number = Field(description="Of each account in its own worst scenario.")


class Shock(Shape):
    """By how many percent a symbol moves."""

    symbol: str
    percent: Number


class ScenarioRisk(Shape):
    """What one scenario does."""

    name: str
    others: Number = Field(description="Percent, for all symbols without a shock of their own.")
    shocks: list[Shock]
    change: Number = Field(description="Of the desk's net equity.")
    liquidated: int = Field(description="Accounts whose equity is not above their maintenance margin.")
    bankrupt: int = Field(description="Of those, accounts whose equity is below zero.")
    shortfall: Number = Field(description="What the bankrupt cannot pay, together.")
    first_liquidated: list[str] = Field(description="Names, 20 at most.")


class AccountOutcome(Shape):
    """What one scenario leaves of the account that was asked for."""

    scenario: str
    change: Number
    equity: Number
    maintenance: Number
    verdict: Literal["kept", "liquidated", "bankrupt"]


class Crossing(Shape):
    """A limit that is crossed."""

    kind: ScopeKind
    name: str
    measure: Measure
    limit: Number = Field(description="In the measure's own unit: USDT.")
    actual: Number


class PortfolioReport(Shape):
    """Everything at one seq of the journal."""

    id: str
    seq: int = Field(description="The journal's entry up to which PostgreSQL had it.")
    entry_at: int = Field(description="That entry's own time, ms.")
    at: int = Field(description="When the prices were read: Redis time, ms.")
    method: RiskMethod
    symbols: list[SymbolUsed]
    net: ScopeRisk
    virtual: VirtualSum
    groups: list[ScopeRisk]
    accounts: list[ScopeRisk] = Field(description="Those that stand to lose most first; bounded.")
    accounts_left_out: int
    scenarios: list[ScenarioRisk]
    outcomes: list[AccountOutcome] = Field(description="Of the account that was asked for; else empty.")
    crossed: list[Crossing] = Field(description="The desk's first, then by how far; bounded.")
    crossed_left_out: int
    warnings: list[str] = Field(description="What these figures cannot see this time.")


def read_portfolio(text: bytes | str) -> PortfolioReport:
    """Read a report. Trap: pydantic's own JSON reader would take its numbers through binary floats."""
    return PortfolioReport.model_validate(decode_object(text))


def percent_of(part: Decimal, whole: Decimal) -> Decimal | None:
    """A part in percent with two digits; None where the whole is not above zero."""
    return (100 * part / whole).quantize(Decimal("0.01")) if whole > 0 else None
