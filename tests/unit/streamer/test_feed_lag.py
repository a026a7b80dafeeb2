"""A feed that talks and is old: told when it lasts, over when it is young again, and nothing in between."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from pms.contract.journal import IncidentRow
from pms.domain.desk import Desk
from pms.streamer.engine import Engine, Gate
from pms.streamer.feed_lag import IN_A_ROW, FeedLag
from pms.streamer.outbox import Outbox

LIMIT = Gate().stale_after_ms


class Feed:
    """A feed whose frames are so old, and what is journaled of it."""

    def __init__(self) -> None:
        self.outbox = Outbox(cast(Any, None), withdraw=lambda _: None, sleep=asyncio.sleep)
        self.engine = Engine(Desk(epoch="n"), self.outbox, gate=Gate(), redis_now_ms=lambda: 1_000)
        self.now = 1_000_000
        self.lag = FeedLag(lambda: self.now)

    def looks(self, *ages: int, times: int = IN_A_ROW) -> None:
        """Look so often, each time after frames of these ages."""
        for _ in range(times):
            for age in ages:
                self.lag.heard(self.now - age)
            self.lag.look(self.engine)

    @property
    def told(self) -> list[tuple[str, str]]:
        """The incidents' rows, as they were journaled."""
        rows: list[IncidentRow] = [
            row for waiting in self.outbox._waiting for row in waiting.posting.entry.rows.incidents
        ]
        return [(row.kind, row.state) for row in rows]


OPEN, OVER = ("feed_behind", "open"), ("feed_behind", "resolved")


def test_it_is_told_once_and_ends_by_itself() -> None:
    feed = Feed()
    feed.looks(12_000, 30_000, times=3 * IN_A_ROW)
    assert feed.told == [OPEN]
    assert feed.lag.ms == 12_000
    feed.looks(20)
    assert feed.told == [OPEN, OVER]


@pytest.mark.parametrize("age", [LIMIT, LIMIT - 1, LIMIT // 2])
def test_between_both_limits_nothing_begins_and_nothing_ends(age: int) -> None:
    feed = Feed()
    feed.looks(age)
    assert feed.told == []
    feed.looks(LIMIT + 1)
    feed.looks(age, times=3 * IN_A_ROW)
    feed.looks(LIMIT + 1)
    assert feed.told == [OPEN]


def test_a_hiccup_is_no_incident_and_a_breath_is_not_its_end() -> None:
    feed = Feed()
    feed.looks(LIMIT + 1, times=IN_A_ROW - 1)
    feed.looks(0, times=1)
    feed.looks(LIMIT + 1, times=IN_A_ROW - 1)
    assert feed.told == []
    feed.looks(LIMIT + 1)
    feed.looks(0, times=IN_A_ROW - 1)
    feed.looks(LIMIT + 1, times=1)
    assert feed.told == [OPEN]


def test_one_late_frame_among_others_is_no_late_feed() -> None:
    feed = Feed()
    feed.looks(60_000, 15, times=3 * IN_A_ROW)
    assert (feed.told, feed.lag.ms) == ([], 15)


def test_silence_says_nothing_of_age() -> None:
    feed = Feed()
    feed.looks(LIMIT + 1)
    feed.looks()
    assert (feed.told, feed.lag.ms) == ([OPEN], None)


def test_one_that_an_earlier_life_told_ends_too() -> None:
    feed = Feed()
    feed.looks(LIMIT + 1)
    feed.lag = FeedLag(lambda: feed.now)
    feed.looks(0)
    assert feed.told == [OPEN, OVER]
