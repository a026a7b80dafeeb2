"""The whole report of a small desk, by hand; and limits with their hysteresis."""

from __future__ import annotations

from typing import Any

import pytest
from makers import BTC, D, account, holding, walk

from pms.contract.journal import LimitRow
from pms.contract.names import HOUSE
from pms.domain.limits import LimitBook
from pms.domain.risk_limits import subject
from pms.risk.assess import MOST_ACCOUNTS, Assessed, Method, Snapshot, assess
from pms.risk.coverage import Quote
from pms.risk.limits import Figures, Limits, LimitsOf, judge, limits_in
from pms.risk.returns import Returns, align
from pms.risk.scenarios import Scenario, grid

METHOD = Method("1d", 1, D("0.75"), D("0.75"), D("0.94"))
SCENARIOS = (Scenario("crash", others=D(-20)), *grid([D(-10), D(10)]))
HISTORY = {
    "BTCUSDT": walk(["-0.10", "0.02", "0.04", "0.01"]),
    "ETHUSDT": walk(["0.05", "-0.20", "0.03", "0.01"]),
}
QUOTES = {"BTCUSDT": Quote(D(60_000), "mid", 40), "ETHUSDT": Quote(D(3_000), "mid", 50)}
DESK = (
    account("alice", "20000", holding("1", "60000"), reserved="50", group="funds"),
    account("bob", "5000", holding("-0.5", "60000"), holding("2", "3000", "ETHUSDT"), group="funds"),
    account("carol", "10"),
    account(HOUSE, "1000", holding("0.1", "60000")),
)


def every(**percents: Any) -> LimitsOf:
    """The same limits for every scope."""
    return lambda _kind, _name: Limits(**percents)


def report(**changes: Any) -> Assessed:
    returns = align(changes.pop("history", HISTORY), count=4, least=2, reference="BTCUSDT")
    fields: dict[str, Any] = {
        "seq": 7,
        "entry_at": 1,
        "at": 2,
        "accounts": DESK,
        "quotes": QUOTES,
        "returns": returns,
        "ladders": {"BTCUSDT": BTC, "ETHUSDT": BTC},
    }
    asked = {name: changes.pop(name) for name in ("limits_of", "wanted") if name in changes}
    return assess(
        Snapshot(**{**fields, **changes}),
        report_id="r",
        method=METHOD,
        scenarios=SCENARIOS,
        **{"limits_of": every(), **asked},
    )


def test_the_net_is_what_the_exchange_sees() -> None:
    """0.6 BTC and 2 ETH: worst bar of four is ETH's -20 % beside BTC's +2 %; at 75 % it is the tail."""
    net = report().report.net
    assert (net.gross, net.net, net.equity, net.margin_used) == (42_000, 42_000, 26_010, None)
    assert net.var == net.es == D("3300.00")  # the bar of -10 % BTC, +5 % ETH: 3600 - 300
    assert [(part.symbol, part.component_es) for part in net.symbols] == [
        ("BTCUSDT", D("3600.00")),
        ("ETHUSDT", D("-300.00")),
    ]
    assert sum(part.component_var or 0 for part in net.symbols) == net.parametric_var
    assert (net.stress_scenario, net.stress_loss) == ("crash", 8400)


def test_accounts_are_measured_apart_and_added_without_the_house() -> None:
    found = report().report
    alice, bob, house = (
        next(each for each in found.accounts if each.name == name) for name in ("alice", "bob", HOUSE)
    )
    assert (alice.var, bob.var) == (D("6000.00"), D("1800.00"))  # bob: -20 % ETH, +2 % of a short
    assert (alice.margin_used, alice.margin_percent) == (6050, D("30.25"))
    assert (alice.maintenance, alice.maintenance_percent) == (240, D("1.20"))
    assert found.virtual.accounts == 2
    assert found.virtual.var == D("7800.00")
    assert found.virtual.gross == alice.gross + bob.gross
    assert house.gross == 6000
    assert found.accounts_left_out == 0


