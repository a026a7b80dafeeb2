"""`pms positions`, `orders`, `fills`, `ledger`, `accounts` on a real database and a real Redis."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from pms.bus.connection import connect
from pms.cli.accounts import accounts
from pms.cli.book import fills, ledger, orders, positions
from pms.contract import names
from pms.contract.journal import (
    FORMAT,
    Entry,
    FillRow,
    LedgerRow,
    OrderRow,
    PositionRow,
    Rows,
    SubAccountRow,
    encode_entry,
)
from pms.db import engine as engines
from pms.db.fold import fold

D = Decimal
Pms = Callable[..., Result]


def an_order(client_order_id: str, state: str) -> OrderRow:
    return OrderRow(
        client_order_id=client_order_id,
        sub_account_id="alice",
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        quantity=D("0.100"),
        price=D("60000.10"),
        time_in_force="GTC",
        reduce_only=False,
        leverage=10,
        origin="MANUAL",
        parent_id=None,
        request_id=None,
        state=state,
        reason=None,
        exchange_order_id=77,
        filled_qty=D("0.050"),
        filled_quote=D("3000.005"),
        cancel_wanted=False,
        epoch="e",
        deadline=2,
        admitted_at=1_700_000_000_000,
        updated_at=1_700_000_000_000,
    )


ROWS = Rows(
    sub_accounts=(
        SubAccountRow(id="house", label="", status="ACTIVE", balance=D(9000), created_at=1),
        SubAccountRow(id="alice", label="Alice", status="FROZEN", balance=D("1000.50"), created_at=2),
    ),
    orders=(an_order("PMS_alice_M_open", "partially_filled"), an_order("PMS_alice_M_done", "cancelled")),
    positions=(
        PositionRow(
            sub_account_id="alice",
            symbol="BTCUSDT",
            id="3f2b8c9e-0000-5000-8000-000000000000",
            quantity=D("-0.050"),
            cost=D("-3000.005"),
            leverage=10,
            opened_seq=1,
            realized_pnl=D(0),
            updated_at=1,
        ),
    ),
    fills=(
        FillRow(
            symbol="BTCUSDT",
            exchange_order_id=77,
            trade_id=1,
            client_order_id="PMS_alice_M_open",
            sub_account_id="alice",
            side="BUY",
            price=D("60000.10"),
            quantity=D("0.050"),
            commission=D("1.50000250"),
            commission_asset="USDT",
            realized_pnl=D(0),
            venue_realized_pnl=D(0),
            maker=False,
            venue_time=1_700_000_000_000,
        ),
    ),
    ledger=(
        LedgerRow(
            seq=1,
            line=1,
            sub_account_id="alice",
            asset="USDT",
            amount=D("-1.50000250"),
            reason="COMMISSION",
            reference="BTCUSDT:77:1",
            at=1_700_000_000_000,
        ),
    ),
)


@pytest.fixture
def pms(redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Pms:
    """Run a command line against books that hold ROWS."""

    async def seed() -> None:
        redis = connect(redis_url, name="test")
        engine = engines.create(database_url, name="test")
        entry = Entry(v=FORMAT, seq=1, prev=0, at=1, kind="order", rows=ROWS)
        await redis.xadd(names.JOURNAL, {"e": encode_entry(entry)}, id="1-0")
        await fold(redis, engine)
        await redis.set(
            names.risk_key("alice"),
            b'{"balance":1000.5,"equity":1010,"marginUsed":300.0005,"availableMargin":709.9995,"positions":[]}',
        )
        await engine.dispose()
        await redis.aclose()

    asyncio.run(seed())
    monkeypatch.setenv("PMS_HOME", str(tmp_path))
    monkeypatch.setenv("PMS_REDIS_URL", redis_url)
    monkeypatch.setenv("PMS_DATABASE_URL", database_url)

    def run(command: click.Command, *arguments: str) -> Result:
        return CliRunner().invoke(command, arguments)

    return run


@pytest.mark.parametrize("command", [positions, orders, fills, ledger, accounts])
def test_tables_fit_a_terminal(pms: Pms, command: click.Command) -> None:
    result = pms(command)
    assert result.exit_code == 0, result.output
    assert "alice" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_positions_have_side_and_size(pms: Pms) -> None:
    [row] = json.loads(pms(positions, "--json").stdout, parse_float=Decimal)
    assert (row["side"], row["quantity"], row["entryPrice"]) == ("SHORT", D("0.05"), D("60000.1"))
    assert pms(positions, "--symbol", "ethusdt").stderr == "no open positions\n"


def test_orders_are_open_ones_unless_all_are_wanted(pms: Pms) -> None:
    assert [row["clientOrderId"] for row in json.loads(pms(orders, "--json").stdout)] == ["PMS_alice_M_open"]
    assert len(json.loads(pms(orders, "--all", "--json").stdout)) == 2
    assert len(json.loads(pms(orders, "--all", "--limit", "1", "--json").stdout)) == 1


def test_csv_holds_every_field_exactly(pms: Pms) -> None:
    [row] = csv.DictReader(io.StringIO(pms(ledger, "--csv", "--account", "alice").stdout))
    assert (row["amount"], row["reference"]) == ("-1.5000025", "BTCUSDT:77:1")
    [row] = csv.DictReader(io.StringIO(pms(fills, "--csv").stdout))
    assert (row["commission"], row["maker"]) == ("1.5000025", "false")


def test_accounts_show_what_the_engine_shows(pms: Pms) -> None:
    house, alice = json.loads(pms(accounts, "list", "--json").stdout, parse_float=Decimal)
    assert (house["id"], house["equity"]) == ("house", None)
    assert (alice["status"], alice["availableMargin"]) == ("FROZEN", D("709.9995"))


def test_an_unreachable_database_is_one_line(pms: Pms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMS_DATABASE_URL", "postgresql://nobody@/none?host=/nowhere")
    result = pms(positions)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: PostgreSQL: ")
    assert result.stderr.count("\n") == 1


def test_no_running_system_is_one_line(pms: Pms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PMS_DATABASE_URL")
    result = pms(positions)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "pms up" in result.stderr
