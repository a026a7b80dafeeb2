"""Very many accounts wait for a price: each tick judges them, and the journal hears of what is new."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import D, decide, desk_at

from pms.domain.desk import Desk, Mark, Top
from pms.domain.incidents import incident
from pms.domain.open_incidents import MANY, MOST_OF_A_KIND
from pms.domain.posting import Posting
from pms.domain.tiers import tiers_of
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox
from pms.streamer.risk import WAITS, RiskGuard

ACCOUNTS = 300


class Kept(Outbox):
    """Keeps what was to be journaled."""

    postings: list[Posting]

    def add(self, posting: Posting | None, confirmed: Any = None) -> None:
        self.postings += [] if posting is None else [posting]

    def taken(self) -> list[Posting]:
        found, self.postings = self.postings, []
        return found


@pytest.fixture
def guard() -> RiskGuard:
    desk, nothing = desk_at(wallet="10000000"), None
    journal: Any = nothing
    for number in range(ACCOUNTS):
        name = f"a{number:06d}"
        decide(desk, "pms.create_account", subAccountId=name)
        decide(desk, "pms.transfer", fromAccountId="house", toAccountId=name, amount="60")
        position = desk.position(name, "BTCUSDT")
        position.quantity, position.cost, position.leverage = D("0.01"), D(600), 10
        desk.touch_position(position)
    desk.price("BTCUSDT", desk.tops["BTCUSDT"])
    desk.marks["BTCUSDT"] = Mark(D(60_000), 1_500)
    outbox = Kept(journal, withdraw=lambda _: None, sleep=asyncio.sleep)
    outbox.postings = []
    engine = Engine(desk, outbox, gate=Gate(), redis_now_ms=lambda: 2_000)
    guard = RiskGuard(
        engine,
        tiers_of=partial(tiers_of, desk),
        unwind=lambda: None,
        close=lambda _: None,
        fatal=lambda error: pytest.fail(str(error)),
    )
    guard.begin()
    return guard


def tick(guard: RiskGuard, price: int) -> list[Posting]:
    """The price moves; what is to be journaled of it."""
    guard.engine.desk.price("BTCUSDT", Top(D(price), D(1), D(price) + D("0.1"), D(1), 1))
    guard.ticked("BTCUSDT")
    return journaled(guard)


def journaled(guard: RiskGuard) -> list[Posting]:
    outbox = guard.engine.outbox
    assert isinstance(outbox, Kept)
    return outbox.taken()


def waiting(desk: Desk) -> list[str]:
    return [row.subject for row in desk.incidents.of_kind(WAITS)]


def test_those_beyond_the_bound_are_no_entries_with_every_tick(guard: RiskGuard) -> None:
    first = tick(guard, 54_000)
    assert MOST_OF_A_KIND < len(first) < MOST_OF_A_KIND + 10
    assert len(waiting(guard.engine.desk)) == MOST_OF_A_KIND + 1
    assert tick(guard, 53_999) == []
    assert tick(guard, 53_998) == []


def test_as_room_comes_each_that_waits_is_told_by_name(guard: RiskGuard) -> None:
    tick(guard, 54_000)
    desk = guard.engine.desk
    for name in [each for each in waiting(desk) if each != MANY][:150]:
        position = desk.position(name, "BTCUSDT")
        position.quantity = position.cost = D(0)
        desk.touch_position(position)
        desk.unweighed.add(name)
    tick(guard, 53_999)
    tick(guard, 53_998)
    assert len([each for each in waiting(desk) if each != MANY]) == ACCOUNTS - 150
    assert tick(guard, 53_997) == []


def test_what_many_share_is_journaled_when_its_count_has_doubled() -> None:
    desk = desk_at()
    told = [
        incident(desk, at=1, kind="foreign_order", severity="warning", detail=f"order {number}")
        for number in range(MOST_OF_A_KIND + 1000)
    ]
    assert sum(each is not None for each in told) == MOST_OF_A_KIND + 10


def test_the_incident_of_many_is_over_when_nobody_waits(guard: RiskGuard) -> None:
    tick(guard, 54_000)
    desk = guard.engine.desk
    assert MANY in waiting(desk)
    desk.marks.clear()
    taken = tick(guard, 53_999)
    assert waiting(desk) == []
    assert sum(bool(posting.entry.rows.liquidations) for posting in taken) == ACCOUNTS
    assert not any(desk.held.get(f"a{number:06d}") for number in range(ACCOUNTS))
