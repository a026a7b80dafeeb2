"""Candles of trades: by hand, and merged ones against a plain count over all trades."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.venue.app import SHIPPED
from pms.venue.background.past import DAYS, made_up_days
from pms.venue.candles import DAY, FIXED, HOUR, INTERVALS, KEPT, MINUTE, Candle, Candles, after, begin
from pms.venue.symbols import SymbolTable
from pms.venue.transaction import Print

START = 1_790_000_000_000 // DAY * DAY


def traded(*trades: tuple[int, int, int], symbol: str = "BTCUSDT") -> Candles:
    """Candles of trades: (time after the start, price, lots); odd ones are taken by a seller."""
    found = Candles()
    for n, (time, price, lots) in enumerate(trades):
        found.take(Print(symbol, n, price, lots, bool(n % 2), START + time))
    return found


def shape(candle: Candle) -> tuple[int, ...]:
    return (candle.opened - START, candle.open, candle.high, candle.low, candle.close, candle.lots)


def test_bars_by_hand() -> None:
    candles = traded((0, 100, 1), (10, 103, 2), (20, 99, 3), (MINUTE, 101, 4), (4 * MINUTE + 1, 90, 5))
    found = candles.bars("1m", start=None, end=None, limit=500, now=START + 5 * MINUTE)
    assert [shape(each) for each in found] == [
        (0, 100, 103, 99, 99, 6),
        (MINUTE, 101, 101, 101, 101, 4),
        (2 * MINUTE, 101, 101, 101, 101, 0),
        (3 * MINUTE, 101, 101, 101, 101, 0),
        (4 * MINUTE, 90, 90, 90, 90, 5),
        (5 * MINUTE, 90, 90, 90, 90, 0),
    ]
    first = found[0]
    assert (first.quote, first.trades, first.taken_lots, first.taken_quote) == (603, 3, 4, 397)


def test_a_window_takes_the_first_bars_and_no_window_the_newest() -> None:
    candles = traded(*((n * MINUTE, 100 + n, 1) for n in range(10)))
    now = START + 9 * MINUTE + 5

    def openings(**window: int | None) -> list[int]:
        asked: dict[str, int | None] = {"start": None, "end": None, **window}
        found = candles.bars("1m", limit=3, now=now, **asked)  # type: ignore[arg-type]
        return [(each.opened - START) // MINUTE for each in found]

    assert openings() == [7, 8, 9]
    assert openings(start=START + 4 * MINUTE) == [4, 5, 6]
    assert openings(start=START + 4 * MINUTE + 1) == [5, 6, 7]
    assert openings(start=START + 4 * MINUTE, end=START + 5 * MINUTE) == [4, 5]
    assert openings(end=START + 5 * MINUTE + 7) == [3, 4, 5]
    assert openings(start=0) == [0, 1, 2]
    assert openings(start=now + DAY) == []
    assert openings(end=START - 1) == []
    assert Candles().bars("1m", start=None, end=None, limit=3, now=now) == []


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    for interval in ("1w", "1M"):
        for time in (START, after(interval, START), after(interval, START) - 1):
            at = datetime.fromtimestamp(begin(interval, time) / 1000, tz=UTC)
            assert (at.hour, at.minute, at.second) == (0, 0, 0)
            assert at.weekday() == 0 if interval == "1w" else at.day == 1
            assert begin(interval, time) <= time < after(interval, time)


TRADES = st.lists(
    st.tuples(st.integers(0, 40 * DAY), st.integers(1, 1000), st.integers(1, 9)), min_size=1, max_size=40
).map(sorted)


@given(TRADES, st.sampled_from(["1d", "3d", "1w", "1M"]), st.integers(1, 60))
def test_merged_bars_are_a_plain_count_of_the_trades(
    trades: list[tuple[int, int, int]], interval: str, limit: int
) -> None:
    now = START + 41 * DAY
    found = traded(*trades).bars(interval, start=None, end=None, limit=limit, now=now)
    assert len(found) <= limit
    assert [each.opened for each in found[1:]] == [after(interval, each.opened) for each in found[:-1]]
    assert begin(interval, now) == found[-1].opened
    for each in found:
        within = [t for t in trades if each.opened <= START + t[0] < after(interval, each.opened)]
        before = [t for t in trades if START + t[0] < each.opened]
        prices = [price for _, price, _ in within] or [before[-1][1]]
        assert (each.open, each.high, each.low, each.close) == (
            *(prices[0], max(prices), min(prices), prices[-1]),
        )
        assert (each.lots, each.trades) == (sum(lots for *_, lots in within), len(within))


def test_every_interval_is_answered_from_bars_that_divide_it() -> None:
    candles = traded((0, 100, 1), (3 * HOUR, 200, 2))
    for interval in INTERVALS:
        found = candles.bars(interval, start=None, end=None, limit=1500, now=START + 3 * HOUR)
        assert sum(each.lots for each in found) == 3, interval
        assert found[-1].close == 200


def test_memory_is_bounded_and_a_past_goes_before_what_traded() -> None:
    candles = Candles()
    for n in range(KEPT + 10):
        candles.take(Print("BTCUSDT", n, 100, 1, False, START + n * MINUTE))
    found = candles.bars("1m", start=0, end=None, limit=1, now=START + KEPT * MINUTE)
    assert found[0].opened == START + 10 * MINUTE
    past = [Candle(START + n * DAY, 50) for n in range(-3, 2)]
    assert candles.precede("1d", past) == 3
    newest = candles.bars("1d", start=None, end=None, limit=9, now=START)
    assert [each.close for each in newest] == [50, 50, 50, 100]


def test_a_made_up_past_is_the_same_for_the_same_seed_and_ends_where_the_market_starts() -> None:
    symbols = SymbolTable.load(SHIPPED)
    btc, eth = symbols["BTCUSDT"], symbols["ETHUSDT"]
    days = made_up_days(btc, last=600_000, now=START + HOUR, seed=1)
    assert [shape(each) for each in days] == [
        shape(each) for each in made_up_days(btc, last=600_000, now=START + HOUR, seed=1)
    ]
    assert (len(days), days[-1].close, days[-1].opened) == (DAYS, 600_000, START - DAY)
    for each, later in pairwise(days):
        assert (later.opened - each.opened, later.open) == (DAY, each.close)
        assert 0 < each.low <= min(each.open, each.close) <= max(each.open, each.close) <= each.high
    others = made_up_days(eth, last=260_000, now=START + HOUR, seed=1)
    ours, theirs = ([b.close / a.close - 1 for a, b in pairwise(x)] for x in (days, others))
    together = sum(a * b for a, b in zip(ours, theirs, strict=True))
    assert together / (sum(a * a for a in ours) * sum(b * b for b in theirs)) ** 0.5 > 0.3
    assert made_up_days(btc, last=600_000, now=START, seed=2)[0].close != days[0].close


@pytest.mark.parametrize("interval", FIXED)
def test_a_bar_ends_where_the_next_begins(interval: str) -> None:
    assert after(interval, START) - begin(interval, START) == FIXED[interval]
    assert Decimal(FIXED[interval]) % MINUTE == 0
