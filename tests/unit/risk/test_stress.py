"""Scenarios and stress: by hand, and the sorting in floats against the verdict in decimals."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makers import BTC, D, account, holding

from pms.contract.names import HOUSE
from pms.domain.brackets import UNKNOWN, ladder, maintenance
from pms.risk.book import Account, net_of, pool, value
from pms.risk.maintenance import Ladder
from pms.risk.scenarios import BadScenario, Scenario, grid, scenario_from, scenarios_from
from pms.risk.stress import Stress, change, judge, worst
from pms.venue.brackets import BRACKETS, OTHERS

LADDERS = {"BTCUSDT": BTC, "ETHUSDT": BTC}
PRICES = {"BTCUSDT": D(60_000), "ETHUSDT": D(3_000)}
CRASH = Scenario("crash", others=D(-20))


def test_an_account_is_valued_exactly() -> None:
    alice = account("alice", "1000", holding("0.1", "50000"), holding("-2", "3500", "ETHUSDT"), reserved="7")
    scope = value(alice, PRICES, LADDERS)
    assert (scope.unrealized, scope.equity) == (D(2000), D(3000))
    assert (scope.gross, scope.net) == (D(12_000), D(0))
    assert scope.margin_used == 7 + 500 + 700
    assert scope.maintenance == D("0.004") * 6000 * 2


def test_without_a_price_a_position_stands_at_its_cost() -> None:
    scope = value(account("alice", "10", holding("2", "3500", "ETHUSDT")), {}, LADDERS)
    assert (scope.unrealized, scope.gross) == (0, 7000)


def test_the_net_nets_and_the_group_pools() -> None:
    long = value(account("a", "100", holding("1", "60000")), PRICES, LADDERS)
    short = value(account("b", "100", holding("-1", "60000")), PRICES, LADDERS)
    group = pool("g", [long, short])
    assert (group.gross, group.net, group.margin_used) == (120_000, 0, 12_000)
    desk = net_of([long, short], LADDERS)
    assert (desk.gross, desk.margin_used, desk.maintenance, desk.equity) == (0, None, 0, 200)
    assert group.maintenance == 2 * BTC.margin(D(60_000))


def test_both_legs_of_a_symbol_keep_margin_and_move_together() -> None:
    both = account("a", "100", holding("1", "60000"), holding("-1", "60000"))
    scope = value(both, PRICES, LADDERS)
    assert (scope.gross, scope.net, scope.maintenance) == (120_000, 0, 2 * BTC.margin(D(60_000)))
    assert change(scope, CRASH) == 0


def test_the_ladder_is_the_bracket_of_the_notional() -> None:
    """Against the domain's search for the bracket, at floors, caps and between, to the last digit."""
    for listed in (*BRACKETS.values(), OTHERS):
        brackets = ladder([(each.leverage, each.floor, each.cap, each.ratio) for each in listed])
        for each in listed:
            for notional in (each.floor, each.cap, (each.floor + each.cap) / 2, each.cap + 1):
                assert Ladder.of(brackets).margin(notional) == maintenance(brackets, notional)


def test_a_ladder_that_does_not_rise_is_refused() -> None:
    for steps in ((), ((D("0.02"), D(0)), (D("0.01"), D(5))), ((D(0), D(0)),), ((D(1), D(0)),)):
        with pytest.raises(ValueError, match="rise"):
            Ladder(steps)


def test_a_crash_by_hand() -> None:
    """1 BTC bought at 60,000: at -20 % it has lost 12,000 and must keep 192 for a notional of 48,000."""
    accounts = [
        account("kept", "12192.01", holding("1", "60000")),
        account("at-the-line", "12192", holding("1", "60000")),
        account("solvent", "12000", holding("1", "60000")),
        account("bankrupt", "11999.5", holding("1", "60000")),
        account("short", "100", holding("-1", "60000")),
        account("flat", "0"),
        account(HOUSE, "0", holding("5", "60000")),
    ]
    outcome = Stress(accounts, PRICES, LADDERS).shake(CRASH)
    assert outcome.liquidated == ("at-the-line", "solvent", "bankrupt")
    assert outcome.bankrupt == ("bankrupt",)
    assert outcome.shortfall == D("0.5")


def test_a_symbol_whose_brackets_were_not_told_is_judged_as_liquidation_does() -> None:
    """2.5 % of 48,000."""
    accounts = [account("a", "13200.01", holding("1", "60000")), account("b", "13200", holding("1", "60000"))]
    outcome = Stress(accounts, PRICES, {}).shake(CRASH)
    assert (outcome.liquidated, outcome.bankrupt) == (("b",), ())
    assert value(accounts[0], PRICES, {}).maintenance == maintenance(UNKNOWN, D(60_000))


