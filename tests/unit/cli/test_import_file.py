"""A file of another system is read whole or refused with the row at fault."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from pms.cli.import_file import ImportedPosition, read_accounts
from pms.cli.importing import plan
from pms.cli.session import Failed

CSV = """account,label,balance,symbol,side,quantity,entryPrice,leverage
alice,Alice,1000.50,btcusdt,LONG,0.010,60000,10
alice,,,ETHUSDT,SHORT,2,2500.10,
bob,,250,,,,,
"""
JSON = """[
  {"account": "alice", "label": "Alice", "balance": 1000.50, "positions": [
    {"symbol": "btcusdt", "quantity": 0.010, "entryPrice": 60000, "leverage": 10},
    {"symbol": "ETHUSDT", "quantity": "-2", "entryPrice": "2500.10"}]},
  {"account": "bob", "balance": "250"}
]"""


@pytest.mark.parametrize(("name", "text"), [("desk.csv", CSV), ("desk.json", JSON)])
def test_both_forms_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    alice, bob = read_accounts(tmp_path / name)
    assert (alice.id, alice.label, alice.balance) == ("alice", "Alice", Decimal("1000.5"))
    assert alice.positions == [
        ImportedPosition("BTCUSDT", Decimal("0.01"), Decimal(60000), 10),
        ImportedPosition("ETHUSDT", Decimal(-2), Decimal("2500.1"), None),
    ]
    assert (bob.balance, bob.positions) == (Decimal(250), [])


def test_the_plan_creates_funds_and_then_hands_over(tmp_path: Path) -> None:
    (tmp_path / "desk.csv").write_text(CSV)
    steps = plan(read_accounts(tmp_path / "desk.csv"))
    assert [(step.shown["account"], step.shown["step"]) for step in steps] == [
        ("alice", "create"),
        ("alice", "fund"),
        ("alice", "position"),
        ("alice", "position"),
        ("bob", "create"),
        ("bob", "fund"),
    ]
    again = plan(read_accounts(tmp_path / "desk.csv"))
    ids = [step.request_id(0) for step in steps]
    assert ids == [step.request_id(0) for step in again]
    assert len({*ids, *(step.request_id(1) for step in steps)}) == 2 * len(steps)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("account,balance\nalice,many\n", "balance 'many' is not a number"),
        ("account,balance\nalice,-1\n", "must be zero or above"),
        ("account,balance\nalice,NaN\n", "must be zero or above"),
        ("account,balance\nal ice,1\n", "letters, digits or dashes"),
        ("account,balance\n,1\n", "line 2"),
        ("account,balance\nalice,1,2\n", "more or fewer values"),
        ("account,balanse\nalice,1\n", "the columns are"),
        ("account,balance\nalice,1\nalice,2\n", "line 3: alice has two balances"),
        ("account,symbol\nalice,BTCUSDT\n", "quantity is missing"),
        ("account,symbol,quantity,entryPrice\nalice,BTCUSDT,0,1\n", "quantity is zero"),
        ("account,symbol,quantity,entryPrice\nalice,BTCUSDT,x,1\n", "quantity"),
        ("account,symbol,side,quantity,entryPrice\nalice,BTCUSDT,UP,1,1\n", "not LONG or SHORT"),
        ("account,symbol,side,quantity,entryPrice\nalice,BTCUSDT,SHORT,-1,1\n", "without a sign"),
        ("account,quantity\nalice,1\n", "needs a symbol"),
        ("account\n", "holds no account"),
        (
            "account,symbol,quantity,entryPrice\nalice,BTCUSDT,1,1\nalice,btcusdt,1,1\n",
            "alice has BTCUSDT twice",
        ),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_imported(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "desk.csv").write_text(text)
    with pytest.raises(Failed, match=fault):
        read_accounts(tmp_path / "desk.csv")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"account":"a","positions":{}}]', '[{"acount":"a"}]'])
def test_json_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "desk.json").write_text(text)
    with pytest.raises(Failed, match=r"desk\.json"):
        read_accounts(tmp_path / "desk.json")
