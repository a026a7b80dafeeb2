"""Candles of one symbol, made of its trades: kept by the minute, the hour and the day, merged into the rest.

A bar without a trade stands at the close before it with no volume, as the real exchange shows it. Trap:
they live in memory; a restart begins anew, and so does what is older than `KEPT` bars.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from copy import copy
from datetime import UTC, datetime
from itertools import groupby

from pms.venue.transaction import Print

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
WEEK = 7 * DAY
MONDAY = 4 * DAY
"""The first Monday of the epoch, on which weeks begin."""

FIXED = {
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": HOUR,
    "2h": 2 * HOUR,
    "4h": 4 * HOUR,
    "6h": 6 * HOUR,
    "8h": 8 * HOUR,
    "12h": 12 * HOUR,
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": WEEK,
}
MONTH = "1M"
INTERVALS = (*FIXED, MONTH)
KEPT_IN = ("1m", "1h", "1d")
KEPT = 5_000
MOST = 1_500
"""Bars in one answer."""


class Candle:
    """One bar, in ticks and lots; `taken_*` is what buyers took, ids are -1 where nothing traded here."""

    __slots__ = (
        "close",
        "first_id",
        "high",
        "last_id",
        "lots",
        "low",
        "open",
        "opened",
        "quote",
        "taken_lots",
        "taken_quote",
        "trades",
    )

    def __init__(self, opened: int, price: int) -> None:
        self.opened = opened
        self.open = self.high = self.low = self.close = price
        self.lots = self.quote = self.trades = self.taken_lots = self.taken_quote = 0
        self.first_id = self.last_id = -1

    def trade(self, price: int, lots: int, *, buyer_takes: bool) -> None:
        """Take a trade in."""
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
        self.lots += lots
        self.quote += price * lots
        self.trades += 1
        if buyer_takes:
            self.taken_lots += lots
            self.taken_quote += price * lots

    def add(self, later: Candle) -> None:
        """Take a later bar in."""
        self.high, self.low, self.close = max(self.high, later.high), min(self.low, later.low), later.close
        for name in ("lots", "quote", "trades", "taken_lots", "taken_quote"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        if later.last_id >= 0:
            self.first_id = later.first_id if self.first_id < 0 else self.first_id
            self.last_id = later.last_id


class Candles:
    """The bars of one symbol; those in which nothing traded are not kept but told."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[Candle]] = {interval: deque(maxlen=KEPT) for interval in KEPT_IN}
        # What of a day had closed before a minute, by that minute: whole bars change no more
        self._closed: tuple[int, Candle] | None = None

    def take(self, each: Print) -> None:
        """Take a trade into the current bars; time never steps back."""
        for interval, bars in self._kept.items():
            opened = begin(interval, each.time)
            if not bars or bars[-1].opened < opened:
                bars.append(Candle(opened, each.price))
            bar = bars[-1]
            bar.trade(each.price, each.quantity, buyer_takes=not each.buyer_is_maker)
            bar.last_id = each.trade_id
            if bar.first_id < 0:
                bar.first_id = each.trade_id

    def precede(self, interval: str, past: Iterable[Candle]) -> int:
        """Put a past before the first bar; ascending. Returns how many bars were taken."""
        bars = self._kept[interval]
        fitting = [each for each in past if not bars or each.opened < bars[0].opened]
        self._kept[interval] = deque([*fitting, *bars], maxlen=KEPT)
        self._closed = None
        return len(fitting)

    def day(self, now: int) -> Candle | None:
        """The 1,440 minutes up to this one as one bar, which is the caller's; None where nothing is known.

        Tickers of all symbols ask every second: the minutes behind this one are merged once for all of them.
        """
        bars, minute = self._kept["1m"], begin("1m", now)
        if not bars or bars[0].opened > minute:
            return None
        if self._closed is None or self._closed[0] != minute:
            self._closed = minute, self._closed_before(minute)
        whole = copy(self._closed[1])
        newest = next(each for each in reversed(bars) if each.opened <= minute)
        if newest.opened == minute:
            whole.add(newest)
        return whole

    def _closed_before(self, minute: int) -> Candle:
        bars = list(self._kept["1m"])
        first = max(bars[0].opened, minute + MINUTE - DAY)
        at = _place(bars, first)
        traded = at < len(bars) and bars[at].opened == first
        whole = Candle(first, bars[at].open if traded else bars[at - 1].close)
        for each in bars[at : _place(bars, minute)]:
            whole.add(each)
        return whole

    def bars(
        self, interval: str, *, start: int | None, end: int | None, limit: int, now: int
    ) -> list[Candle]:
        """Bars that open between start and end: from a start on the first ones, without the newest."""
        base = next(
            kept for kept in reversed(KEPT_IN) if interval == MONTH or not FIXED[interval] % FIXED[kept]
        )
        bars = list(self._kept[base])
        if not bars:
            return []
        first, last = begin(interval, bars[0].opened), begin(interval, min(now, now if end is None else end))
        if start is not None:
            first = max(
                first, begin(interval, start) if begin(interval, start) == start else after(interval, start)
            )
        opens = _openings(interval, first, last, limit=limit, newest=start is None)
        if not opens:
            return []
        until = after(interval, opens[-1])
        merged = {
            opened: _merged(opened, group)
            for opened, group in groupby(
                bars[_place(bars, opens[0]) : _place(bars, until)],
                key=lambda each: begin(interval, each.opened),
            )
        }
        before = _place(bars, opens[0]) - 1
        close = bars[before].close if before >= 0 else merged[opens[0]].open
        found = []
        for opened in opens:
            found.append(merged.get(opened) or Candle(opened, close))
            close = found[-1].close
        return found


def begin(interval: str, time: int) -> int:
    """When the bar began in which a moment lies."""
    if interval == MONTH:
        at = datetime.fromtimestamp(time / 1000, tz=UTC)
        return int(datetime(at.year, at.month, 1, tzinfo=UTC).timestamp()) * 1000
    shift = MONDAY if interval == "1w" else 0
    return time - (time - shift) % FIXED[interval]


def after(interval: str, time: int) -> int:
    """When the next bar begins."""
    if interval == MONTH:
        return begin(interval, begin(interval, time) + 32 * DAY)
    return begin(interval, time) + FIXED[interval]


def _openings(interval: str, first: int, last: int, *, limit: int, newest: bool) -> list[int]:
    """The openings between two, both included: the first ones, or the last."""
    if newest and interval != MONTH:
        first = max(first, last - (limit - 1) * FIXED[interval])
    found = list(_each(interval, first, last, limit if interval != MONTH else MOST))
    return found[-limit:] if newest else found[:limit]


def _each(interval: str, first: int, last: int, most: int) -> Iterator[int]:
    for _ in range(most):
        if first > last:
            return
        yield first
        first = after(interval, first)


def _place(bars: list[Candle], opened: int) -> int:
    return bisect_left(bars, opened, key=lambda each: each.opened)


def _merged(opened: int, parts: Iterable[Candle]) -> Candle:
    parts = iter(parts)
    one = next(parts)
    whole = Candle(opened, one.open)
    whole.add(one)
    for each in parts:
        whole.add(each)
    return whole
