"""A difference that lasts is one incident, until the sums agree again; one that passes is none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, cast

import pytest

from pms.bus.connection import connect
from pms.bus.inbox import Compared, Difference, Noticed
from pms.bus.journal import Journal
from pms.contract.journal import Entry, IncidentRow
from pms.domain.custody import open_books
from pms.domain.desk import Desk
from pms.streamer.conservation import Conservation
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox

D = Decimal


class Watched:
    """An engine whose entries are kept in its outbox, to be looked at."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox, self.now = outbox, 1000
        self.engine = Engine(Desk(epoch="n"), outbox, gate=Gate(), redis_now_ms=lambda: self.now)
        open_books(self.engine.desk, at=1, wallet=D(100), positions=[], cursors={})
        self.engine.venue.wallets = {"USDT": D(100)}
        self.conservation = Conservation()
        self.looked: list[int] = []
        self.engine.money_missed = lambda: self.looked.append(self.now)
        self.engine.desk.instruments["BTCUSDT"] = cast(Any, None)
        self.read: list[tuple[str, int]] = []
        self.engine.trades_missed = lambda symbol: self.read.append((symbol, self.now))

    def at(self, now: int) -> list[IncidentRow]:
        """Check at a time; the incidents' rows that were journaled by it."""
        self.now, before = now, len(self.outbox)
        self.conservation.check(self.engine, now=now)
        return [row for entry in self.entries()[before:] for row in entry.rows.incidents]

    def entries(self) -> list[Entry]:
        return [waiting.posting.entry for waiting in self.outbox._waiting]


@pytest.fixture
async def watched(redis_url: str) -> AsyncIterator[Watched]:
    async with connect(redis_url, name="test") as redis:

        async def sleep(seconds: float) -> None:
            """Nothing is flushed here."""

        yield Watched(Outbox(Journal(redis, nonce="n"), withdraw=lambda posting: None, sleep=sleep))


async def test_a_trade_in_flight_is_no_drift(watched: Watched) -> None:
    watched.engine.venue.positions["BTCUSDT"] = D("0.1")
    assert watched.at(1000) == watched.at(3900) == []
    watched.engine.venue.positions["BTCUSDT"] = D(0)
    assert watched.at(4100) == []


async def test_money_whose_word_was_lost_is_looked_for_once_before_it_is_told(watched: Watched) -> None:
    wallets = watched.engine.venue.wallets
    wallets["USDT"] = D(90)
    told = [row.subject for now in range(1000, 80_000, 500) for row in watched.at(now)]
    assert (watched.looked, told) == ([2500], ["USDT"])
    wallets["USDT"] = D(100)
    watched.at(80_000)
    wallets["USDT"] = D(80)
    assert watched.at(80_500) == watched.at(82_000) == []
    assert watched.looked == [2500, 82_000]
    assert watched.read == []


async def test_a_trade_whose_word_was_lost_is_read_once_before_it_is_told(watched: Watched) -> None:
    positions = watched.engine.venue.positions
    positions["BTCUSDT"] = D("0.1")
    told = [row.subject for now in range(1000, 80_000, 500) for row in watched.at(now)]
    assert (watched.read, told) == ([("BTCUSDT", 2500)], ["BTCUSDT"])
    positions["BTCUSDT"] = D(0)
    watched.at(80_000)
    positions["BTCUSDT"] = D("0.1")
    assert watched.at(80_500) == watched.at(82_000) == []
    assert watched.read == [("BTCUSDT", 2500), ("BTCUSDT", 82_000)]
    assert watched.looked == [], "a position is no money"


async def test_drift_is_told_once_updated_when_it_changes_and_ended_when_it_is_gone(watched: Watched) -> None:
    positions = watched.engine.venue.positions
    positions["BTCUSDT"] = D("0.1")
    watched.at(1000)
    (told,) = watched.at(4000)
    assert (told.kind, told.severity, told.subject) == ("drift", "critical", "BTCUSDT")
    assert [watched.at(now) for now in range(4500, 60_000, 500)] == [[]] * 111
    positions["BTCUSDT"] = D("0.3")
    watched.at(60_000)
    (worse,) = watched.at(63_000)
    assert (worse.seq, worse.times, worse.detail) == (
        told.seq,
        2,
        "BTCUSDT: all accounts hold 0, the exchange says 0.3: -0.3 too little",
    )
    positions["BTCUSDT"] = D(0)
    (over,) = watched.at(63_500)
    assert (over.seq, over.state, over.resolved_by) == (told.seq, "resolved", "evidence")
    assert watched.at(64_000) == []