def test_a_group_pools_its_accounts() -> None:
    (funds,) = report().report.groups
    assert (funds.name, funds.net, funds.gross) == ("funds", 36_000, 96_000)
    assert funds.var == D("2700.00")  # 0.5 BTC at -10 %, 2 ETH at +5 %


def test_scenarios_name_whom_they_liquidate() -> None:
    crash = report(accounts=(account("thin", "6000", holding("1", "60000")), *DESK)).report.scenarios[0]
    assert (crash.liquidated, crash.bankrupt, crash.shortfall) == (1, 1, 6000)
    assert crash.first_liquidated == ["thin"]


def test_without_history_only_the_statistics_are_missing() -> None:
    found = report(history={}).report
    assert (found.net.var, found.net.parametric_var, found.virtual.es) == (None, None, None)
    assert found.net.uncovered == found.net.gross
    assert found.net.stress_loss == 8400
    assert found.method.bars == 0
    assert found.warnings == ["too little history, left out of VaR and ES: BTCUSDT, ETHUSDT"]
    assert all(part.component_var is None for part in found.net.symbols)


def test_a_symbol_without_history_is_left_out_and_named() -> None:
    found = report(history={"BTCUSDT": HISTORY["BTCUSDT"]}).report
    assert (found.net.var, found.net.uncovered) == (D("3600.00"), 6000)
    assert "left out of VaR and ES: ETHUSDT" in " ".join(found.warnings)


def test_nobody_holds_anything() -> None:
    found = report(accounts=(), returns=Returns(), quotes={}).report
    assert (found.net.gross, found.virtual.accounts, found.accounts, found.warnings) == (0, 0, [], [])
    assert [each.liquidated for each in found.scenarios] == [0, 0, 0]


def test_prices_that_are_missing_or_old_are_told() -> None:
    found = report(quotes={"BTCUSDT": Quote(D(60_000), "close", 9_000)}).report
    assert [(each.price_source, each.price_age) for each in found.symbols] == [
        ("close", 9000),
        ("entry", None),
    ]
    assert len(found.warnings) == 2


def test_many_accounts_are_shown_by_their_loss_and_the_rest_counted() -> None:
    many = [account(f"a{n:04}", "9", holding("0.001", "60000")) for n in range(MOST_ACCOUNTS + 5)]
    found = report(accounts=[*many, account("large", "9", holding("1", "60000"))]).report
    assert found.accounts[0].name == "large"
    assert (len(found.accounts), found.accounts_left_out) == (MOST_ACCOUNTS, 6)
    alone = report(accounts=many, wanted="a0204").report
    assert [each.name for each in alone.accounts] == ["a0204"]


def test_a_crossed_limit_is_told_and_shown_first() -> None:
    """Bob's VaR of 1,800 is above 30 % of his 5,000; alice's 6,000 is exactly 30 % of hers, not above."""
    found = report(limits_of=every(var=D(30)))
    assert [(each.name, each.limit, each.actual) for each in found.report.crossed] == [
        (HOUSE, 300, 600),
        ("bob", 1500, 1800),
    ]
    assert [each.subject for each in found.findings] == ["account house var", "account bob var"]
    assert [each.name for each in found.report.accounts] == ["bob", HOUSE, "alice"]


def test_the_account_that_was_asked_for_goes_through_every_scenario() -> None:
    assert report().report.outcomes == []
    crash, down, up = report(wanted="alice").report.outcomes
    assert (crash.change, crash.equity, crash.maintenance, crash.verdict) == (-12_000, 8000, 192, "kept")
    assert (down.change, up.change) == (-6000, 6000)
    assert [each.verdict for each in report(wanted=HOUSE).report.outcomes] == ["kept"] * 3
    thin = account("thin", "6100", holding("1", "60000"))
    verdicts = [each.verdict for each in report(accounts=(thin,), wanted="thin").report.outcomes]
    assert verdicts == ["bankrupt", "liquidated", "kept"]


