"""What `pms reconcile` tells: only what was compared, and does not differ, agrees."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from pms.cli import reconcile as command
from pms.contract.reconciliation import Books, Comparison, Report
from pms.flows.reconcile import Reconciled

COMPARED = Comparison(what="orders in Redis", rows=3)


def reconciled(*copies: Comparison) -> Reconciled:
    books = Books(seq=7, orders=(), positions=(), accounts=())
    report = Report(
        id="r",
        at=1,
        before=7,
        seq=7,
        dry_run=False,
        weight=5,
        booked=0,
        comparisons=(Comparison(what="wallet", rows=1),),
        books=books,
    )
    return Reconciled(report, copies)


@pytest.mark.parametrize(
    ("second", "code", "told"),
    [
        (Comparison(what="rows in PostgreSQL", rows=5), 0, ""),
        (Comparison(what="rows in PostgreSQL", rows=5, found=("alice: 1, memory 2",)), 1, "memory 2"),
        (
            Comparison(what="PostgreSQL", rows=0, note="the ledger is behind the streamer"),
            1,
            "PostgreSQL: not compared: the ledger is behind the streamer",
        ),
    ],
)
def test_what_was_not_compared_does_not_agree(
    monkeypatch: pytest.MonkeyPatch, second: Comparison, code: int, told: str
) -> None:
    def run(_work: Any) -> Reconciled:
        return reconciled(COMPARED, second)

    monkeypatch.setattr(command, "run", run)
    shown = CliRunner().invoke(command.reconcile, [])
    assert shown.exit_code == code
    assert told in shown.stderr
    assert ("not compared" in shown.stdout) is bool(second.note)
    result = CliRunner().invoke(command.reconcile, ["--json"])
    assert result.exit_code == code
    assert json.loads(result.stdout)["agrees"] is (code == 0)
