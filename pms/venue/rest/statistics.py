"""Public endpoints that are made of the trades so far: a day's statistics, older and aggregated trades."""

from __future__ import annotations

from typing import Any

from pms.venue import errors
from pms.venue.feeds.rolling import DAY_MS, last_day
from pms.venue.market import Market
from pms.venue.rest.endpoint import Call, Endpoint, Security, by_symbol
from pms.venue.rest.market_data import each_market, klines, klines_weight, public_trade

HOUR_MS = 3_600_000


def day(call: Call) -> Any:
    """GET /v1/ticker/24hr: the day that ends now, from bars of a minute."""
    return each_market(call, _day)


def _day(call: Call, market: Market) -> dict[str, Any]:
    feeds, symbol = call.venue.feeds, market.symbol
    seen = last_day(feeds.candles[symbol.name], market, now=call.venue.clock())
    prints = feeds.latest_prints[symbol.name]
    return {
        "symbol": symbol.name,
        **seen.changes(symbol),
        "weightedAvgPrice": seen.average(symbol),
        "lastPrice": symbol.price_text(seen.close),
        "lastQty": symbol.quantity_text(prints[-1].quantity if prints else 0),
        "openPrice": symbol.price_text(seen.open),
        "highPrice": symbol.price_text(seen.high),
        "lowPrice": symbol.price_text(seen.low),
        "volume": symbol.quantity_text(seen.lots),
        "quoteVolume": symbol.quote_text(seen.quote),
        "openTime": seen.opened,
        "closeTime": seen.opened + DAY_MS,
        "firstId": seen.first_id,
        "lastId": seen.last_id,
        "count": seen.trades,
    }


def older_trades(call: Call) -> list[dict[str, Any]]:
    """GET /v1/historicalTrades: ascending from an id, or the newest; only what the venue still has."""
    market = call.venue.market(call.params)
    limit = call.params.limited("limit", default=100, most=500)
    first = call.params.integer("fromId")
    kept = call.venue.feeds.latest_prints[market.symbol.name]
    found = kept[-limit:] if first is None else [each for each in kept if each.trade_id >= first][:limit]
    return [public_trade(each, market.symbol) for each in found]


def aggregate_trades(call: Call) -> list[dict[str, Any]]:
    """GET /v1/aggTrades: as the stream told them; one that may still grow is not told yet."""
    market, params = call.venue.market(call.params), call.params
    limit = params.limited("limit", default=500, most=1000)
    first = params.integer("fromId")
    start, end = params.window()
    if start is not None and end is not None and end - start > HOUR_MS:
        raise errors.window_too_long(1)
    # Also what no beat of the streams has come round to yet
    call.venue.feeds.whole_aggregates(call.venue.clock())
    found = [
        each
        for each in call.venue.feeds.aggregates[market.symbol.name].whole
        if (first is None or each.first >= first)
        and (start is None or each.time >= start)
        and (end is None or each.time <= end)
    ]
    page = found[-limit:] if first is None and start is None else found[:limit]
    return [each.row(market.symbol) for each in page]


def continuous_klines(call: Call) -> list[list[object]]:
    """GET /v1/continuousKlines: every symbol here is its pair's perpetual contract."""
    if call.params.need("contractType") != "PERPETUAL":
        raise errors.not_valid("contractType")
    call.params.need("pair")
    return klines(call.with_params(call.params.renamed("pair", "symbol")))


def open_interest(call: Call) -> dict[str, Any]:
    """GET /v1/openInterest: what accounts hold on the larger side; the other is the anonymous market's."""
    market = call.venue.market(call.params)
    name = market.symbol.name
    held = [
        leg.position.lots
        for account in call.venue.exchange.accounts.values()
        for leg in account.legs.get(name, {}).values()
    ]
    longs = sum(lots for lots in held if lots > 0)
    shorts = -sum(lots for lots in held if lots < 0)
    return {
        "openInterest": market.symbol.quantity_text(max(longs, shorts)),
        "symbol": name,
        "time": call.venue.clock(),
    }


ENDPOINTS = (
    Endpoint("GET", "/fapi/v1/ticker/24hr", day, Security.NONE, by_symbol(1, 40)),
    Endpoint("GET", "/fapi/v1/historicalTrades", older_trades, Security.KEY, 20),
    Endpoint("GET", "/fapi/v1/aggTrades", aggregate_trades, Security.NONE, 20),
    Endpoint("GET", "/fapi/v1/continuousKlines", continuous_klines, Security.NONE, klines_weight),
    Endpoint("GET", "/fapi/v1/openInterest", open_interest, Security.NONE),
)