def test_a_var_that_leaves_a_position_out_crosses_nothing_and_ends_nothing() -> None:
    found = report(
        history={"BTCUSDT": HISTORY["BTCUSDT"]}, limits_of=every(var=D(1)), standing={"account bob var"}
    )
    assert "bob" not in {each.name for each in found.findings}


def figures(actual: str | None, *, equity: str = "1000") -> list[Figures]:
    value = None if actual is None else D(actual)
    return [Figures("account", "a", D(equity), value, None, None, None)]


@pytest.mark.parametrize(
    ("actual", "stands", "told"),
    [
        ("100.00", False, []),
        ("100.01", False, [False]),
        ("100.00", True, [False]),
        ("90.01", True, [False]),
        ("90.00", True, [True]),
        (None, True, []),
        (None, False, []),
    ],
)
def test_a_limit_ends_only_well_below_itself(actual: str | None, stands: bool, told: list[bool]) -> None:
    standing = {subject("account", "a", "var")} if stands else set()
    found = list(judge(figures(actual), every(var=D(10)), standing))
    assert [each.over for each in found] == told


def test_without_equity_any_risk_is_too_much() -> None:
    (found,) = judge(figures("0.01", equity="-5"), every(var=D(10)), ())
    assert (found.limit, found.over) == (0, False)
    assert not list(judge(figures("0", equity="-5"), every(var=D(10)), ()))


def test_a_limit_or_a_group_that_is_no_more_ends_what_stands() -> None:
    standing = {"account a var", "group old one es", "not one of ours"}
    found = list(judge(figures("500"), every(), standing))
    assert [(each.kind, each.name, each.measure, each.over) for each in found] == [
        ("account", "a", "var", True),
        ("group", "old one", "es", True),
    ]


def book(*settings: tuple[str, str, str | None], **groups: str) -> LimitBook:
    found = LimitBook()
    for scope, name, value in settings:
        who = {"actor": "ann", "reason": "a test", "at": 1, "request_id": "r"}
        found.take(LimitRow(scope=scope, name=name, symbol="", value=value, **who))  # type: ignore[arg-type]
    for account_, group in groups.items():
        found.join(account_, group)
    return found


def test_each_scope_has_the_limits_that_are_set_for_it() -> None:
    of = limits_in(
        book(
            ("*", "risk.var", "20"),
            ("group:funds", "risk.var", "15"),
            ("group:funds", "risk.es", "25"),
            ("group:default", "risk.stress", "70"),
            ("bob", "risk.var", "30"),
            ("bob", "risk.margin", "80"),
            alice="funds",
            bob="funds",
        )
    )
    assert of("desk", "desk") == Limits(var=D(20))
    assert of("group", "funds") == Limits(var=D(15), es=D(25))
    assert of("group", "others") == Limits(var=D(20))
    assert of("account", "alice") == Limits(var=D(15), es=D(25))
    assert of("account", "bob") == Limits(var=D(30), es=D(25), margin=D(80))
    assert of("account", "carol") == Limits(var=D(20), stress=D(70))


def test_a_setting_that_is_removed_leaves_the_wider_one() -> None:
    was = book(("*", "risk.var", "20"), ("bob", "risk.var", "30"), ("bob", "risk.var", None))
    assert limits_in(was)("account", "bob") == Limits(var=D(20))


def test_the_desk_its_groups_and_its_accounts_are_judged_by_their_own_limits() -> None:
    """VaR of 30 % is alice's 6,000 exactly and above it bob's 1,800; the group's pooled book loses less."""
    settings = (("*", "risk.var", "1000"), ("group:funds", "risk.var", "10"), ("bob", "risk.var", "36"))
    found = report(limits_of=limits_in(book(*settings, alice="funds", bob="funds")))
    assert [(each.kind, each.name) for each in found.findings] == [("group", "funds"), ("account", "alice")]
