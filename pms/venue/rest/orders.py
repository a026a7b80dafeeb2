"""Order endpoints: place, amend, cancel, query."""

from __future__ import annotations

from typing import Any

from pms.venue import errors
from pms.venue.account import Account, retained
from pms.venue.checks import NewOrder
from pms.venue.history import DAY_MS
from pms.venue.market import Market
from pms.venue.matching import BUY, SELL, PriceMatch, SelfTrade, TimeInForce
from pms.venue.params import Params
from pms.venue.position_mode import check_fits
from pms.venue.rest.endpoint import Call, Endpoint, by_symbol
from pms.venue.rest.views import acknowledged, queried, trade_row
from pms.venue.state import BOTH, LONG, SHORT, Order

SIDES = {"BUY": BUY, "SELL": SELL}
CONDITIONAL = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
WEEK_MS = 7 * DAY_MS
GOOD_TILL_AHEAD_MS, GOOD_TILL_BEFORE_MS = 600_000, 253_402_300_799_000
GENERATED_ID_LENGTH = 22


def parse_new_order(
    params: Params, market: Market, account: Account, *, generated_id: str, now: int
) -> NewOrder:
    """A new order's parameters, refused in Binance's order: form first, then filters of the symbol."""
    symbol = market.symbol
    side = SIDES[params.choice("side", SIDES, code=-1117)]
    position_side = position_side_of(params, account)
    if params.flag("closePosition"):
        raise errors.not_required("closePosition")
    type_ = params.need("type")
    if type_ in CONDITIONAL:
        raise errors.refusal(-4120)
    if type_ not in ("LIMIT", "MARKET"):
        raise errors.refusal(-1116)
    is_market = type_ == "MARKET"
    time_in_force = _time_in_force(params, is_market=is_market)
    reduce_only = only_reduces(params, account)
    mode = params.choice("selfTradePreventionMode", list(SelfTrade), code=-5039, default="EXPIRE_MAKER")
    match = _price_match(params, is_market=is_market)
    good_till = _good_till(params, time_in_force, now=now)
    client_order_id = params.client_order_id("newClientOrderId") or generated_id
    quantity = params.need_decimal("quantity")
    named = is_market or match is not PriceMatch.NONE
    price = None if named else params.need_decimal("price")
    return NewOrder(
        symbol=symbol.name,
        side=side,
        type=type_,
        time_in_force=time_in_force,
        lots=symbol.lots(quantity, market=is_market),
        price=0 if price is None else symbol.ticks(price),
        reduce_only=reduce_only,
        client_order_id=client_order_id,
        self_trade=SelfTrade(mode),
        price_match=match,
        good_till=good_till,
        position_side=position_side,
    )


def position_side_of(params: Params, account: Account) -> str:
    """The position that an order moves: LONG or SHORT in hedge mode, else BOTH, which need not be said."""
    side = params.choice("positionSide", (BOTH, LONG, SHORT), code=-4060, default=BOTH)
    check_fits(account, side)
    return side


def only_reduces(params: Params, account: Account) -> bool:
    """reduceOnly, which in hedge mode must not be sent, whatever it says."""
    if account.wallet.hedge and params.sent("reduceOnly"):
        raise errors.not_required("reduceOnly")
    return params.flag("reduceOnly") or False


def _time_in_force(params: Params, *, is_market: bool) -> TimeInForce:
    if not is_market:
        return TimeInForce(params.choice("timeInForce", list(TimeInForce), code=-1115))
    for name in ("timeInForce", "price"):
        if params.sent(name):
            raise errors.not_required(name)
    return TimeInForce.GTC


def no_price_match(params: Params) -> None:
    if params.choice("priceMatch", ("NONE",), code=-5037, default="NONE") != "NONE":
        raise errors.refusal(-5037)


def _price_match(params: Params, *, is_market: bool = False) -> PriceMatch:
    """A price that the book is to name: of limit orders alone, and in place of a price."""
    match = PriceMatch(params.choice("priceMatch", list(PriceMatch), code=-5037, default="NONE"))
    if match is not PriceMatch.NONE:
        if is_market:
            raise errors.refusal(-5038)
        if params.sent("price"):
            raise errors.not_required("price")
    return match


