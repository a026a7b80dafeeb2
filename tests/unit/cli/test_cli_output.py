"""What people and scripts are shown."""

from __future__ import annotations

import json
from decimal import Decimal

import click
import pytest

from pms.cli.output import Column, number, print_list, print_result, refused
from pms.cli.watch import describe

ROWS = [{"name": "alice", "amount": Decimal("0.00000010")}, {"name": "bob", "amount": None}]
COLUMNS = (Column("name", "name"), number("amount", "amount"))


def test_a_list_is_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    print_list(ROWS, COLUMNS, form=None, empty="nothing")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["alice", "0.0000001"]
    assert max(map(len, lines)) <= 80


def test_a_list_is_exact_json_or_csv_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    print_list(ROWS, COLUMNS, form="json", empty="nothing")
    parsed = json.loads(capsys.readouterr().out, parse_float=Decimal)
    assert parsed == [{"name": "alice", "amount": Decimal("1E-7")}, {"name": "bob", "amount": None}]
    print_list(ROWS, COLUMNS, form="csv", empty="nothing")
    assert capsys.readouterr().out == "name,amount\nalice,0.0000001\nbob,\n"


def test_an_empty_list_is_said_on_stderr_and_is_valid_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    print_list([], COLUMNS, form=None, empty="nothing yet")
    assert capsys.readouterr() == ("", "nothing yet\n")
    print_list([], COLUMNS, form="json", empty="nothing yet")
    assert json.loads(capsys.readouterr().out) == []
    print_list([], COLUMNS, form="csv", empty="nothing yet")
    assert capsys.readouterr().out == "name,amount\n"


def test_a_refusal_names_code_field_limit_and_value_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    result = {
        "success": False,
        "code": "MARGIN",
        "error": "too little",
        "field": "quantity",
        "limit": "5",
        "actual": "6",
    }
    assert refused(result) == "refused MARGIN: too little (field quantity, limit 5, actual 6)"
    with pytest.raises(click.exceptions.Exit) as exit_:
        print_result(result, as_json=True)
    assert exit_.value.exit_code == 1
    assert json.loads(capsys.readouterr().out)["code"] == "MARGIN"


def test_an_admitted_order_that_is_not_proven_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    result = {
        "success": True,
        "state": "placing",
        "side": "BUY",
        "quantity": Decimal("0.10"),
        "symbol": "BTCUSDT",
        "orderId": "PMS_alice_M_x",
    }
    print_result(result, as_json=False)
    assert capsys.readouterr().out == (
        "placing  BUY 0.1 BTCUSDT  order PMS_alice_M_x  (outcome not yet proven: `pms watch` tells)\n"
    )


def test_events_are_told_in_a_line() -> None:
    fill = {
        "type": "order_filled",
        "subAccountId": "alice",
        "side": "BUY",
        "quantity": Decimal("0.1"),
        "symbol": "BTCUSDT",
        "price": None,
        "lastFillQty": Decimal("0.1"),
        "lastFillPrice": Decimal(60000),
        "filledQty": Decimal("0.1"),
        "timestamp": Decimal("1.5"),
    }
    assert describe(fill) == (
        "01-01 00:00 alice    filled           BUY 0.1/0.1 BTCUSDT @ market (0.1 @ 60000)"
    )
    closed = {
        "type": "position_closed",
        "subAccountId": "bob",
        "position": {"side": "SHORT", "quantity": 2, "symbol": "ETHUSDT", "entryPrice": Decimal("2500.10")},
        "closedQty": 2,
        "realizedPnl": Decimal("-3.50"),
        "timestamp": 1,
    }
    assert describe(closed).endswith(
        "closed           position SHORT 2 ETHUSDT @ 2500.1 (closed 2, P&L -3.5)"
    )
