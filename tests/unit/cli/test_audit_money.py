"""The independent reader recomputes what no trade tells, and finds each way in which it can be wrong."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from pms.cli.audit_checks import Exchange, Ledger, Trade
from pms.cli.audit_money import Fee, Funding, Handed, Money, compare_money, drift

D = Decimal


def trade(trade_id: int, owner: str, side: str, *, asset: str = "USDT") -> Trade:
    return Trade(
        symbol="BTCUSDT",
        order_id=100 + trade_id,
        trade_id=trade_id,
        side=side,
        price=D(60_000),
        quantity=D(10),
        commission=D("0.01"),
        commission_asset=asset,
        realized=D(0),
        maker=False,
        at=1000 + trade_id,
        owner=owner,
    )


TRADES = (trade(1, "alice", "BUY", asset="BNB"), trade(2, "bob", "SELL"))
EXCHANGE = Exchange(
    trades=TRADES,
    client_ids={("BTCUSDT", 101): "PMS_alice_M_a", ("BTCUSDT", 102): "PMS_bob_M_b"},
    positions={"BTCUSDT": D(0)},
    wallet=D(100),
    moved=(),
    open_orders={},
)
LEDGER = Ledger(
    opened_at=1000,
    opening=D(100),
    balances={"house": D(40), "alice": D(30), "bob": D(30)},
    entries=(),
    fills=TRADES,
    positions={
        ("alice", "BTCUSDT", "BOTH"): (D(10), D(600_000)),
        ("bob", "BTCUSDT", "BOTH"): (D(-10), D(-600_000)),
    },
    imports=(),
    open_orders=(),
)
# Between the two trades one funding that concerns Alice alone, behind them one that concerns both.
MONEY = Money(
    theirs={"BNB": D("4.99")},
    ours={"BNB": D("4.99")},
    entries=(("BNB", D(5)), ("BNB", D("-0.01"))),
    told={("TRANSFER", 1, "BNB", ""): D(5)},
    booked={("TRANSFER", 1, "BNB", ""): D(5), ("TRANSFER", 9, "USDT", ""): D(100)},
    fees=(Fee(("BTCUSDT", 101, 1), "alice", "BNB", D("0.01"), D("600.1"), D("6.001")),),
    fundings=(
        Funding("BTCUSDT", 1001, D("0.0001"), D(60_000)),
        Funding("BTCUSDT", 1003, D("0.0002"), D(60_000)),
    ),
    paid=(
        ("alice", "BTCUSDT:1001", D(-60)),
        ("house", "BTCUSDT:1001", D(60)),
        ("alice", "BTCUSDT:1003", D(-120)),
        ("bob", "BTCUSDT:1003:late", D("120.00000001")),
        ("house", "BTCUSDT:1003", D("-0.00000001")),
    ),
)


def faults(money: Money) -> dict[str, list[str]]:
    return {check.name: check.faults for check in compare_money(EXCHANGE, LEDGER, money) if check.faults}


def test_right_books_agree() -> None:
    assert faults(MONEY) == {}
    assert drift(EXCHANGE, LEDGER, MONEY) == {}


@pytest.mark.parametrize(
    ("wrong", "comparison"),
    [
        (replace(MONEY, theirs={"BNB": D(5)}), "other assets"),
        (replace(MONEY, entries=MONEY.entries[:1]), "other assets"),
        (replace(MONEY, booked={}), "each income is booked once"),
        (replace(MONEY, booked={("TRANSFER", 1, "BNB", ""): D(4)}), "each income is booked once"),
        (replace(MONEY, paid=MONEY.paid[2:]), "fundings per sub-account"),
        (replace(MONEY, fundings=MONEY.fundings[1:]), "fundings per sub-account"),
        (replace(MONEY, handed=(Handed("bob", "BTCUSDT", D(1), 1),)), "fundings per sub-account"),
        (replace(MONEY, fees=()), "fees in other assets"),
        (replace(MONEY, fees=(replace(MONEY.fees[0], owner="bob"),)), "fees in other assets"),
        (replace(MONEY, fees=(replace(MONEY.fees[0], amount=D(6)),)), "fees in other assets"),
    ],
)
def test_each_way_to_be_wrong_is_found(wrong: Money, comparison: str) -> None:
    assert comparison in faults(wrong)


def test_drift_is_told_by_symbol_and_asset() -> None:
    positions = LEDGER.positions | {("alice", "BTCUSDT", "BOTH"): (D("10.5"), D(1))}
    wrong = replace(MONEY, ours={"BNB": D(6)})
    assert drift(replace(EXCHANGE, wallet=D(99)), replace(LEDGER, positions=positions), wrong) == {
        "BNB": D("1.01"),
        "BTCUSDT": D("0.5"),
        "USDT": D(1),
    }


@pytest.mark.parametrize(
    ("quantity", "fault"),
    [(D("0.5"), None), (D("0.6"), "computed 0.5, booked 0.6"), (D("-0.5"), "is -0.5")],
)
def test_a_long_is_what_its_own_trades_and_moves_make_it(quantity: Decimal, fault: str | None) -> None:
    bought = replace(LEDGER.fills[0], owner="alice", position_side="LONG", side="BUY", quantity=D("0.7"))
    taken = Handed("alice", bought.symbol, D("-0.2"), 5, "LONG")
    place = ("alice", bought.symbol, "LONG")
    ledger = replace(LEDGER, fills=(bought,), positions={place: (quantity, D(1))})
    check = compare_money(EXCHANGE, ledger, replace(MONEY, handed=(taken,)))[-1]
    assert [fault in each for each in check.faults][-1:] == ([True] if fault else [])
    assert check.agrees is (fault is None)
