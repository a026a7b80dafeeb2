"""`pms algo`: what an algo came to, and what it would begin with."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from rich.console import Console

from pms.cli import algo_plan, algo_report
from pms.cli.algo import _term
from pms.cli.main import cli
from pms.contract.algo_commands import AlgoStart
from pms.contract.codes import Code, Refusal
from pms.contract.journal import AlgoRow, AlgoSlotRow
from pms.contract.reading import command_from
from pms.domain.algos.starting import begin
from pms.domain.decisions import Asked

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))
from desk_maker import desk_at

D = Decimal
ID = str(UUID(int=7))
CHASE = {"requestId": ID, "subAccountId": "alice", "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.5"}
SCALPER = {
    "requestId": ID,
    "subAccountId": "alice",
    "symbol": "BTCUSDT",
    "quantity": "0.01",
    "layers": "2",
    "baseOffsetPct": "0.1",
}


def a_chase(**fields: Any) -> AlgoRow:
    row: dict[str, Any] = {
        "id": ID,
        "kind": "chase",
        "sub_account_id": "alice",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "terms": json.dumps(CHASE),
        "status": "finished",
        "outcome": "finished",
        "reason": "filled",
        "memory": "{}",
        "target": D("0.5"),
        "arrival": D("60000"),
        "fees": D("1.25"),
        "maker_qty": D("0.4"),
        "reprices": 3,
        "started_at": 1_000,
        "ended_at": 91_000,
        "updated_at": 91_000,
    }
    return AlgoRow(**{**row, **fields})


def its_slot(**fields: Any) -> AlgoSlotRow:
    row: dict[str, Any] = {
        "algo_id": ID,
        "slot": 0,
        "symbol": "BTCUSDT",
        "side": "BUY",
        "target": D("0.5"),
        "filled": D("0.5"),
        "quote": D("30003"),
        "steps": 2,
        "order_id": None,
        "price": None,
        "sent_price": None,
        "cancelling": False,
        "tries": 0,
        "resume_at": 0,
        "moved_at": 0,
        "due_at": None,
        "state": "done",
        "note": None,
        "updated_at": 1,
    }
    return AlgoSlotRow(**{**row, **fields})


def test_what_an_algo_came_to() -> None:
    (told,) = algo_report.reports([a_chase()], [its_slot()])
    assert (told["filled"], told["averagePrice"], told["slippageBps"]) == (D("0.5"), D("60006"), D("1"))
    assert (told["makerShare"], told["fees"], told["reprices"]) == (D("0.8"), D("1.25"), 3)
    assert (told["durationMs"], told["orders"], told["realizedPnl"]) == (90_000, 2, None)


def test_one_that_never_traded_has_neither_average_nor_share() -> None:
    (told,) = algo_report.reports([a_chase(maker_qty=D(0))], [its_slot(filled=D(0), quote=D(0))])
    assert (told["averagePrice"], told["slippageBps"], told["makerShare"]) == (None, None, None)


def test_it_is_told_in_lines_that_fit(capsys: pytest.CaptureFixture[str]) -> None:
    (told,) = algo_report.reports([a_chase()], [its_slot()])
    algo_report.show(Console(highlight=False, markup=False, width=80), told)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{ID}  chase finished, 1 min",
        "    alice BUY 0.5 of 0.5 BTCUSDT at 60006",
        "    1 bps worse than at the start, fees 1.25, maker 80 %, 2 orders, 3 reprices",
        "    filled",
    ]
    assert max(map(len, lines)) <= 80


def planned(name: str, fields: dict[str, Any], *, closed: str | None = None) -> dict[str, Any]:
    command = command_from(name, fields)
    assert isinstance(command, AlgoStart)
    asked = Asked(
        request_id=ID, command=name, text="", at=1, deadline=6_000, now=1_000, closed_because=closed
    )
    return algo_plan.plan_of(desk_at(), asked, command)


def test_a_plan_has_each_slot_and_the_orders_that_would_be_sent_first() -> None:
    plan = planned("pms.scalper", SCALPER)
    assert [(slot["slot"], slot["side"], slot["quantity"], slot["price"]) for slot in plan["slots"]] == [
        (0, "BUY", D("0.01"), D("59940")),
        (1, "SELL", None, None),
        (2, "BUY", D("0.01"), D("59880")),
        (3, "SELL", None, None),
        (4, "SELL", D("0.01"), D("60060.1")),
        (5, "BUY", None, None),
        (6, "SELL", D("0.01"), D("60120.1")),
        (7, "BUY", None, None),
    ]
    assert algo_plan._sent(plan["slots"][0]) == "LIMIT 0.01 at 59940 GTX"


BASKET = {
    "requestId": ID,
    "subAccountId": "alice",
    "mode": "sequence",
    "legs": [
        {"algo": "market", "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.02"},
        {"algo": "limit", "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01", "price": "61000"},
    ],
}


def test_a_basket_s_plan_has_the_slots_of_all_its_legs_and_the_orders_of_the_first() -> None:
    plan = planned("pms.basket", BASKET)
    assert [(slot["slot"], slot["side"], slot["quantity"]) for slot in plan["slots"]] == [
        (0, "BUY", D("0.02")),
        (1, "SELL", None),
        (2, "SELL", None),
        (3, "BUY", None),
    ]


def test_a_basket_is_told_leg_by_leg(capsys: pytest.CaptureFixture[str]) -> None:
    desk = desk_at()
    command = command_from("pms.basket", BASKET)
    assert isinstance(command, AlgoStart)
    asked = Asked(request_id=ID, command="pms.basket", text="", at=1, deadline=6_000, now=1_000)
    algo = begin(desk, asked, command)
    algo.slots[0].filled, algo.slots[0].quote = D("0.02"), D("1200.1")
    algo.slots[0].maker_qty, algo.ended_at = D("0.01"), 3_000
    algo.memory["legs"][0]["state"] = "done"
    (told,) = algo_report.reports(
        [algo.row(at=1)], [algo.slot_row(slot, at=1) for slot in algo.slots.values()]
    )
    assert (told["target"], told["filled"], told["makerShare"]) == (D("1800.0015"), D("1200.001"), D("0.5"))
    algo_report.show(Console(highlight=False, markup=False, width=100), told)
    assert capsys.readouterr().out.splitlines()[1:5] == [
        "    alice 1200.001 of 1800.0015 USDT",
        "    0.82 bps worse than at the start, fees 0, maker 50 %, 0 orders, 0 reprices",
        "    legs[0] BUY 0.02 of 0.02 BTCUSDT at 60005, market done",
        "    legs[1] SELL 0 of 0.01 BTCUSDT, limit waiting",
    ]


def test_a_plan_is_refused_for_what_the_engine_would_refuse() -> None:
    with pytest.raises(Refusal) as refused:
        planned("pms.scalper", {**SCALPER, "quantity": "0.0001"})
    assert (refused.value.code, refused.value.field) == (Code.QUANTITY_MIN, "quantity")
    with pytest.raises(Refusal) as refused:
        planned("pms.chase", CHASE, closed="the engine is not running")
    assert refused.value.code is Code.NOT_READY


def test_terms_are_names_and_values() -> None:
    assert _term("quantity=0.01") == ("quantity", "0.01")
    assert _term('legs=[{"symbol": "BTCUSDT"}]') == ("legs", [{"symbol": "BTCUSDT"}])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("start scalper --account alice quantity", "'quantity' is not NAME=VALUE"),
        ("start scalper --account alice legs=[1", "legs:"),
        ("start scalper quantity=1", "Missing option '--account'"),
        ("start scalping --account alice", "'scalping' is not one of"),
        ("show", "Missing argument 'ID'"),
    ],
)
def test_a_wrong_use_is_one_clear_line(words: str, says: str) -> None:
    result = CliRunner().invoke(cli, ["algo", *words.split()])
    assert result.exit_code == 2
    assert says in result.output
