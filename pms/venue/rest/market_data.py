"""Public endpoints: time, symbols, depth, trades, prices."""

from __future__ import annotations

from typing import Any

from pms.venue import candles, errors
from pms.venue.faults import FaultKind
from pms.venue.history import NEVER
from pms.venue.market import Market
from pms.venue.params import Params
from pms.venue.rest.endpoint import Call, Endpoint, Security, by_symbol
from pms.venue.symbols import Symbol, plain
from pms.venue.transaction import Print

DEPTH_WEIGHTS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}


def ping(call: Call) -> dict[str, Any]:
    """GET /v1/ping."""
    return {}


def time(call: Call) -> dict[str, Any]:
    """GET /v1/time."""
    return {"serverTime": call.venue.clock() + call.skew_ms}


def exchange_info(call: Call) -> dict[str, Any]:
    """GET /v1/exchangeInfo: the file as it is, with our time; limits that are off are not told."""
    info = {**call.venue.symbols.info, "serverTime": call.venue.clock()}
    return info if call.venue.limits.enforced else {**info, "rateLimits": []}


def depth_weight(params: Params) -> int:
    """2 … 20 by limit; a bad limit is refused later, at the least weight."""
    return DEPTH_WEIGHTS.get(params.integer("limit", 500) or 0, 2)


def depth(call: Call) -> dict[str, object]:
    """GET /v1/depth."""
    market = call.venue.market(call.params)
    limit = call.params.integer("limit", 500)
    if limit not in DEPTH_WEIGHTS:
        raise errors.bad_depth_limit(limit)
    feed, faults = call.venue.feeds.depth[market.symbol.name], call.venue.faults
    if faults.rules and (late := faults.on_symbol(FaultKind.STALE_SNAPSHOT, market.symbol.name)):
        seen: dict[str, Any] = late.kept[market.symbol.name]
        return {**seen, "bids": seen["bids"][:limit], "asks": seen["asks"][:limit]}
    return feed.snapshot(limit, time=call.venue.clock())


def trades(call: Call) -> list[dict[str, Any]]:
    """GET /v1/trades: the latest public trades since the venue started."""
    market = call.venue.market(call.params)
    symbol = market.symbol
    limit = call.params.limited("limit", default=500, most=1000)
    return [public_trade(each, symbol) for each in call.venue.feeds.latest_prints[symbol.name][-limit:]]


def public_trade(each: Print, symbol: Symbol) -> dict[str, Any]:
    """One trade as everybody sees it."""
    return {
        "id": each.trade_id,
        "price": symbol.price_text(each.price),
        "qty": symbol.quantity_text(each.quantity),
        "quoteQty": plain(symbol.notional(each.price, each.quantity)),
        "time": each.time,
        "isBuyerMaker": each.buyer_is_maker,
        "isRPITrade": False,
    }


KLINE_WEIGHTS = ((99, 1), (499, 2), (1000, 5))


def klines_weight(params: Params) -> int:
    """1 … 10 by limit."""
    limit = params.integer("limit", 500) or 0
    return next((weight for most, weight in KLINE_WEIGHTS if limit <= most), 10)


def klines(call: Call) -> list[list[object]]:
    """GET /v1/klines: ascending, the last one unfinished; without a start the newest."""
    market = call.venue.market(call.params)
    symbol = market.symbol
    interval = call.params.choice("interval", candles.INTERVALS, code=-1120)
    limit = call.params.limited("limit", default=500, most=candles.MOST)
    start, end = call.params.window()
    found = call.venue.feeds.candles[symbol.name].bars(
        interval, start=start, end=end, limit=limit, now=call.venue.clock()
    )
    return [
        [
            each.opened,
            *(symbol.price_text(price) for price in (each.open, each.high, each.low, each.close)),
            symbol.quantity_text(each.lots),
            candles.after(interval, each.opened) - 1,
            symbol.quote_text(each.quote),
            each.trades,
            symbol.quantity_text(each.taken_lots),
            symbol.quote_text(each.taken_quote),
            "0",
        ]
        for each in found
    ]


