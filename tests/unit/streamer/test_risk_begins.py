"""What an earlier life told of waiting accounts is judged anew where the next one begins."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import D, desk_at, trade
from filling import fill

from pms.contract.journal import Rows
from pms.domain.desk import Desk, Mark, Top
from pms.domain.incidents import incident
from pms.domain.open_incidents import MANY
from pms.domain.rows import position_row
from pms.domain.tiers import tiers_of
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox
from pms.streamer.risk import WAITS, RiskGuard


def next_life(before: Desk) -> RiskGuard:
    """A guard over what the journal has of a desk, at the same prices."""
    desk, nothing = Desk(epoch="e2"), None
    journal: Any = nothing
    desk.instruments = before.instruments
    for symbol, top in before.tops.items():
        desk.price(symbol, top)
    desk.load(
        Rows(
            sub_accounts=tuple(account.row() for account in before.accounts.values()),
            positions=tuple(
                position_row(position) for held in before.held.values() for position in held.values()
            ),
            incidents=tuple(before.incidents.rows()),
        )
    )
    engine = Engine(
        desk,
        Outbox(journal, withdraw=lambda _: None, sleep=asyncio.sleep),
        gate=Gate(),
        redis_now_ms=lambda: 2_000,
    )
    return RiskGuard(
        engine,
        tiers_of=partial(tiers_of, desk),
        unwind=lambda: None,
        close=lambda _: None,
        fatal=lambda error: None,
    )


def waits(desk: Desk, subject: str) -> None:
    assert incident(desk, at=1, kind=WAITS, severity="critical", detail=f"{subject} waits", subject=subject)


def waiting(guard: RiskGuard) -> list[str]:
    return [row.subject for row in guard.engine.desk.incidents.of_kind(WAITS)]


def test_who_waited_and_closed_all_before_the_next_life_waits_no_more() -> None:
    desk = desk_at()
    fill(desk, trade(desk, side="BUY", quantity="1", leverage=20), price="60000")
    waits(desk, "alice")
    fill(desk, trade(desk, side="SELL", quantity="1", leverage=20, reduceOnly=True), price="60000")
    assert desk.accounts["alice"].tier == 0
    guard = next_life(desk)
    assert waiting(guard) == ["alice"]
    guard.begin()
    assert waiting(guard) == []


def test_who_is_still_blocked_goes_on_waiting_and_the_uncounted_are_told_by_name() -> None:
    desk = desk_at()
    fill(desk, trade(desk, side="BUY", quantity="1", leverage=20), price="60000")
    waits(desk, MANY)
    guard = next_life(desk)
    # His book is at 50,000, where he is over the line, and the mark price says that it is torn.
    top = desk.tops["BTCUSDT"]
    guard.engine.desk.price("BTCUSDT", Top(D(49_999), D(1), D(50_001), D(1), top.at))
    guard.engine.desk.marks["BTCUSDT"] = Mark(D(60_000), 2_000)
    guard.begin()
    assert waiting(guard) == ["alice"]
