"""What scenarios did, as the report shows it: to everybody, and to the one account that was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from pms.contract.money import booked
from pms.contract.portfolio import AccountOutcome, ScenarioRisk, Shock
from pms.risk.book import Account, Prices, Scope, value
from pms.risk.maintenance import Ladders
from pms.risk.scenarios import Scenario
from pms.risk.stress import Outcome, change, judge

FIRST_NAMES = 20


def scenario_risk(outcome: Outcome, net: Scope) -> ScenarioRisk:
    """One scenario for all accounts, beside what it does to the net."""
    scenario = outcome.scenario
    return ScenarioRisk(
        name=scenario.name,
        others=scenario.others,
        shocks=[Shock(symbol=symbol, percent=each) for symbol, each in sorted(scenario.shocks.items())],
        change=booked(change(net, scenario)),
        liquidated=len(outcome.liquidated),
        bankrupt=len(outcome.bankrupt),
        shortfall=outcome.shortfall,
        first_liquidated=list(outcome.liquidated[:FIRST_NAMES]),
    )


def outcomes_of(
    account: Account, scenarios: Sequence[Scenario], prices: Prices, ladders: Ladders
) -> list[AccountOutcome]:
    """One account through every scenario, in decimals."""
    now = value(account, prices, ladders).equity
    judged = [(each, judge(account, each, prices, ladders)) for each in scenarios]
    return [
        AccountOutcome(
            scenario=each.name,
            change=booked(verdict.equity - now),
            equity=booked(verdict.equity),
            maintenance=booked(verdict.maintenance),
            verdict=verdict.word if account.positions and not account.is_house else "kept",
        )
        for each, verdict in judged
    ]