async def test_before_the_exchange_has_spoken_nothing_is_told_or_ended(watched: Watched) -> None:
    watched.engine.venue.wallets = {"USDT": D(99)}
    watched.at(101_000)
    assert len(watched.at(104_000)) == 1
    watched.engine.venue.wallets = {}
    assert watched.at(105_000) == []
    assert len(watched.engine.desk.incidents) == 1


async def test_what_copies_show_otherwise_is_journaled_from_memory_and_ends_when_they_agree(
    watched: Watched,
) -> None:
    wrong = Difference("accounts", ("house",), "ACTIVE, balance 105", "ACTIVE, balance 100")
    watched.engine.hear(Compared("postgres", (wrong,)))
    (entry,) = watched.entries()
    assert [row.balance for row in entry.rows.sub_accounts] == [D(100)]
    assert entry.rows.incidents[0].kind == "ledger_drift"
    watched.engine.hear(Compared("redis", ()))
    assert len(watched.entries()) == 1, "another copy's silence ends nothing"
    watched.engine.hear(Compared("postgres", ()))
    assert watched.entries()[1].rows.incidents[0].state == "resolved"
    watched.engine.hear(Compared("postgres", ()))
    assert len(watched.entries()) == 2


async def test_a_difference_that_names_what_nobody_has_is_told_and_writes_no_row(watched: Watched) -> None:
    strange = Difference("orders", ("nobody's",), "active", "nothing")
    watched.engine.hear(Compared("postgres", (strange,)))
    (entry,) = watched.entries()
    assert (entry.rows.orders, len(entry.rows.incidents)) == ((), 1)


async def test_what_a_worker_noticed_is_one_incident_until_it_is_over(watched: Watched) -> None:
    for _ in range(3):
        watched.engine.hear(Noticed("webhook_failing", "warning", "webhook", "given up"))
    watched.engine.hear(Noticed("webhook_failing", "warning", "webhook", "took one again", over=True))
    assert [entry.rows.incidents[0].state for entry in watched.entries()] == ["open", "resolved"]


async def test_a_word_that_was_lost_soon_after_another_is_asked_for_as_well(watched: Watched) -> None:
    engine, asked = watched.engine, list[int]()

    def told(symbol: str, position: int, *, at: int) -> None:
        """The exchange tells a position, and its time goes on."""
        engine.venue.positions[symbol] = D(position)
        engine.venue.touched.add(symbol)
        watched.conservation.time_passed(engine.desk, engine.venue, now=at, behind=lambda: asked.append(at))

    told("ETHUSDT", 1, at=100_000)
    engine.venue.positions["ETHUSDT"] = D(0)
    told("BTCUSDT", 2, at=103_000)
    for at in range(104_000, 130_000, 1000):
        told("ETHUSDT", 0, at=at)
    assert asked == [100_000, 110_000], "once each"


async def test_what_no_catch_up_mends_is_caught_up_with_ever_more_seldom(watched: Watched) -> None:
    """Each reads all symbols, and takes the room for them from all who query."""
    engine, asked = watched.engine, list[int]()

    def told(position: int, *, at: int) -> None:
        engine.venue.positions["ETHUSDT"] = D(position)
        engine.venue.touched.add("ETHUSDT")
        watched.conservation.time_passed(engine.desk, engine.venue, now=at, behind=lambda: asked.append(at))

    for at in range(100_000, 1_000_000, 1000):
        told(1, at=at)
    assert asked == [100_000, 110_000, 130_000, 170_000, 250_000, 410_000, 730_000]
    told(2, at=1_000_000)
    assert asked[-1] == 1_000_000, "a difference that is another has not been looked into"
    engine.venue.wallets = {"USDT": D(0)}
    told(0, at=1_010_000)
    watched.conservation.check(engine, now=1_010_000)
    told(2, at=1_011_000)
    assert asked[-1] == 1_011_000, "nor has one that comes again"
