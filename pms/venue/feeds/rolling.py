"""Streams made of candles: klines, and the tickers of the last day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from pms.venue.candles import INTERVALS, Candle, Candles, after
from pms.venue.faults import FaultKind, Faults
from pms.venue.feeds.hub import Hub
from pms.venue.market import Market
from pms.venue.symbols import Symbol

DAY_MS = 86_400_000
PERCENT_UNIT = Decimal("0.001")
KLINE_MS = 250
TICKER_MS = {"ticker": 2000, "miniTicker": 2000}
ARRAY_MS = 1000
encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Day:
    """What happened in a day that ends now, in ticks and lots; ids are -1 where nothing traded."""

    opened: int
    open: int
    high: int
    low: int
    close: int
    lots: int = 0
    quote: int = 0
    trades: int = 0
    first_id: int = -1
    last_id: int = -1

    def changes(self, symbol: Symbol) -> dict[str, str]:
        """priceChange and priceChangePercent."""
        moved = self.close - self.open
        percent = Decimal(moved * 100) / self.open if self.open else Decimal(0)
        text = symbol.price_text(abs(moved))
        return {
            "priceChange": f"-{text}" if moved < 0 else text,
            "priceChangePercent": format(percent.quantize(PERCENT_UNIT), "f"),
        }

    def average(self, symbol: Symbol) -> str:
        """The mean price, weighted by what traded at it."""
        mean = symbol.tick * self.quote / self.lots if self.lots else symbol.price(self.close)
        return format(mean.quantize(symbol.tick_unit), "f")


def last_day(candles: Candles, market: Market, *, now: int) -> Day:
    """The last 24 hours; the last price throughout if nothing is known of them."""
    opened, bar = now - DAY_MS, candles.day(now)
    if bar is None:
        last = market.last_price
        return Day(opened, last, last, last, last)
    return Day(
        opened,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.lots,
        bar.quote,
        bar.trades,
        bar.first_id,
        bar.last_id,
    )


class Rolling:
    """Paces the streams. A kline is sent when it changed, and once more as it closes (`x` true)."""

    def __init__(
        self,
        markets: Mapping[str, Market],
        candles: Mapping[str, Candles],
        *,
        hub: Hub,
        faults: Faults,
        clock: Callable[[], int],
    ) -> None:
        self._markets = markets
        self._candles = candles
        self._hub = hub
        self._faults = faults
        self._late: list[tuple[int, Callable[[], None]]] = []
        self._clock = clock
        self._sent: dict[str, tuple[int, int]] = {}

    def tick(self, beat_ms: int) -> None:
        """Send what is due at this beat."""
        if beat_ms % KLINE_MS == 0:
            self._klines()
        if beat_ms % ARRAY_MS == 0:
            self._tickers(beat_ms)

    def _klines(self) -> None:
        now = self._clock()
        if self._late:
            self._overdue(now)
        for name, market in self._markets.items():
            lower = market.symbol.lower
            for interval in INTERVALS:
                for stream, kind in (
                    (f"{lower}@kline_{interval}", "kline"),
                    (f"{lower}_perpetual@continuousKline_{interval}", "continuous_kline"),
                ):
                    if self._hub.wanted(stream):
                        self._kline(stream, kind, name, interval, now)

    def _kline(self, stream: str, kind: str, name: str, interval: str, now: int) -> None:
        bars = self._candles[name].bars(interval, start=None, end=None, limit=2, now=now)
        if not bars:
            return
        sent = self._sent.get(stream)
        if sent is not None and len(bars) > 1 and bars[-2].opened == sent[0]:
            self._close(stream, kind, name, interval, bars[-2], now=now)
        state = bars[-1].opened, bars[-1].trades
        if state != sent:
            self._sent[stream] = state
            self._send_kline(stream, kind, name, interval, bars[-1], now=now, closed=False)

    def _close(self, stream: str, kind: str, name: str, interval: str, bar: Candle, *, now: int) -> None:
        """Send a bar's last frame: now, or behind the next bar's first ones where a rule says so."""
        rules = self._faults.rules
        fault = self._faults.on_symbol(FaultKind.LATE_CLOSE, name) if rules else None
        if fault is None:
            self._send_kline(stream, kind, name, interval, bar, now=now, closed=True)
            return

        def later() -> None:
            self._send_kline(stream, kind, name, interval, bar, now=self._clock(), closed=True)

        self._late.append((now + fault.ms, later))

    def _overdue(self, now: int) -> None:
        due = [send for at, send in self._late if at <= now]
        self._late = [each for each in self._late if each[0] > now]
        for send in due:
            send()

    def _send_kline(
        self, stream: str, kind: str, name: str, interval: str, bar: Candle, *, now: int, closed: bool
    ) -> None:
        market = self._markets[name]
        symbol = market.symbol
        own = {"s": name} if kind == "kline" else {}
        of = {"s": name} if kind == "kline" else {"ps": name, "ct": "PERPETUAL"}
        payload = {
            "e": kind,
            "E": now,
            **of,
            "k": {
                "t": bar.opened,
                "T": after(interval, bar.opened) - 1,
                **own,
                "i": interval,
                "f": bar.first_id,
                "L": bar.last_id,
                "o": symbol.price_text(bar.open),
                "c": symbol.price_text(bar.close),
                "h": symbol.price_text(bar.high),
                "l": symbol.price_text(bar.low),
                "v": symbol.quantity_text(bar.lots),
                "n": bar.trades,
                "x": closed,
                "q": symbol.quote_text(bar.quote),
                "V": symbol.quantity_text(bar.taken_lots),
                "Q": symbol.quote_text(bar.taken_quote),
                "B": "0",
            },
        }
        self._hub.publish(stream, encode(payload))

    def _tickers(self, beat_ms: int) -> None:
        now = self._clock()
        for kind, make in (("ticker", self._ticker), ("miniTicker", self._mini)):
            if beat_ms % TICKER_MS[kind] == 0:
                for market in self._markets.values():
                    stream = f"{market.symbol.lower}@{kind}"
                    if self._hub.wanted(stream):
                        self._hub.publish(stream, encode(make(market, now)))
            if self._hub.wanted(f"!{kind}@arr"):
                every = [make(market, now) for market in self._markets.values()]
                self._hub.publish(f"!{kind}@arr", encode(every))

    def _ticker(self, market: Market, now: int) -> dict[str, Any]:
        symbol = market.symbol
        day = last_day(self._candles[symbol.name], market, now=now)
        changes = day.changes(symbol)
        return {
            "e": "24hrTicker",
            "E": now,
            "s": symbol.name,
            "ps": symbol.name,
            "p": changes["priceChange"],
            "P": changes["priceChangePercent"],
            "w": day.average(symbol),
            "c": symbol.price_text(day.close),
            "Q": symbol.quantity_text(0),
            "o": symbol.price_text(day.open),
            "h": symbol.price_text(day.high),
            "l": symbol.price_text(day.low),
            "v": symbol.quantity_text(day.lots),
            "q": symbol.quote_text(day.quote),
            "O": day.opened,
            "C": now,
            "F": day.first_id,
            "L": day.last_id,
            "n": day.trades,
            "st": 1,
        }

    def _mini(self, market: Market, now: int) -> dict[str, Any]:
        symbol = market.symbol
        day = last_day(self._candles[symbol.name], market, now=now)
        return {
            "e": "24hrMiniTicker",
            "E": now,
            "s": symbol.name,
            "ps": symbol.name,
            "c": symbol.price_text(day.close),
            "o": symbol.price_text(day.open),
            "h": symbol.price_text(day.high),
            "l": symbol.price_text(day.low),
            "v": symbol.quantity_text(day.lots),
            "q": symbol.quote_text(day.quote),
            "st": 1,
        }
