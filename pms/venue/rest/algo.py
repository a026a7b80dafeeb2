"""Conditional orders: the algo endpoints, which took them over from POST /v1/order on 2025-12-09."""

from __future__ import annotations

from typing import Any

from pms.venue import errors
from pms.venue.account import Account
from pms.venue.conditional.events import TRAILING, child_type
from pms.venue.conditional.room import CONTRACT, GENERATED_ID_LENGTH, MARK
from pms.venue.conditional.shelf import Shelf, retained
from pms.venue.market import Market
from pms.venue.matching import SelfTrade
from pms.venue.params import Params
from pms.venue.position_mode import closes
from pms.venue.rest.endpoint import Call, Endpoint, by_symbol
from pms.venue.rest.orders import (
    CONDITIONAL,
    SIDES,
    no_price_match,
    only_reduces,
    position_side_of,
    window_of_a_week,
)
from pms.venue.rest.views import AVERAGE_UNIT
from pms.venue.state import BOUND, ZERO, AlgoOrder
from pms.venue.symbols import plain
from pms.venue.user_events import SIDES as SIDE_NAMES
from pms.venue.user_events import average_price

CLOSING = ("STOP_MARKET", "TAKE_PROFIT_MARKET")
TIMES = ("GTC", "IOC", "FOK", "GTX", BOUND)
MAX_CALLBACK_PER_MILLE = 200
"""Twenty percent, since 2026-10-23."""


def parse_algo_order(params: Params, market: Market, account: Account, *, generated_id: str) -> AlgoOrder:
    """A conditional order's parameters: form first, then filters of the symbol; nothing of its margin."""
    params.choice("algoType", ("CONDITIONAL",), code=-1116)
    side = SIDES[params.choice("side", SIDES, code=-1117)]
    position_side = position_side_of(params, account)
    type_ = params.choice("type", CONDITIONAL, code=-1116)
    close_position = params.flag("closePosition") or False
    reduces = closes(position_side, side)
    if close_position:
        _check_closing(params, type_, opens=account.wallet.hedge and not reduces)
    no_price_match(params)
    algo = AlgoOrder(
        account=account.name,
        symbol=market.symbol.name,
        algo_id=0,
        client_algo_id=params.client_order_id("clientAlgoId") or generated_id,
        side=side,
        type=type_,
        time_in_force=params.choice("timeInForce", TIMES, code=-1115, default="GTC"),
        quantity=0,
        price=0,
        trigger=0,
        working_type=_working_type(params),
        close_position=close_position,
        price_protect=params.flag("priceProtect") or False,
        reduce_only=only_reduces(params, account) or reduces,
        self_trade=params.choice(
            "selfTradePreventionMode", list(SelfTrade), code=-5039, default="EXPIRE_MAKER"
        ),
        position_side=position_side,
    )
    symbol, is_market = market.symbol, child_type(algo) == "MARKET"
    if not close_position:
        algo.quantity = symbol.lots(params.need_decimal("quantity"), market=is_market)
    if not is_market:
        algo.price = symbol.ticks(params.need_decimal("price"))
    elif params.sent("price"):
        raise errors.not_required("price")
    if type_ == TRAILING:
        _trailing(params, market, algo)
    else:
        algo.trigger = symbol.ticks(params.need_decimal("triggerPrice"))
    return algo


def _check_closing(params: Params, type_: str, *, opens: bool) -> None:
    if type_ not in CLOSING:
        raise errors.refusal(-4136)
    if params.sent("quantity"):
        raise errors.refusal(-4137)
    if params.sent("reduceOnly"):
        raise errors.not_required("reduceOnly")
    if opens:
        raise errors.refusal(-2022)


def _working_type(params: Params) -> str:
    found = params.text("workingType") or CONTRACT
    if found not in (CONTRACT, MARK):
        raise errors.not_valid("workingType")
    return found


def _trailing(params: Params, market: Market, algo: AlgoOrder) -> None:
    callback = params.need_decimal("callbackRate") * 10
    if callback % 1 or not 1 <= callback <= MAX_CALLBACK_PER_MILLE:
        raise errors.not_valid("callbackRate")
    algo.callback = int(callback)
    activation = params.decimal("activatePrice")
    if activation is not None:
        algo.activation = market.symbol.ticks(activation)


def place(call: Call) -> dict[str, Any]:
    """POST /v1/algoOrder."""
    market = call.venue.market(call.params)
    params, account = call.params, call.account
    params.choice("newOrderRespType", ("ACK", "RESULT"), code=-1136, default="ACK")
    generated_id = call.venue.token(GENERATED_ID_LENGTH)
    algo = parse_algo_order(params, market, account, generated_id=generated_id)
    call.venue.conditionals.place(account, algo)
    view = _view(algo, market)
    trailing = algo.type == TRAILING
    text = market.symbol.price_text
    view["activatePrice"] = text(algo.activation) if trailing and algo.activation else ""
    view["callbackRate"] = plain(algo.callback_percent) if trailing else ""
    return view | _times(algo)


