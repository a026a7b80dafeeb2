"""What a command's fields may be: whatever else comes gets a code and the field, never an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pms.contract.codes import Code, Refusal
from pms.contract.commands import Command
from pms.contract.reading import command_from, read_command

ID = "00000000-0000-0000-0000-000000000001"
WHO = {"actor": "ann@desk", "reason": "a test"}
TOO_LONG = "9" * 4301
"""More digits than Python reads as a number."""


def read(name: str, **fields: Any) -> Command:
    return command_from(name, {"requestId": ID, **fields})


def refused(name: str, **fields: Any) -> Refusal:
    with pytest.raises(Refusal) as found:
        read(name, **fields)
    return found.value


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("pms.cancel", {}),
        ("pms.amend", {"quantity": "1"}),
        ("pms.resolve", {"outcome": "cancelled", **WHO}),
    ],
)
def test_an_order_id_is_no_longer_than_any_can_be(name: str, fields: dict[str, Any]) -> None:
    refusal = refused(name, orderId=TOO_LONG, **fields)
    assert (refusal.code, refusal.field, refusal.limit) == (Code.BAD_FIELD, "orderId", "64")
    read(name, orderId="9" * 64, **fields)


@pytest.mark.parametrize("written", ["carol\n", "\ncarol", "carol\r", "car ol", "", "-carol", "c" * 37])
def test_the_name_of_an_account_or_a_group_is_all_of_the_text(written: str) -> None:
    for name, fields, field in [
        ("pms.create_account", {"subAccountId": written}, "subAccountId"),
        ("pms.create_account", {"subAccountId": "carol", "group": written}, "group"),
        ("pms.limits", {"action": "show", "scope": written}, "scope"),
        ("pms.limits", {"action": "show", "scope": f"group:{written}"}, "scope"),
    ]:
        refusal = refused(name, **fields)
        assert (refusal.code, refusal.field) == (Code.BAD_FIELD, field), fields


def test_the_id_of_an_incident_is_all_of_the_text() -> None:
    for written in ("7\n", "\n7", "٧", "", "9" * 19):
        assert refused("pms.acknowledge", incidentId=written, **WHO).field == "incidentId"


TRADE = {"subAccountId": "alice", "symbol": "BTCUSDT", "side": "BUY", "quantity": "1"}
TWAP = {
    "subAccountId": "alice",
    "symbol": "BTCUSDT",
    "side": "BUY",
    "totalSize": "1",
    "lots": 2,
    "duration": 60,
}
REASSIGN = {"fromAccountId": "alice", "toAccountId": "house", "symbol": "BTCUSDT", **WHO}


@pytest.mark.parametrize(
    "written", ["1_0", " 1", "1\n", "\u0661", "0x1", "", "1e", "1,5", "NaN", "Infinity", True]
)
@pytest.mark.parametrize(
    ("name", "fields", "field"),
    [
        ("pms.trade", TRADE, "quantity"),
        ("pms.trade", TRADE, "leverage"),
        ("pms.trade", TRADE, "ttlMs"),
        ("pms.leverage", {"subAccountId": "alice", "symbol": "BTCUSDT"}, "leverage"),
        ("pms.reassign", REASSIGN, "tradeId"),
        ("pms.twap", TWAP, "lots"),
        ("pms.twap", TWAP, "totalSize"),
    ],
)
def test_a_number_is_what_json_takes_for_one(
    name: str, fields: dict[str, Any], field: str, written: object
) -> None:
    refusal = refused(name, **{**fields, field: written})
    assert (refusal.code, refusal.field) == (Code.BAD_FIELD, field)


@pytest.mark.parametrize("written", ["10", "1e1", "10.0", "+10", 10, 10.0])
def test_a_number_may_be_written_in_many_ways(written: object) -> None:
    command = read("pms.twap", **{**TWAP, "totalSize": written})
    assert getattr(command, "total_size") == 10  # noqa: B009  any command has other fields


@pytest.mark.parametrize(
    ("name", "fields", "field"),
    [
        ("pms.trade", TRADE, "quantity"),
        (
            "pms.batch",
            {"subAccountId": "alice", "orders": [{**TRADE, "subAccountId": ...}]},
            "orders[0].price",
        ),
        ("pms.twap", TWAP, "totalSize"),
        ("pms.adjust", {"subAccountId": "alice", **WHO}, "amount"),
        ("pms.reassign", REASSIGN, "quantity"),
        (
            "pms.import_position",
            {"subAccountId": "a", "symbol": "B", "quantity": 1, "entryPrice": 1},
            "entryPrice",
        ),
        ("pms.transfer", {"fromAccountId": "house", "toAccountId": "alice", "amount": 1}, "amount"),
        ("pms.basket", {"subAccountId": "alice", "legs": [{**TWAP, "algo": "twap"}]}, "legs[0].totalSize"),
    ],
)
@pytest.mark.parametrize(
    ("written", "limit"),
    [
        ("9.9e30", "1000000000000000"),
        ("-1e25", "1000000000000000"),
        ("1e15", "1000000000000000"),
        ("9e-16", "0.000000000000001"),
    ],
)
def test_a_number_that_nobody_means_is_refused_before_anybody_reckons_with_it(
    name: str, fields: dict[str, Any], field: str, written: str, limit: str
) -> None:
    place, _, inner = field.partition("[0].")
    fields = {"requestId": ID, **fields}
    if inner:
        (part,) = fields[place]
        part = {key: value for key, value in part.items() if value is not ... and key != "subAccountId"}
        fields[place] = [{**part, inner: written}]
    else:
        fields[field] = written
    with pytest.raises(Refusal) as refusal:
        read_command(name, json.dumps(fields))
    assert (refusal.value.code, refusal.value.field, refusal.value.limit) == (Code.BAD_FIELD, field, limit)