def _good_till(params: Params, time_in_force: TimeInForce, *, now: int) -> int:
    """When a GTD order expires, in whole seconds; of other orders the date is not looked at."""
    if time_in_force is not TimeInForce.GTD:
        return 0
    date = params.need_integer("goodTillDate")
    if not now + GOOD_TILL_AHEAD_MS < date < GOOD_TILL_BEFORE_MS:
        raise errors.refusal(-5040)
    return date // 1000 * 1000


def place(call: Call) -> dict[str, Any]:
    """POST /v1/order."""
    market = call.venue.market(call.params)
    answer = call.params.choice("newOrderRespType", ("ACK", "RESULT"), code=-1136, default="ACK")
    generated_id = call.venue.token(GENERATED_ID_LENGTH)
    new = parse_new_order(
        call.params, market, call.account, generated_id=generated_id, now=call.venue.clock()
    )
    order = call.venue.exchange.place(call.account, new)
    return acknowledged(order, market, accepted=answer == "ACK", legacy=call.venue.legacy_acks)


def amend(call: Call) -> dict[str, Any]:
    """PUT /v1/order: total quantity, and a price or how it is to be named; `reduceOnly` changes nothing."""
    params = call.params
    market = call.venue.market(params)
    side = SIDES[params.choice("side", SIDES, code=-1117)]
    match, modify_id = _price_match(params), params.integer("modifyId")
    order = _find(call, market)
    if order is None or not order.open:
        raise errors.refusal(-2013)
    if order.type != "LIMIT":
        raise errors.refusal(-5025)
    if order.side != side:
        raise errors.not_valid("side")
    if params.sent("positionSide") and position_side_of(params, call.account) != order.position_side:
        raise errors.refusal(-4061)
    if params.sent("reduceOnly") and only_reduces(params, call.account) != order.reduce_only:
        raise errors.refusal(-4062 if order.reduce_only else -5047)
    lots = market.symbol.lots(params.need_decimal("quantity"), market=False)
    if match is PriceMatch.NONE:
        price = market.symbol.ticks(params.need_decimal("price"))
    else:
        price = call.venue.exchange.matched_price(market, side, match)
    order = call.venue.amendments.amend(call.account, order, price=price, lots=lots, price_match=match)
    view = acknowledged(order, market, accepted=False, legacy=call.venue.legacy_acks)
    view["pair"] = market.symbol.name
    if modify_id is not None:
        view["modifyId"] = modify_id
    return view


def cancel(call: Call) -> dict[str, Any]:
    """DELETE /v1/order."""
    market = call.venue.market(call.params)
    order = call.venue.exchange.cancel(
        call.account,
        market.symbol.name,
        order_id=call.params.integer("orderId"),
        client_order_id=call.params.client_order_id("origClientOrderId"),
    )
    return acknowledged(order, market, accepted=False, legacy=call.venue.legacy_acks)


def cancel_all(call: Call) -> dict[str, Any]:
    """DELETE /v1/allOpenOrders."""
    market = call.venue.market(call.params)
    call.venue.exchange.cancel_all(call.account, market.symbol.name)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def countdown(call: Call) -> dict[str, Any]:
    """POST /v1/countdownCancelAll."""
    market = call.venue.market(call.params)
    milliseconds = call.params.need_integer("countdownTime")
    if milliseconds < 0:
        raise errors.not_valid("countdownTime")
    call.venue.countdowns.set(call.account, market.symbol.name, milliseconds)
    return {"symbol": market.symbol.name, "countdownTime": str(milliseconds)}


def _find(call: Call, market: Market) -> Order | None:
    return call.account.find(
        market.symbol.name,
        order_id=call.params.integer("orderId"),
        client_order_id=call.params.client_order_id("origClientOrderId"),
    )


def query(call: Call) -> dict[str, Any]:
    """GET /v1/order: open or closed, as long as it is retained."""
    market = call.venue.market(call.params)
    order = _find(call, market)
    if order is None or not retained(order, call.venue.clock()):
        raise errors.refusal(-2013)
    return queried(order, market)