def test_the_worst_of_a_grid() -> None:
    short = value(account("a", "0", holding("-1", "60000")), PRICES, LADDERS)
    flat = value(account("b", "0"), PRICES, LADDERS)
    worst_of_short, of_flat = worst([short, flat], grid([D(-30), D("-2.5"), D(10), D(20)]))
    assert worst_of_short is not None
    assert (worst_of_short.scenario.name, worst_of_short.amount) == ("all +20 %", D(12_000))
    assert of_flat is None
    assert worst([short], grid([D(-30)])) == [None]
    assert worst([short], ()) == [None]
    assert worst([], grid([D(-30)])) == []


AMOUNTS = st.decimals("-3", "3", places=3).filter(bool)
HELD = st.lists(
    st.tuples(AMOUNTS, st.decimals("30000", "90000", places=1), st.sampled_from(["BTCUSDT", "ETHUSDT"])),
    min_size=1,
    max_size=4,
)


@given(
    st.lists(st.tuples(st.decimals("-5000", "90000", places=2), HELD), min_size=1, max_size=8),
    st.sampled_from([D(-100), D(-35), D("-12.5"), D(0), D(40), D(1000)]),
    st.sampled_from([D(-50), D(0), D(15)]),
)
def test_floats_never_change_a_verdict(
    drawn: list[tuple[Decimal, list[tuple[Decimal, Decimal, str]]]], others: Decimal, of_eth: Decimal
) -> None:
    """Also where an account stands exactly on a line: each comes a second time, put there."""
    scenario = Scenario("any", others=others, shocks={"ETHUSDT": of_eth})
    accounts: list[Account] = []
    for n, (balance, held) in enumerate(drawn):
        positions = [holding(str(quantity), str(entry), symbol) for quantity, entry, symbol in held]
        one = account(f"a{n}", str(balance), *positions)
        verdict = judge(one, scenario, PRICES, LADDERS)
        on_the_line = one.balance - verdict.equity + verdict.maintenance
        accounts += [
            one,
            account(f"b{n}", str(on_the_line), *positions),
            account(f"c{n}", str(on_the_line + D("1e-8")), *positions),
            account(f"d{n}", str(one.balance - verdict.equity), *positions),
        ]
    outcome = Stress(accounts, PRICES, LADDERS).shake(scenario)
    verdicts = {each.id: judge(each, scenario, PRICES, LADDERS) for each in accounts}
    assert outcome.liquidated == tuple(name for name, each in verdicts.items() if each.liquidated)
    assert outcome.bankrupt == tuple(name for name, each in verdicts.items() if each.equity < 0)
    owed = sum((-each.equity for each in verdicts.values() if each.equity < 0), D(0))
    assert abs(outcome.shortfall - owed) <= D("0.01")


def test_a_scenario_is_read_with_its_percents_exact() -> None:
    scenario = scenario_from({"name": "mine", "others": "-12.5", "shocks": {"btcusdt": -7}})
    assert (scenario.move("BTCUSDT"), scenario.move("ETHUSDT")) == (D("-0.07"), D("-0.125"))


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ("crash", "scenario"),
        ({"name": "x", "others": -1, "shock": {}}, "scenario"),
        ({"others": -1}, "scenario.name"),
        ({"name": "", "others": -1}, "scenario.name"),
        ({"name": "x"}, "scenario.shocks"),
        ({"name": "x", "shocks": []}, "scenario.shocks"),
        ({"name": "x", "others": "much"}, "scenario.others"),
        ({"name": "x", "others": True}, "scenario.others"),
        ({"name": "x", "others": "NaN"}, "scenario.others"),
        ({"name": "x", "shocks": {"BTCUSDT": -101}}, "scenario.shocks.BTCUSDT"),
        ({"name": "x", "shocks": {"BTCUSDT": None}}, "scenario.shocks.BTCUSDT"),
    ],
)
def test_a_bad_scenario_is_refused_by_field(raw: object, field: str) -> None:
    with pytest.raises(BadScenario) as refused:
        scenario_from(raw)
    assert refused.value.field == field


def test_a_table_of_scenarios_names_each_once() -> None:
    one = {"name": "x", "others": -1}
    assert [each.name for each in scenarios_from([one, {**one, "name": "y"}])] == ["x", "y"]
    for bad in ([one, one], one):
        with pytest.raises(BadScenario):
            scenarios_from(bad)
