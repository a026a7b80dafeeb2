"""The independent reader agrees with books that are right, and finds each way in which they can be wrong."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from pms.cli.audit_checks import Engine, Exchange, Import, Ledger, Snapshot, Trade, compare
from pms.cli.audit_read import horizon

D = Decimal


def trade(trade_id: int, side: str, quantity: str, price: str, **more: Any) -> Trade:
    fields: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "order_id": 100 + trade_id,
        "trade_id": trade_id,
        "side": side,
        "price": D(price),
        "quantity": D(quantity),
        "commission": D("0.5"),
        "commission_asset": "USDT",
        "realized": D(0),
        "maker": False,
        "at": 1000 + trade_id,
        "owner": "alice",
    }
    return Trade(**fields | more)


# Alice buys 0.2 and sells 0.1 with a profit of 100; Bob, who brought 0.5 short along, sells 0.1 more.
TRADES = (
    trade(1, "BUY", "0.2", "60000"),
    trade(2, "SELL", "0.1", "61000", realized=D(100)),
    trade(3, "SELL", "0.1", "61000", realized=D(100), owner="bob-desk-2"),
)
BOOKS: tuple[Exchange, Ledger, Engine] = (
    Exchange(
        trades=tuple(replace(one, owner=None) for one in TRADES),
        client_ids={
            ("BTCUSDT", 101): "PMS_alice_M_x",
            ("BTCUSDT", 102): "PMS_alice_M_y_",
            ("BTCUSDT", 103): "PMS_bob-desk_C_z",
            ("BTCUSDT", 109): "PMS_alice_M_o",
        },
        positions={"BTCUSDT": D(0), "ETHUSDT": D(0)},
        wallet=D("10203.5"),
        moved=((500, "TRANSFER", D(10_000)), (1003, "FUNDING_FEE", D(5))),
        open_orders={("BTCUSDT", 109): "PMS_alice_M_o", ("BTCUSDT", 7): "somebody-elses"},
    ),
    Ledger(
        opened_at=1000,
        opening=D(10_000),
        balances={"house": D("8105"), "alice": D(1099), "bob-desk-2": D("999.5")},
        entries=(
            ("house", "OPENING", D(10_000)),
            ("house", "TRANSFER", D(-1000)),
            ("alice", "TRANSFER", D(1000)),
            ("house", "TRANSFER", D(-1000)),
            ("bob-desk-2", "TRANSFER", D(1000)),
            ("alice", "REALIZED_PNL", D(100)),
            ("alice", "COMMISSION", D("-0.5")),
            ("alice", "COMMISSION", D("-0.5")),
            ("bob-desk-2", "COMMISSION", D("-0.5")),
            ("house", "NETTING", D(100)),
            ("house", "FUNDING", D(5)),
        ),
        fills=TRADES,
        positions={
            ("alice", "BTCUSDT", "BOTH"): (D("0.1"), D(6000)),
            ("bob-desk-2", "BTCUSDT", "BOTH"): (D("-0.6"), D(-36100)),
            ("house", "BTCUSDT", "BOTH"): (D("0.5"), D(30000)),
            ("alice", "ETHUSDT", "BOTH"): (D(0), D(0)),
        },
        imports=(Import("bob-desk-2", "BTCUSDT", D("-0.5"), D(-30000)),),
        open_orders=(("BTCUSDT", 109, "PMS_alice_M_o"),),
    ),
    Engine(
        state="live",
        snapshots={
            "alice": Snapshot(D(1099), {("BTCUSDT", "BOTH"): D("0.1")}),
            "bob-desk-2": Snapshot(D("999.5"), {("BTCUSDT", "BOTH"): D("-0.6")}),
        },
    ),
)


def faults(exchange: Exchange, ledger: Ledger, engine: Engine) -> dict[str, list[str]]:
    return {check.name: check.faults for check in compare(exchange, ledger, engine) if not check.agrees}


def test_right_books_agree_and_tell_how_much_was_compared() -> None:
    checks = compare(*BOOKS)
    assert faults(*BOOKS) == {}
    assert {check.name: check.rows for check in checks}["each trade is booked once"] == 3


def test_empty_books_do_not_agree() -> None:
    exchange, ledger, engine = BOOKS
    empty = faults(replace(exchange, trades=()), replace(ledger, fills=(), entries=()), engine)
    assert len(empty["the books are not empty"]) == 3


EXCHANGE, LEDGER, ENGINE = BOOKS
CENT = D("0.00000001")


def dropped(fills: tuple[Trade, ...]) -> Ledger:
    return replace(LEDGER, fills=fills)


@pytest.mark.parametrize(
    ("wrong", "comparison"),
    [
        ({"ledger": dropped(TRADES[:2])}, "each trade is booked once"),
        ({"ledger": dropped((*TRADES, TRADES[0]))}, "each trade is booked once"),
        ({"ledger": dropped((*TRADES, trade(9, "BUY", "1", "1")))}, "each trade is booked once"),
        (
            {"ledger": dropped((*TRADES[:2], replace(TRADES[2], price=D(61000) + CENT)))},
            "each trade is booked once",
        ),
        (
            {"ledger": dropped((replace(TRADES[0], owner="bob-desk-2"), *TRADES[1:]))},
            "each fill is booked to the account its order names",
        ),
        ({"ledger": replace(LEDGER, open_orders=())}, "the open orders are the same"),
        ({"exchange": replace(EXCHANGE, open_orders={})}, "the open orders are the same"),
        ({"exchange": replace(EXCHANGE, positions={"BTCUSDT": D("0.001")})}, "net positions per symbol"),
        (
            {
                "ledger": replace(
                    LEDGER, positions=LEDGER.positions | {("bob-desk-2", "ETHUSDT", "BOTH"): (D(1), D(1))}
                )
            },
            "positions per sub-account",
        ),
        ({"exchange": replace(EXCHANGE, wallet=EXCHANGE.wallet + CENT)}, "the wallet"),
        (
            {"ledger": replace(LEDGER, balances=LEDGER.balances | {"alice": D(1099) + CENT})},
            "ledger entries add up to each balance",
        ),
        (
            {
                "ledger": replace(
                    LEDGER, positions=LEDGER.positions | {("alice", "BTCUSDT", "BOTH"): (D("0.1"), D(6001))}
                )
            },
            "balances per sub-account",
        ),
        ({"engine": replace(ENGINE, state="degraded")}, "the engine's live view"),
        ({"engine": replace(ENGINE, snapshots={})}, "the engine's live view"),
        (
            {"engine": replace(ENGINE, snapshots={**ENGINE.snapshots, "alice": Snapshot(D(1099), {})})},
            "the engine's live view",
        ),
        (
            {"engine": replace(ENGINE, snapshots={**ENGINE.snapshots, "house": Snapshot(D(0), {})})},
            "the engine's live view",
        ),
    ],
)
def test_each_difference_is_found(wrong: dict[str, Any], comparison: str) -> None:
    books = {"exchange": EXCHANGE, "ledger": LEDGER, "engine": ENGINE} | wrong
    assert comparison in faults(**books)


# The exchange has forgotten the first two trades, their orders, and what moved with them.
FORGOTTEN = replace(
    EXCHANGE,
    trades=EXCHANGE.trades[2:],
    client_ids={place: name for place, name in EXCHANGE.client_ids.items() if place[1] > 102},
    since=1002,
)


def test_what_the_exchange_has_forgotten_is_as_it_was_booked() -> None:
    checks = compare(FORGOTTEN, LEDGER, ENGINE)
    assert faults(FORGOTTEN, LEDGER, ENGINE) == {}
    assert {check.name: check.rows for check in checks}["each trade is booked once"] == 1
    all_forgotten = replace(FORGOTTEN, trades=(), moved=(), client_ids={}, since=1003)
    booked = replace(LEDGER, moved=((500, "TRANSFER", D(10_000)), (1003, "FUNDING_FEE", D(5))))
    assert faults(all_forgotten, booked, ENGINE) == {}
    assert "the wallet" in faults(all_forgotten, LEDGER, ENGINE)


@pytest.mark.parametrize(
    ("fills", "comparison"),
    [
        (TRADES[:2], "each trade is booked once"),
        (TRADES[1:], "positions per sub-account"),
        (TRADES[1:], "balances per sub-account"),
        (
            (*TRADES[:2], replace(TRADES[2], owner="alice")),
            "each fill is booked to the account its order names",
        ),
    ],
)
def test_a_difference_is_found_though_the_exchange_forgets(fills: tuple[Trade, ...], comparison: str) -> None:
    assert comparison in faults(FORGOTTEN, dropped(fills), ENGINE)


def test_young_books_are_compared_from_their_beginning() -> None:
    day = 86_400_000
    assert horizon(10 * day, now=20 * day, days=85) == 0
    assert horizon(10 * day, now=100 * day, days=85) == 15 * day
    assert horizon(10 * day, now=20 * day, days=3) == 17 * day


def test_the_reader_shares_no_code_with_what_it_audits() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, pms.cli.audit; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert [name for name in loaded if name.startswith(("pms.domain", "pms.binance", "pms.streamer"))] == []