def query_open(call: Call) -> dict[str, Any]:
    """GET /v1/openOrder: a closed one does not exist here."""
    market = call.venue.market(call.params)
    order = _find(call, market)
    if order is None or not order.open:
        raise errors.refusal(-2013)
    return queried(order, market)


def open_orders(call: Call) -> list[dict[str, Any]]:
    """GET /v1/openOrders."""
    market = call.venue.chosen_market(call.params)
    orders = call.account.open_orders(None if market is None else market.symbol.name)
    markets = call.venue.exchange.markets
    faults, name = call.venue.faults, call.account.name
    if faults.rules:
        orders = [order for order in orders if not faults.on_listing(name, order.client_order_id)]
    return [queried(order, markets[order.symbol]) for order in orders]


def all_orders(call: Call) -> list[dict[str, Any]]:
    """GET /v1/allOrders: from an id on, or a window of at most 7 days, ascending; ids are a symbol's own."""
    params, now, markets = call.params, call.venue.clock(), call.venue.exchange.markets
    first = params.integer("orderId")
    market = call.venue.chosen_market(params) if first is None else call.venue.market(params)
    limit = params.limited("limit", default=500, most=1000)
    start, end = window_of_a_week(params, now)
    if market is not None and first is not None:
        orders = call.account.orders_from(market.symbol.name, first, limit, now=now)
    else:
        newest = not params.sent("startTime")
        names = list(markets) if market is None else [market.symbol.name]
        found = [
            order
            for name in names
            for order in call.account.orders_between(name, start, end, limit, newest=newest, now=now)
        ]
        found.sort(key=lambda each: (each.created, each.symbol, each.order_id))
        orders = found[-limit:] if newest else found[:limit]
    return [queried(order, markets[order.symbol]) for order in orders]


def user_trades(call: Call) -> list[dict[str, Any]]:
    """GET /v1/userTrades: from an id on, or a window of at most 7 days, ascending."""
    market = call.venue.market(call.params)
    params, name = call.params, market.symbol.name
    limit = params.limited("limit", default=500, most=1000)
    from_id, order_id = params.integer("fromId"), params.integer("orderId")
    timed = params.sent("startTime") or params.sent("endTime")
    if from_id is not None and timed:
        raise errors.refusal(-1128)
    now = call.venue.clock()
    window = window_of_a_week(params, now)
    account = call.account
    if from_id is not None or (order_id is not None and not timed):
        trades = account.trades_from(name, from_id or 0, limit, order_id=order_id, now=now)
    else:
        newest = not params.sent("startTime")
        trades = account.trades_between(name, *window, limit, newest=newest, order_id=order_id, now=now)
    return [trade_row(trade, market) for trade in trades]


def window_of_a_week(params: Params, now: int) -> tuple[int, int]:
    """startTime and endTime with their defaults: at most 7 days; -1127 for more."""
    start, end = params.window()
    if start is not None and end is not None and end - start > WEEK_MS:
        raise errors.window_too_long(WEEK_MS // 3_600_000)
    if start is None:
        end = now if end is None else end
        return end - WEEK_MS, end
    return start, start + WEEK_MS if end is None else end


ENDPOINTS = (
    Endpoint("POST", "/fapi/v1/order", place, weight=0, orders=(1, 1)),
    Endpoint("PUT", "/fapi/v1/order", amend, weight=0, orders=(1, 1)),
    Endpoint("DELETE", "/fapi/v1/order", cancel),
    Endpoint("GET", "/fapi/v1/order", query),
    Endpoint("GET", "/fapi/v1/openOrder", query_open),
    Endpoint("GET", "/fapi/v1/openOrders", open_orders, weight=by_symbol(1, 40)),
    Endpoint("GET", "/fapi/v1/allOrders", all_orders, weight=5),
    Endpoint("GET", "/fapi/v1/userTrades", user_trades, weight=5),
    Endpoint("DELETE", "/fapi/v1/allOpenOrders", cancel_all),
    Endpoint("POST", "/fapi/v1/countdownCancelAll", countdown, weight=10),
)