def each_market(call: Call, show: Any) -> Any:
    """One object for a symbol, a list without."""
    market = call.venue.chosen_market(call.params)
    if market is not None:
        return show(call, market)
    return [show(call, each) for each in call.venue.exchange.markets.values()]


def premium_index(call: Call) -> Any:
    """GET /v1/premiumIndex."""
    return each_market(call, _premium)


def _premium(call: Call, market: Market) -> dict[str, Any]:
    now = call.venue.clock()
    mark = format(market.mark, ".8f")
    return {
        "symbol": market.symbol.name,
        "markPrice": mark,
        "indexPrice": mark,
        "estimatedSettlePrice": mark,
        "lastFundingRate": format(market.funding_rate, ".8f"),
        "interestRate": "0.00010000",
        "nextFundingTime": market.next_funding,
        "time": now,
    }


def funding_rate(call: Call) -> list[dict[str, Any]]:
    """GET /v1/fundingRate: ascending; without a start the newest."""
    market = call.venue.chosen_market(call.params)
    limit = call.params.limited("limit", default=100, most=1000)
    start, end = call.params.window()
    wanted = call.venue.exchange.markets.values() if market is None else (market,)
    window = 0 if start is None else start, NEVER if end is None else end
    past = call.venue.exchange.past
    found = sorted(
        (each for one in wanted for each in one.fundings_between(past, window, limit, newest=start is None)),
        key=lambda each: each.time,
    )
    return [
        {
            "symbol": each.symbol,
            "fundingTime": each.time,
            "fundingRate": format(each.rate, ".8f"),
            "markPrice": format(each.mark, ".8f"),
        }
        for each in (found[-limit:] if start is None else found[:limit])
    ]


def funding_info(call: Call) -> list[dict[str, Any]]:
    """GET /v1/fundingInfo: only symbols whose interval or caps were adjusted, hence none."""
    return []


def price(call: Call) -> Any:
    """GET /v1 and /v2/ticker/price."""
    return each_market(call, _price)


def _price(call: Call, market: Market) -> dict[str, Any]:
    return {
        "symbol": market.symbol.name,
        "price": market.symbol.price_text(market.last_price),
        "time": call.venue.clock(),
    }


def book_ticker(call: Call) -> Any:
    """GET /v1/ticker/bookTicker."""
    return each_market(call, _book_ticker)


def _book_ticker(call: Call, market: Market) -> dict[str, Any]:
    symbol = market.symbol
    bid, bid_lots, ask, ask_lots = call.venue.feeds.best(symbol.name)
    return {
        "symbol": symbol.name,
        "bidPrice": symbol.price_text(bid),
        "bidQty": symbol.quantity_text(bid_lots),
        "askPrice": symbol.price_text(ask),
        "askQty": symbol.quantity_text(ask_lots),
        "time": call.venue.clock(),
        "lastUpdateId": call.venue.feeds.ids.last,
    }


ENDPOINTS = (
    Endpoint("GET", "/fapi/v1/ping", ping, Security.NONE),
    Endpoint("GET", "/fapi/v1/time", time, Security.NONE),
    Endpoint("GET", "/fapi/v1/exchangeInfo", exchange_info, Security.NONE),
    Endpoint("GET", "/fapi/v1/depth", depth, Security.NONE, depth_weight),
    Endpoint("GET", "/fapi/v1/trades", trades, Security.NONE, 5),
    Endpoint("GET", "/fapi/v1/klines", klines, Security.NONE, klines_weight),
    Endpoint("GET", "/fapi/v1/premiumIndex", premium_index, Security.NONE, by_symbol(1, 10)),
    Endpoint("GET", "/fapi/v1/fundingRate", funding_rate, Security.NONE, 0),
    Endpoint("GET", "/fapi/v1/fundingInfo", funding_info, Security.NONE, 0),
    Endpoint("GET", "/fapi/v1/ticker/price", price, Security.NONE, by_symbol(1, 2)),
    Endpoint("GET", "/fapi/v2/ticker/price", price, Security.NONE, by_symbol(1, 2)),
    Endpoint("GET", "/fapi/v1/ticker/bookTicker", book_ticker, Security.NONE, by_symbol(2, 5)),
)
