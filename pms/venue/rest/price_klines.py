"""Klines of prices that nobody trades at: mark, index and premium index. What would be volumes is zero."""

from __future__ import annotations

from typing import Any

from pms.venue import candles
from pms.venue.candles import Candle
from pms.venue.feeds.marks import UNIT
from pms.venue.market import Market
from pms.venue.rest.endpoint import Call, Endpoint, Security
from pms.venue.rest.market_data import klines_weight

NO_PREMIUM = "0.00000000"


def mark_klines(call: Call) -> list[list[Any]]:
    """GET /v1/markPriceKlines."""
    return [
        _row(each, interval, _prices(each)) for interval, each in _bars(call, call.venue.market(call.params))
    ]


def index_klines(call: Call) -> list[list[Any]]:
    """GET /v1/indexPriceKlines: of a pair, which is its perpetual's name here."""
    params = call.params
    params.need("pair")
    return mark_klines(call.with_params(params.renamed("pair", "symbol")))


def premium_klines(call: Call) -> list[list[Any]]:
    """GET /v1/premiumIndexKlines: mark and index are one price, hence no premium."""
    bars = _bars(call, call.venue.market(call.params))
    return [_row(each, interval, [NO_PREMIUM] * 4) for interval, each in bars]


def _bars(call: Call, market: Market) -> list[tuple[str, Candle]]:
    interval = call.params.choice("interval", candles.INTERVALS, code=-1120)
    limit = call.params.limited("limit", default=500, most=candles.MOST)
    start, end = call.params.window()
    # The present second, if no beat of the streams has come round to it yet
    call.venue.feeds.marks.look(call.venue.clock())
    series = call.venue.feeds.marks.bars[market.symbol.name]
    found = series.bars(interval, start=start, end=end, limit=limit, now=call.venue.clock())
    return [(interval, each) for each in found]


def _prices(bar: Candle) -> list[str]:
    return [format(price * UNIT, ".8f") for price in (bar.open, bar.high, bar.low, bar.close)]


def _row(bar: Candle, interval: str, prices: list[str]) -> list[Any]:
    until = candles.after(interval, bar.opened) - 1
    return [bar.opened, *prices, "0", until, "0", bar.trades, "0", "0", "0"]


ENDPOINTS = (
    Endpoint("GET", "/fapi/v1/markPriceKlines", mark_klines, Security.NONE, klines_weight),
    Endpoint("GET", "/fapi/v1/indexPriceKlines", index_klines, Security.NONE, klines_weight),
    Endpoint("GET", "/fapi/v1/premiumIndexKlines", premium_klines, Security.NONE, klines_weight),
)