def _view(algo: AlgoOrder, market: Market) -> dict[str, Any]:
    symbol = market.symbol
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_algo_id,
        "algoType": "CONDITIONAL",
        "orderType": algo.type,
        "symbol": algo.symbol,
        "side": SIDE_NAMES[algo.side],
        "positionSide": algo.position_side,
        "timeInForce": algo.time_in_force,
        "quantity": symbol.quantity_text(algo.quantity),
        "algoStatus": algo.status,
        "triggerPrice": symbol.price_text(algo.trigger),
        "price": symbol.price_text(algo.price),
        "icebergQuantity": None,
        "selfTradePreventionMode": algo.self_trade,
        "workingType": algo.working_type,
        "priceMatch": "NONE",
        "closePosition": algo.close_position,
        "priceProtect": algo.price_protect,
        "reduceOnly": algo.reduce_only,
    }


def _times(algo: AlgoOrder) -> dict[str, Any]:
    return {
        "createTime": algo.created,
        "updateTime": algo.updated,
        "triggerTime": algo.triggered,
        "goodTillDate": 0,
    }


def _queried(call: Call, algo: AlgoOrder) -> dict[str, Any]:
    """As queries show it: with what its order did, once it has let one out."""
    market = call.venue.exchange.markets[algo.symbol]
    symbol, child = market.symbol, call.venue.conditionals.child(algo)
    view = _view(algo, market)
    view["actualOrderId"] = str(algo.order_id) if algo.order_id else ""
    average = average_price(child, symbol) if child is not None else ZERO
    view["actualPrice"] = format(average.quantize(AVERAGE_UNIT), "f")
    view["actualQty"] = symbol.quantity_text(child.executed if child is not None else 0)
    view["actualType"] = child_type(algo) if algo.order_id else ""
    none = symbol.price_text(0)
    plans = {"tpTriggerPrice": none, "tpPrice": none, "slTriggerPrice": none, "slPrice": none}
    if algo.type == TRAILING:
        view["activatePrice"] = symbol.price_text(algo.activation)
        view["callbackRate"] = plain(algo.callback_percent)
    return {**view, **plans, "tpOrderType": "", **_times(algo)}


def _ids(params: Params) -> dict[str, Any]:
    algo_id, client_algo_id = params.integer("algoId"), params.client_order_id("clientAlgoId")
    if algo_id is None and client_algo_id is None:
        raise errors.one_of_two("algoId", "clientAlgoId")
    return {"algo_id": algo_id, "client_algo_id": client_algo_id}


def cancel(call: Call) -> dict[str, Any]:
    """DELETE /v1/algoOrder; its code is a text."""
    algo = call.venue.conditionals.cancel(call.account, **_ids(call.params))
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_algo_id,
        "code": "200",
        "msg": "success",
    }


def cancel_all(call: Call) -> dict[str, Any]:
    """DELETE /v1/algoOpenOrders."""
    market = call.venue.market(call.params)
    call.venue.conditionals.cancel_all(call.account, market.symbol.name)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def _shelf(call: Call) -> Shelf:
    return call.venue.conditionals.shelves[call.account.name]


def query(call: Call) -> dict[str, Any]:
    """GET /v1/algoOrder: open or closed, as long as it is retained."""
    algo = _shelf(call).find(**_ids(call.params))
    listed = algo is not None and algo.symbol in call.venue.exchange.markets
    if algo is None or not listed or not retained(algo, call.venue.clock()):
        raise errors.refusal(-2013)
    return _queried(call, algo)


def open_orders(call: Call) -> list[dict[str, Any]]:
    """GET /v1/openAlgoOrders: those that have not triggered."""
    market = call.venue.chosen_market(call.params)
    params = call.params
    if params.sent("algoType") and params.text("algoType") != "CONDITIONAL":
        raise errors.not_valid("algoType")
    wanted = params.integer("algoId")
    return [
        _queried(call, algo)
        for algo in _shelf(call).open.values()
        if algo.symbol in call.venue.exchange.markets
        and (market is None or algo.symbol == market.symbol.name)
        and wanted in (None, algo.algo_id)
    ]


def all_orders(call: Call) -> list[dict[str, Any]]:
    """GET /v1/allAlgoOrders: ascending, from an id on or within a window of at most a week."""
    market = call.venue.market(call.params)
    params, now = call.params, call.venue.clock()
    limit = params.limited("limit", default=500, most=1000)
    first = params.integer("algoId")
    window = window_of_a_week(params, now)
    newest = first is None and not params.sent("startTime")
    found = _shelf(call).listed(
        market.symbol.name, first=first, window=window, limit=limit, newest=newest, now=now
    )
    return [_queried(call, algo) for algo in found]


ENDPOINTS = (
    Endpoint("POST", "/fapi/v1/algoOrder", place, weight=0, orders=(1, 1)),
    Endpoint("DELETE", "/fapi/v1/algoOrder", cancel),
    Endpoint("GET", "/fapi/v1/algoOrder", query),
    Endpoint("DELETE", "/fapi/v1/algoOpenOrders", cancel_all),
    Endpoint("GET", "/fapi/v1/openAlgoOrders", open_orders, weight=by_symbol(1, 40)),
    Endpoint("GET", "/fapi/v1/allAlgoOrders", all_orders, weight=5),
)
