"""A ledger that stands still: told when it lasts, over when it moves, and nothing while it merely lags."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from pms.contract.journal import IncidentRow
from pms.domain.desk import Desk
from pms.streamer.engine import Engine, Gate
from pms.streamer.ledger_lag import IN_A_ROW, LedgerLag
from pms.streamer.outbox import Outbox

OPEN, OVER = ("ledger_behind", "open"), ("ledger_behind", "resolved")


class Ledger:
    """A journal that ends with a seq, and what is journaled of its ledger."""

    def __init__(self) -> None:
        self.outbox = Outbox(cast(Any, None), withdraw=lambda _: None, sleep=asyncio.sleep)
        self.desk = Desk(epoch="n")
        self.desk.last_seq = 100
        self.engine = Engine(self.desk, self.outbox, gate=Gate(), redis_now_ms=lambda: 1_000)
        self.lag = LedgerLag()

    def looks(self, *applied: int, times: int = 1) -> None:
        for _ in range(times):
            for seq in applied:
                self.lag.look(self.engine, seq)

    @property
    def told(self) -> list[tuple[str, str]]:
        rows: list[IncidentRow] = [
            row for waiting in self.outbox._waiting for row in waiting.posting.entry.rows.incidents
        ]
        return [(row.kind, row.state) for row in rows]


def test_one_that_stands_still_is_told_once_and_ends_when_it_moves() -> None:
    ledger = Ledger()
    ledger.looks(90, times=3 * IN_A_ROW)
    assert ledger.told == [OPEN]
    ledger.looks(91)
    assert ledger.told == [OPEN, OVER]
    ledger.looks(91, times=IN_A_ROW)
    assert ledger.told == [OPEN, OVER, OPEN]


def test_one_that_only_lags_is_none() -> None:
    ledger = Ledger()
    ledger.looks(*range(1, 3 * IN_A_ROW))
    assert ledger.told == []


def test_where_nothing_waits_nothing_stands_still() -> None:
    ledger = Ledger()
    ledger.looks(100, times=3 * IN_A_ROW)
    assert ledger.told == []


def test_a_streamer_that_starts_meanwhile_does_not_take_its_first_look_for_a_move() -> None:
    ledger = Ledger()
    ledger.looks(90, times=IN_A_ROW)
    ledger.lag = LedgerLag()
    ledger.looks(90, times=2)
    assert ledger.told == [OPEN]
    ledger.looks(ledger.desk.last_seq)
    assert ledger.told == [OPEN, OVER]
