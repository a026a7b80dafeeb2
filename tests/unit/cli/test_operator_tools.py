"""What moves books asks first, says who it was, and tells a wrong use before anything is sent."""

from __future__ import annotations

import re
from typing import Any

import pytest
from click.testing import CliRunner

from pms.cli.confirming import actor
from pms.cli.house import _handed
from pms.cli.incidents import as_object
from pms.cli.main import cli
from pms.contract.journal import IncidentRow


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("adjust alice --reason why", "say --amount, or --symbol and --quantity"),
        ("adjust alice --amount 1 --symbol BTCUSDT --quantity 1 --reason why", "say --amount"),
        ("adjust alice --amount 1", "Missing option '--reason'"),
        ("adjust alice --amount many --reason why", "is not a number"),
        ("resolve X --as gone --reason why", "'gone' is not one of"),
        ("resolve X --as cancelled --reason why", "nobody is there to confirm: say --yes"),
        ("adjust alice --amount 1 --reason why", "nobody is there to confirm: say --yes"),
        ("reassign BTCUSDT --to alice --reason why", "nobody is there to confirm: say --yes"),
        ("reassign BTCUSDT --to alice --trade 1 --reason why", "--trade goes with --order"),
        ("reassign BTCUSDT --to alice --order 1 --quantity 1 --reason why", "knows its own quantity"),
        ("incidents ack 5", "Missing option '--reason'"),
    ],
)
def test_a_wrong_use_is_one_clear_line(words: str, says: str) -> None:
    result = CliRunner().invoke(cli, words.split())
    assert result.exit_code in {1, 2}
    assert says in result.output


def test_an_actor_is_a_user_at_a_host() -> None:
    assert re.fullmatch(r"\S+@\S+", actor())


def test_an_incident_for_scripts_has_its_age_and_its_next_step() -> None:
    row = IncidentRow(
        seq=7,
        kind="drift",
        severity="critical",
        detail="d",
        at=1_000,
        evidence='{"difference": "0.1"}',
        state="resolved",
        resolved_at=61_000,
    )
    told = as_object(row)
    assert (told["id"], told["ageSeconds"], told["evidence"]) == ("7", 60, {"difference": "0.1"})
    assert "pms reconcile" in told["nextStep"]


def test_what_was_handed_over_counts_from_the_houses_side() -> None:
    def moved(quantity: str, giver: str, taker: str) -> dict[str, Any]:
        details = {"from": giver, "to": taker, "quantity": quantity, "price": "1"}
        return {"symbol": "BTCUSDT", "details": details}

    answers = [
        moved("0.3", "house", "alice"),
        moved("-0.1", "alice", "house"),
        {"symbol": None, "details": {"amount": "5"}},
    ]
    assert {symbol: str(q) for symbol, q in _handed(answers).items()} == {"BTCUSDT": "-0.4"}
