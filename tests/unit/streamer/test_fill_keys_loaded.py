"""More fills than memory keeps keys of: a start forgets proven ones only, and books none a second time."""

from __future__ import annotations

from typing import Any

import pytest

from pms.contract.journal import CursorRow
from pms.db.load import LoadedState
from pms.domain import desk as desks
from pms.domain.desk import Desk
from pms.streamer.start import load_desk

LISTS = (
    *("sub_accounts", "positions", "orders", "commands", "cursors", "incidents", "assets", "progress"),
    *("incomes", "fees", "fundings", "halts", "limits", "results"),
)


class EmptyJournal:
    async def tail(self, _after: int) -> list[Any]:
        return []

    async def last_seq(self) -> int:
        return 0


async def test_what_is_not_proven_is_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "KEPT_TRADES", 100)
    keys = {(symbol, number, number) for number in range(1, 101) for symbol in ("BTCUSDT", "ETHUSDT")}
    empty: dict[str, Any] = {name: [] for name in LISTS}
    proven = [CursorRow(symbol=symbol, trade_id=95, updated_at=1) for symbol in ("BTCUSDT", "ETHUSDT")]
    given = {**empty, "applied": 7, "entry_at": 1, "fill_keys": keys, "moves": {}, "cursors": proven}
    journal: Any = EmptyJournal()
    desk = Desk(epoch="e")
    await load_desk(desk, state=LoadedState(**given), journal=journal, now_us=1)
    assert len(desk.trades) <= 100
    assert [key for key in sorted(keys) if desk.first_sight(*key)] == []
    assert desk.first_sight("BTCUSDT", 101, 101)
