"""The crowd of algos and its judge: every place its own, and each kind of fault is found."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import crowd
from benchmarks.crowd_judge import Judged, judge
from pms.contract.algo_kinds import ALGO_STARTS
from pms.domain.algos.ids import child_id
from pms.domain.algos.machines import LETTERS
from pms.venue.symbols import SymbolTable

ALGO = "6f7a5a0e-0000-4000-8000-000000000001"
ENTRY, EXIT = (child_id("alice", LETTERS["bracket"], ALGO, slot, 1, started_at=1) for slot in (0, 1))


def test_two_hundred_have_each_a_place_of_its_own_and_every_kind_is_among_them(tmp_path: Path) -> None:
    names = crowd.symbols_file(tmp_path / "symbols.json", 20)
    table = SymbolTable.load(tmp_path / "symbols.json")
    assert list(table.by_name) == names
    assert len(names) == 20
    places = list(crowd.places(names, [f"D{number:02}" for number in range(25)], 200))
    assert len({(place.account, place.symbol) for place in places}) == 200
    kinds = {command.name.removeprefix("pms.") for command in ALGO_STARTS}
    # A basket trades several symbols, so that no place is its own.
    assert {place.kind for place in places} == kinds - {"basket"}
    assert all(crowd.task_of(place) == f"pms.{place.kind}" for place in places)
    for name in names:
        assert len({place.kind for place in places if place.symbol == name}) >= 3
    with pytest.raises(ValueError, match="need more than"):
        list(crowd.places(names, ["D00"], 21))


class Told:
    """A stream of events with one page."""

    def __init__(self, event: dict[str, Any]) -> None:
        self.event = event

    async def xrange(self, stream: str, since: str, *, count: int) -> list[tuple[bytes, dict[bytes, bytes]]]:
        return [(b"1-0", {b"e": json.dumps(self.event).encode()})] if since == "-" else []


async def found(
    *,
    algo: dict[str, Any] | None = None,
    told: dict[str, Any] | None = None,
    filled: str = "3",
    sold: str = "2",
    sold_first: bool = False,
) -> Judged:
    """A bracket that entered 3 and closed 2, as it is kept, told and traded."""
    tables = {
        "algos": [
            SimpleNamespace(
                **{"id": ALGO, "kind": "bracket", "status": "finished", "side": "BUY", "target": Decimal(3)}
                | (algo or {})
            )
        ],
        "algo_slots": [
            SimpleNamespace(algo_id=ALGO, slot=0, side="BUY", target=Decimal(3), filled=Decimal(filled)),
            SimpleNamespace(algo_id=ALGO, slot=1, side="SELL", target=Decimal(2), filled=Decimal(2)),
        ],
        "orders": [
            SimpleNamespace(client_order_id=ENTRY, parent_id=ALGO, side="BUY", filled_qty=Decimal(filled)),
            SimpleNamespace(client_order_id=EXIT, parent_id=ALGO, side="SELL", filled_qty=Decimal(2)),
        ],
    }

    async def rows(query: str) -> Iterable[Any]:
        return tables[query.split("pms.", 1)[1].split(maxsplit=1)[0]]

    event = {"type": "bracket_progress", "algoId": ALGO, "status": "finished", "filled": 3} | (told or {})
    trades = [
        {"clientOrderId": ENTRY, "qty": "3", "side": "BUY", "time": 2, "id": 2},
        {"clientOrderId": EXIT, "qty": sold, "side": "SELL", "time": 1 if sold_first else 3, "id": 3},
        {"clientOrderId": "somebody-elses", "qty": "9", "side": "SELL", "time": 1, "id": 1},
    ]
    return await judge(rows, Told(event), trades)


async def test_what_agrees_has_no_fault() -> None:
    judged = await found()
    assert (judged.faults, judged.algos, judged.trades, judged.told) == ([], 1, 2, 1)


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"algo": {"status": "running"}}, "is running"),
        ({"algo": {"target": Decimal(2)}}, "traded 3 of 2"),
        ({"told": {"filled": 2}}, "told 2 filled, the exchange 3"),
        ({"told": {"status": "running"}}, "told as running"),
        ({"filled": "4"}, "slot 0 counted 4, the exchange 3"),
        ({"sold": "2.5"}, "slot 1 counted 2, the exchange 2.5"),
        ({"sold_first": True}, "closed 2 more than it had entered"),
    ],
)
async def test_each_fault_is_found(wrong: dict[str, Any], fault: str) -> None:
    assert any(fault in each for each in (await found(**wrong)).faults)
