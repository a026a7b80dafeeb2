"""Tickers of the last day: what they say, and what it costs to say it of every symbol every second."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venue_world import SYMBOLS

from pms.venue.candles import DAY, MINUTE, Candle, Candles
from pms.venue.faults import Faults
from pms.venue.feeds.hub import Hub
from pms.venue.feeds.publisher import TICK_MS, Feeds
from pms.venue.feeds.rolling import last_day
from pms.venue.listen_keys import ListenKeys
from pms.venue.market import Market
from pms.venue.transaction import Print

START = 1_790_000_000_000 // DAY * DAY
MARKETS = {name: Market(SYMBOLS[name], start_price=1_000) for name in ("BTCUSDT", "ETHUSDT")}


def made() -> tuple[Feeds, list[str]]:
    """Feeds with one who wants both arrays, and what was sent."""
    sent: list[str] = []

    class Reader:
        route_name = "market"

        def deliver(self, message: object) -> None:
            sent.append(message.stream)  # type: ignore[attr-defined]

    faults = Faults(lambda: 0)
    hub = Hub(faults)
    clock = lambda: START + DAY  # noqa: E731
    keys = ListenKeys((), journal=None, clock=clock, token=lambda: "", expired=print)  # type: ignore[arg-type]
    feeds = Feeds(MARKETS, hub=hub, faults=faults, keys=keys, clock=clock, monotonic_ns=lambda: 0)
    for stream in ("!ticker@arr", "!miniTicker@arr"):
        hub.subscribe(stream, Reader())  # type: ignore[arg-type]
    return feeds, sent


STEP = st.tuples(st.integers(0, 700 * MINUTE), st.integers(95, 105), st.integers(1, 9))


@settings(deadline=None)
@given(st.lists(STEP, max_size=12), st.lists(st.integers(1, 3000), max_size=3, unique=True))
def test_a_day_is_what_its_minutes_say(steps: list[tuple[int, int, int]], past: list[int]) -> None:
    candles, now = Candles(), START
    for number, (wait, price, lots) in enumerate(steps):
        now += wait
        candles.take(Print("BTCUSDT", number, price, lots, bool(number % 2), now))
        if number % 4 == 3:
            candles.precede("1m", [Candle(START - age * MINUTE, 100 + age % 7) for age in sorted(past)[::-1]])
        for at in (now, now + wait):
            bars = candles.bars("1m", start=None, end=None, limit=1440, now=at)
            traded = [bar for bar in bars if bar.last_id >= 0] or [Candle(0, 0)]
            day = last_day(candles, MARKETS["BTCUSDT"], now=at)
            assert (day.open, day.close) == (bars[0].open, bars[-1].close)
            assert (day.high, day.low) == (max(bar.high for bar in bars), min(bar.low for bar in bars))
            sums = [sum(getattr(bar, name) for bar in bars) for name in ("lots", "quote", "trades")]
            assert [day.lots, day.quote, day.trades] == sums
            assert (day.first_id, day.last_id) == (traded[0].first_id, traded[-1].last_id)


def test_a_day_of_minutes_is_merged_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    feeds, sent = made()
    for candles in feeds.candles.values():
        candles.precede("1m", [Candle(START + minute * MINUTE, 100) for minute in range(1440)])
    merged, add = 0, Candle.add

    def counted(bar: Candle, later: Candle) -> None:
        nonlocal merged
        merged += 1
        add(bar, later)

    monkeypatch.setattr(Candle, "add", counted)
    feeds._rolling.tick(1000)
    assert merged <= len(MARKETS) * 1450
    first = merged
    for beat in (2000, 3000):
        feeds._rolling.tick(beat)
    assert sent == ["!ticker@arr", "!miniTicker@arr"] * 3
    assert merged - first <= len(MARKETS) * 4


async def test_beats_that_a_busy_venue_missed_are_not_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    feeds, _ = made()
    beats: list[int] = []
    monkeypatch.setattr(feeds._rolling, "tick", beats.append)
    running = asyncio.create_task(feeds.run())
    await asyncio.sleep(TICK_MS / 1000 * 2)
    time.sleep(TICK_MS / 1000 * 12)  # noqa: ASYNC251  (somebody keeps the loop)
    before = len(beats)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(beats) - before <= 2
    await asyncio.sleep(TICK_MS / 1000 * 2)
    running.cancel()
    assert len(beats) > before
    assert beats == [TICK_MS * (number + 1) for number in range(len(beats))]
