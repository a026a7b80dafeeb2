"""What happened to an account's orders besides trades, and what would: amendments, liquidations, tests."""

from __future__ import annotations

from typing import Any

from pms.venue import errors
from pms.venue.acts import Closing
from pms.venue.checks import check_new_order
from pms.venue.rest.endpoint import Call, Endpoint
from pms.venue.rest.orders import GENERATED_ID_LENGTH, parse_new_order, window_of_a_week
from pms.venue.rest.views import acknowledged, queried
from pms.venue.state import Amendment
from pms.venue.symbols import Symbol

CLOSINGS = {"LIQUIDATION": (Closing.LIQUIDATION,), "ADL": (Closing.ADL,)}


def test_order(call: Call) -> dict[str, Any]:
    """POST /v1/order/test: every check of an order, and its answer; none is placed."""
    market = call.venue.market(call.params)
    call.params.choice("newOrderRespType", ("ACK", "RESULT"), code=-1136, default="ACK")
    generated_id = call.venue.token(GENERATED_ID_LENGTH)
    exchange, now = call.venue.exchange, call.venue.clock()
    asked = parse_new_order(call.params, market, call.account, generated_id=generated_id, now=now)
    new = exchange.priced(asked)
    check_new_order(call.account, market, new, exchange.markets)
    order = new.order(call.account.name, order_id=0, at=now)
    return acknowledged(order, market, accepted=True, legacy=call.venue.legacy_acks)


def amendments(call: Call) -> list[dict[str, Any]]:
    """GET /v1/orderAmendment: of one order, or of a window of at most a week; newest first."""
    market, params = call.venue.market(call.params), call.params
    limit = params.limited("limit", default=50, most=100)
    order_id, client_id = params.integer("orderId"), params.client_order_id("origClientOrderId")
    start, end = window_of_a_week(params, call.venue.clock())
    if order_id is None and client_id is not None:
        order = call.account.find(market.symbol.name, order_id=None, client_order_id=client_id)
        order_id = order.order_id if order is not None else 0
    name = market.symbol.name
    found = call.venue.amendments.between(call.account.name, name, start, end, limit, order_id=order_id)
    return [_amendment(each, market.symbol) for each in found]


def _amendment(each: Amendment, symbol: Symbol) -> dict[str, Any]:
    price = [symbol.price_text(ticks) for ticks in each.price]
    quantity = [symbol.quantity_text(lots) for lots in each.quantity]
    return {
        "amendmentId": each.amendment_id,
        "symbol": each.symbol,
        "pair": each.symbol,
        "orderId": each.order_id,
        "clientOrderId": each.client_order_id,
        "time": each.time,
        "amendment": {
            "price": {"before": price[0], "after": price[1]},
            "origQty": {"before": quantity[0], "after": quantity[1]},
            "count": each.count,
        },
    }


def forced_orders(call: Call) -> list[dict[str, Any]]:
    """GET /v1/forceOrders: what the exchange closed of its own accord, oldest first."""
    market, params = call.venue.chosen_market(call.params), call.params
    kind = params.text("autoCloseType")
    if kind is not None and kind not in CLOSINGS:
        raise errors.not_valid("autoCloseType")
    limit = params.limited("limit", default=50, most=100)
    start, end = window_of_a_week(params, call.venue.clock())
    wanted = CLOSINGS[kind] if kind is not None else tuple(each for row in CLOSINGS.values() for each in row)
    markets = call.venue.exchange.markets
    found = [
        order
        for name in ([market.symbol.name] if market is not None else markets)
        for closing in wanted
        for order in call.account.orders_between(name, start, end, limit, newest=True, prefix=closing)
    ]
    found.sort(key=lambda each: each.created)
    return [queried(each, markets[each.symbol]) for each in found[-limit:]]


ENDPOINTS = (
    Endpoint("POST", "/fapi/v1/order/test", test_order, weight=0),
    Endpoint("GET", "/fapi/v1/orderAmendment", amendments),
    Endpoint(
        "GET",
        "/fapi/v1/forceOrders",
        forced_orders,
        weight=lambda params: 20 if params.sent("symbol") else 50,
    ),
)
