"""A symbol that nobody held until just before a funding: what is said of its next one hides nothing."""

from __future__ import annotations

import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import BTC, D, desk_at, trade
from filling import fill

from pms.binance.answers import FundingRate, PremiumIndex
from pms.domain.desk import Desk
from pms.domain.treasury import HOUR_MS, Treasury
from pms.streamer.engine import Engine, Gate
from pms.streamer.funding import GRACE_MS, MISSING_AFTER_MS, MOST_READS, READS_WITHIN_MS, FundingReader

DUE = 1000 * HOUR_MS
NEXT = DUE + 8 * HOUR_MS


class Exchange:
    """Its clock, its next funding of each symbol, and its history of them."""

    def __init__(self) -> None:
        self.now = DUE - HOUR_MS
        self.listed: list[FundingRate] = []

    def exchange_now_ms(self) -> int:
        return self.now

    async def premium_index(self, symbol: str) -> PremiumIndex:
        at = DUE if self.now < DUE else NEXT
        return PremiumIndex(symbol=symbol, mark_price=D(60_000), index_price=D(60_000), next_funding_time=at)

    async def funding_rates(self, symbol: str, *, start: int) -> list[FundingRate]:
        return [row for row in self.listed if row.symbol == symbol and row.funding_time >= start]

    def lists(self) -> None:
        self.listed = [
            FundingRate(
                symbol="BTCUSDT", funding_time=DUE + 3, funding_rate=Decimal("0.001"), mark_price="60000"
            )
        ]


class Queue:
    """What would be journaled: it is so at once."""

    def add(self, posting: object, confirmed: object = None) -> None:
        """Nothing waits."""


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
def desk() -> Desk:
    """Bob is in the market for 600 ms, and at the funding."""
    desk = desk_at()
    desk.instruments["BTCUSDT"] = BTC
    fill(desk, trade(desk, "bob", quantity="0.1"), price="60000", at=DUE - 500)
    fill(desk, trade(desk, "bob", side="SELL", quantity="0.1"), price="60000", at=DUE + 100)
    desk.treasury.progress["funding:BTCUSDT"] = DUE - HOUR_MS
    return desk


@pytest.fixture
def reader(desk: Desk, exchange: Exchange) -> FundingReader:
    engine = Engine(desk, cast(Any, Queue()), gate=Gate(), redis_now_ms=exchange.exchange_now_ms)
    return FundingReader(engine, cast(Any, exchange), lambda: True)


@pytest.mark.parametrize("listed", [True, False])
async def test_it_is_owed_until_it_is_allotted(
    desk: Desk, exchange: Exchange, reader: FundingReader, listed: bool
) -> None:
    if listed:
        exchange.lists()
    assert desk.treasury.owes("bob", exchange_now=DUE + 1000)
    for late_ms in (2000, GRACE_MS - 1):
        exchange.now = DUE + late_ms
        await reader.poll()
        assert desk.treasury.owes("bob", exchange_now=DUE + late_ms)
        assert desk.treasury.owes("alice", exchange_now=DUE + late_ms) is None
    exchange.lists()
    exchange.now = DUE + GRACE_MS + 100
    await reader.poll()
    assert desk.treasury.owes("bob", exchange_now=exchange.now) is None
    assert desk.treasury.funded_until("BTCUSDT") == DUE + 3


async def test_where_the_history_lists_none_behind_the_grace_none_was(
    desk: Desk, exchange: Exchange, reader: FundingReader
) -> None:
    exchange.now = DUE + GRACE_MS
    await reader.poll()
    assert desk.treasury.owes("bob", exchange_now=exchange.now) is None
    assert desk.treasury.next_fundings["BTCUSDT"] == NEXT


async def test_one_that_is_followed_owes_nothing_at_an_hour_without_a_funding(
    desk: Desk, exchange: Exchange, reader: FundingReader
) -> None:
    fill(desk, trade(desk, "bob", quantity="0.1"), price="60000", at=DUE + 200)
    exchange.now = DUE + HOUR_MS - 1000
    await reader.poll()
    assert desk.treasury.next_fundings["BTCUSDT"] == NEXT
    assert desk.treasury.owes("bob", exchange_now=DUE + HOUR_MS + 1) is None


def test_before_the_first_reading_of_a_life_it_may_be_owed_for_ten_minutes_at_most(desk: Desk) -> None:
    assert desk.treasury.owes("bob", exchange_now=DUE + MISSING_AFTER_MS - 1)
    assert desk.treasury.owes("bob", exchange_now=DUE + MISSING_AFTER_MS) is None


async def test_the_exchanges_pool_of_histories_is_never_used_up_and_what_is_due_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """500 in five minutes; a 429 of it would stop orders and cancels, too. Here every word asks for all."""
    names = [f"S{number:03}USDT" for number in range(100)]
    desk = desk_at()
    asked: list[tuple[int, str]] = []

    class Many(Exchange):
        async def premium_indexes(self) -> list[PremiumIndex]:
            return [
                PremiumIndex(symbol=name, mark_price=D(1), index_price=D(1), next_funding_time=NEXT)
                for name in names
            ]

        async def funding_rates(self, symbol: str, *, start: int) -> list[FundingRate]:
            asked.append((self.now, symbol))
            return []

    exchange = Many()
    exchange.now = DUE + GRACE_MS
    for name in names:
        desk.instruments[name] = replace(BTC, symbol=name)
        desk.treasury.progress[f"funding:{name}"] = DUE - HOUR_MS
    engine = Engine(desk, cast(Any, Queue()), gate=Gate(), redis_now_ms=exchange.exchange_now_ms)
    reader = FundingReader(engine, cast(Any, exchange), lambda: True)
    monkeypatch.setattr(Treasury, "concerned", lambda _: names)
    desk.treasury.next_fundings.update(dict.fromkeys(names[90:], DUE))
    await reader.poll(everything=True)
    assert [symbol for _, symbol in asked[:10]] == names[90:]
    for _ in range(600):
        exchange.now += 500
        await reader.poll(everything=True)
    times = [at for at, _ in asked]
    within = [sum(at - READS_WITHIN_MS < each <= at for each in times) for at in times]
    assert max(within) <= MOST_READS
    assert {symbol for _, symbol in asked[-200:]} == set(names), "nobody is left out"
