"""Orders, trades and incomes as REST prints them: padded to the symbol's precisions, real key order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pms.venue.ledger import to_cents
from pms.venue.market import Market
from pms.venue.state import Income, Order, Origin, Trade
from pms.venue.symbols import plain
from pms.venue.user_events import SIDES, average_price

AVERAGE_UNIT = Decimal("0.00001")


def money(amount: Decimal) -> str:
    """An amount with eight decimals."""
    return format(to_cents(amount), "f")


def _average(order: Order, market: Market) -> str:
    if not order.executed:
        return market.symbol.price_text(0)
    return format(average_price(order, market.symbol).quantize(AVERAGE_UNIT), "f")


def _quote(order: Order, market: Market) -> str:
    symbol = market.symbol
    unit = Decimal(1).scaleb(-symbol.price_precision - symbol.quantity_precision)
    return format((symbol.tick * symbol.step * order.quote).quantize(unit), "f")


def _head(order: Order, market: Market, *, accepted: bool) -> dict[str, Any]:
    symbol = market.symbol
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": "NEW" if accepted else order.status,
        "clientOrderId": order.client_order_id,
        "price": symbol.price_text(order.price),
        "origQty": symbol.quantity_text(order.quantity),
        "executedQty": symbol.quantity_text(0 if accepted else order.executed),
    }


def _tail(order: Order, market: Market) -> dict[str, Any]:
    origin = order.origin or Origin(
        order.type, 0, "CONTRACT_PRICE", close_position=False, price_protect=False
    )
    trailing = {}
    if origin.callback:
        trailing = {
            "activatePrice": market.symbol.price_text(origin.activation),
            "priceRate": plain(Decimal(origin.callback) / 10),
        }
    return {
        "timeInForce": order.told_time_in_force,
        "type": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": origin.close_position,
        "side": SIDES[order.side],
        "positionSide": order.position_side,
        "stopPrice": market.symbol.price_text(origin.trigger),
        "workingType": origin.working_type,
        "priceProtect": origin.price_protect,
        "origType": origin.type,
        **trailing,
        "priceMatch": order.price_match,
        "selfTradePreventionMode": order.self_trade,
        "goodTillDate": order.good_till,
    }


def acknowledged(order: Order, market: Market, *, accepted: bool, legacy: bool) -> dict[str, Any]:
    """The answer to place, amend and cancel. `accepted` shows the order as it was on arrival (ACK)."""
    view = _head(order, market, accepted=accepted)
    view["cumQty"] = view["executedQty"]
    if legacy:
        empty = Order(**{**_fields(order), "executed": 0, "quote": 0}) if accepted else order
        view["avgPrice"] = _average(empty, market)
        view["cumQuote"] = _quote(empty, market)
    return {**view, **_tail(order, market), "updateTime": order.created if accepted else order.updated}


def _fields(order: Order) -> dict[str, Any]:
    return {name: getattr(order, name) for name in order.__struct_fields__}


def queried(order: Order, market: Market) -> dict[str, Any]:
    """The order as GET order, openOrders and allOrders show it."""
    return {
        **_head(order, market, accepted=False),
        "avgPrice": _average(order, market),
        "cumQuote": _quote(order, market),
        **_tail(order, market),
        "time": order.created,
        "updateTime": order.updated,
    }


def trade_row(trade: Trade, market: Market) -> dict[str, Any]:
    """One row of userTrades."""
    symbol = market.symbol
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "side": SIDES[trade.side],
        "price": symbol.price_text(trade.price),
        "qty": symbol.quantity_text(trade.quantity),
        "realizedPnl": plain(trade.realized),
        "marginAsset": symbol.quote_asset,
        "quoteQty": plain(symbol.notional(trade.price, trade.quantity)),
        "commission": money(trade.commission),
        "commissionAsset": trade.commission_asset,
        "time": trade.time,
        "positionSide": trade.position_side,
        "buyer": trade.side > 0,
        "maker": trade.maker,
    }


def income_row(income: Income) -> dict[str, Any]:
    """One row of the income history."""
    return {
        "symbol": income.symbol,
        "incomeType": income.type,
        "income": money(income.amount),
        "asset": income.asset,
        "info": income.type,
        "time": income.time,
        "tranId": income.transaction_id,
        "tradeId": "" if income.trade_id is None else str(income.trade_id),
    }
