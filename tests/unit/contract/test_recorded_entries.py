"""Entries as an earlier release wrote them: they lie in archives for ever, and must stay readable."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from pms.contract.journal import FORMAT, READABLE, Entry, UnknownFormat, decode_entry, encode_entry

RECORDED = sorted((Path(__file__).parent / "recorded").glob("journal_v*.jsonl"))


def entries(path: Path) -> list[Entry]:
    return [decode_entry(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_every_recorded_format_is_read_and_follows_its_chain(path: Path) -> None:
    found = entries(path)
    assert {f"journal_v{entry.v}" for entry in found} == {path.stem}
    assert [entry.prev for entry in found] == [0, *(entry.seq for entry in found[:-1])]


def test_each_format_that_is_readable_is_recorded() -> None:
    assert {f"journal_v{v}" for v in READABLE} == {path.stem for path in RECORDED}
    assert FORMAT in READABLE


def test_the_first_format_says_what_it_said() -> None:
    opening, admitted, fill = entries(RECORDED[0])
    assert opening.rows.sub_accounts[0].balance == Decimal("1000000.00000000")
    assert (admitted.kind, admitted.note) == ("admitted", {"sender": "worker"})
    (order,), (command,) = admitted.rows.orders, admitted.rows.commands
    assert (order.client_order_id, str(order.price), str(order.quantity)) == (
        "PMS_alice_M_CzM9aw8Wuq3tEKc36Mwy",
        "59945.40",
        "0.0100",
    )
    assert command.decision == "admitted"
    (trade,), (position,), (incident,) = fill.rows.fills, fill.rows.positions, fill.rows.incidents
    assert (trade.exchange_order_id, trade.trade_id) == (9007199254740993, 17)
    assert position.cost == Decimal("599.454")
    assert incident.severity == "warning"


def test_a_newer_format_is_refused_not_guessed() -> None:
    line = RECORDED[0].read_bytes().splitlines()[0].replace(b'"v":1', b'"v":%d' % (max(READABLE) + 1))
    with pytest.raises(UnknownFormat, match="this code reads"):
        decode_entry(line)


@pytest.mark.parametrize("place", ["entry", "tables", "row"])
def test_what_a_newer_release_added_is_refused_not_dropped(place: str) -> None:
    """A ledger of this one would fold without it and move on: nobody writes that row again."""
    entry = json.loads(RECORDED[0].read_bytes().splitlines()[0])
    where = {"entry": entry, "tables": entry["rows"], "row": entry["rows"]["sub_accounts"][0]}[place]
    where["added_later"] = "1"
    with pytest.raises(UnknownFormat, match="added_later"):
        decode_entry(json.dumps(entry).encode())


def test_a_byte_that_rotted_within_a_string_is_refused_as_any_other_fault() -> None:
    line = RECORDED[0].read_bytes().splitlines()[0].replace(b'"kind":"', b'"kind":"\xe9', 1)
    with pytest.raises(UnknownFormat):
        decode_entry(line)


def test_what_is_written_today_is_read_today() -> None:
    for entry in entries(RECORDED[-1]):
        assert decode_entry(encode_entry(entry)) == entry
