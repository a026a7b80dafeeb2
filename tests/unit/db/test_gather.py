"""A batch of entries before it is written: the newest row of a key, and nothing that contradicts."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from pms.contract.journal import CursorRow, IncidentRow, LedgerRow, Rows
from pms.db import models
from pms.db.models import ROW_TABLES
from pms.db.upsert import Batch, Contradiction, gather, storable

TABLE = {table.field: table for table in ROW_TABLES}


def line(amount: str) -> LedgerRow:
    return LedgerRow(
        seq=1,
        line=0,
        sub_account_id="alice",
        asset="USDT",
        amount=Decimal(amount),
        reason="DEPOSIT",
        reference=None,
        at=1,
    )


def test_every_list_of_an_entry_has_a_table_with_its_columns() -> None:
    assert [table.field for table in ROW_TABLES] == [field.name for field in msgspec.structs.fields(Rows)]
    for table in ROW_TABLES:
        assert table.columns == tuple(table.table.c.keys())
        assert set(table.key) <= set(table.columns)
        nullable = {column.name for column in table.table.c if column.nullable}
        optional = {
            field.name
            for field in msgspec.structs.fields(table.row)
            if "None" in str(table.row.__annotations__[field.name])
        }
        assert nullable == optional


def test_the_newest_row_of_a_key_wins() -> None:
    batch: Batch = {}
    for trade_id in (5, 9, 7):
        gather(batch, Rows(cursors=(CursorRow(symbol="BTCUSDT", trade_id=trade_id, updated_at=1),)))
    (row,) = batch[TABLE["cursors"]].values()
    assert row == CursorRow(symbol="BTCUSDT", trade_id=7, updated_at=1)


def test_a_row_written_once_may_come_again_but_not_otherwise() -> None:
    batch: Batch = {}
    gather(batch, Rows(ledger=(line("1.5"),)))
    gather(batch, Rows(ledger=(line("1.50"),)))
    assert len(batch[TABLE["ledger"]]) == 1
    with pytest.raises(Contradiction, match=r"ledger_entries \(seq 1, line 0\)"):
        gather(batch, Rows(ledger=(line("1.6"),)))


def test_text_that_postgresql_cannot_hold_is_replaced() -> None:
    row = IncidentRow(seq=1, kind="k", severity="info", detail="a\0b", at=1)
    assert msgspec.json.decode(storable([row]))[0]["detail"] == "a\ufffdb"
    escaped = IncidentRow(seq=1, kind="k", severity="info", detail="a\\u0000b", at=1)
    assert msgspec.json.decode(storable([escaped]))[0]["detail"] == "a\\u0000b"


def test_decimals_travel_as_text() -> None:
    assert '"amount":"0.10"' in storable([line("0.10")])


def test_open_and_terminal_are_each_others_complement() -> None:
    assert models.IS_OPEN.replace("NOT IN", "IN") == models.IS_TERMINAL
