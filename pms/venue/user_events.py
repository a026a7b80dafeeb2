"""Payloads of the user data stream, keys in Binance's order (USDⓈ-M docs, User Data Streams)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pms.venue.account import Account
from pms.venue.ledger import break_even, to_cents, unrealized
from pms.venue.margin import AccountMargin
from pms.venue.market import Market
from pms.venue.state import WALLET, ZERO, Order, Origin, Position, Trade
from pms.venue.symbols import Symbol, plain

SIDES = {1: "BUY", -1: "SELL"}


def average_price(order: Order, symbol: Symbol) -> Decimal:
    """Mean fill price; zero before the first fill."""
    if not order.executed:
        return Decimal(0)
    return symbol.tick * order.quote / order.executed


def order_update(
    order: Order,
    *,
    market: Market,
    account: Account,
    time: int,
    execution: str,
    trade: Trade | None = None,
    expiry_reason: int = 0,
    accepted: bool = False,
) -> dict[str, Any]:
    """ORDER_TRADE_UPDATE. `accepted` shows the order as it was on arrival, before its first fill."""
    symbol = market.symbol
    exposures = [leg.exposure for leg in account.legs[order.symbol].values()]
    origin = order.origin or Origin(
        order.type, 0, "CONTRACT_PRICE", close_position=False, price_protect=False
    )
    trailing = {}
    if origin.callback:
        trailing = {"AP": plain(symbol.price(origin.activation)), "cr": plain(Decimal(origin.callback) / 10)}
    return {
        "e": "ORDER_TRADE_UPDATE",
        "T": time,
        "E": time,
        "o": {
            "s": order.symbol,
            "c": order.client_order_id,
            "S": SIDES[order.side],
            "o": order.type,
            "f": order.told_time_in_force,
            "q": plain(symbol.quantity(order.quantity)),
            "p": plain(symbol.price(order.price)),
            "ap": "0" if accepted else plain(to_cents(average_price(order, symbol))),
            "sp": plain(symbol.price(origin.trigger)),
            "x": execution,
            "X": "NEW" if accepted else order.status,
            "i": order.order_id,
            "l": plain(symbol.quantity(trade.quantity)) if trade else "0",
            "z": "0" if accepted else plain(symbol.quantity(order.executed)),
            "L": plain(symbol.price(trade.price)) if trade else "0",
            "n": plain(trade.commission) if trade else "0",
            "N": trade.commission_asset if trade else symbol.quote_asset,
            "T": time,
            "t": trade.trade_id if trade else 0,
            "b": plain(sum((each.bids for each in exposures), ZERO)),
            "a": plain(sum((each.asks for each in exposures), ZERO)),
            "m": trade.maker if trade else False,
            "R": order.reduce_only,
            "wt": origin.working_type,
            "ot": origin.type,
            "ps": order.position_side,
            "cp": origin.close_position,
            **trailing,
            "rp": plain(trade.realized) if trade else "0",
            "pP": origin.price_protect,
            "si": 0,
            "ss": 0,
            "V": order.self_trade,
            "pm": order.price_match,
            "gtd": order.good_till,
            "er": str(expiry_reason),
        },
    }


def trade_lite(order: Order, trade: Trade, *, market: Market) -> dict[str, Any]:
    """TRADE_LITE: the fast half of a fill, sent before the order's own update."""
    symbol = market.symbol
    price = plain(symbol.price(trade.price))
    return {
        "e": "TRADE_LITE",
        "E": trade.time,
        "T": trade.time,
        "s": order.symbol,
        "q": plain(symbol.quantity(order.quantity)),
        "p": plain(symbol.price(order.price)),
        "m": trade.maker,
        "c": order.client_order_id,
        "S": SIDES[order.side],
        "L": price,
        "l": plain(symbol.quantity(trade.quantity)),
        "t": trade.trade_id,
        "i": order.order_id,
    }


def account_update(
    account: Account,
    *,
    time: int,
    reason: str,
    change: Decimal,
    positions: list[tuple[Position, Market]],
    assets: tuple[str, ...] = (WALLET,),
) -> dict[str, Any]:
    """ACCOUNT_UPDATE; `change` is what moved the assets told other than profit and commission."""
    return {
        "e": "ACCOUNT_UPDATE",
        "T": time,
        "E": time,
        "a": {
            "B": [_balance(account, asset, change) for asset in assets],
            "P": [_position(position, market) for position, market in positions],
            "m": reason,
        },
    }


def _balance(account: Account, asset: str, change: Decimal) -> dict[str, Any]:
    wallet = account.wallet
    held = plain(wallet.balance if asset == WALLET else wallet.assets.get(asset, ZERO))
    return {"a": asset, "wb": held, "cw": held, "bc": plain(change)}


def _position(position: Position, market: Market) -> dict[str, Any]:
    step = market.symbol.step
    return {
        "s": position.symbol,
        "pa": plain(step * position.lots),
        "ep": plain(to_cents(position.entry)),
        "cr": plain(position.accumulated),
        "up": plain(to_cents(unrealized(position, mark=market.mark, step=step))),
        "mt": "cross",
        "iw": "0",
        "ps": position.position_side,
        "ma": market.symbol.quote_asset,
        "bep": plain(to_cents(break_even(position, step))),
    }


def margin_call(
    account: Account, margin: AccountMargin, markets: Mapping[str, Market], *, time: int
) -> dict[str, Any]:
    """MARGIN_CALL of a cross account: what it holds, and the maintenance margin of each position."""
    return {
        "e": "MARGIN_CALL",
        "E": time,
        "cw": plain(account.wallet.balance),
        "p": [
            {
                "s": name,
                "ps": side,
                "pa": plain(markets[name].symbol.step * account.position(name, side).lots),
                "mt": "CROSSED",
                "iw": "0",
                "mp": plain(to_cents(markets[name].mark)),
                "up": plain(to_cents(each.unrealized)),
                "mm": plain(to_cents(each.maintenance)),
            }
            for (name, side), each in margin.legs.items()
            if each.notional
        ],
    }


def leverage_update(symbol: str, leverage: int, *, time: int) -> dict[str, Any]:
    """ACCOUNT_CONFIG_UPDATE of a leverage change."""
    return {
        "e": "ACCOUNT_CONFIG_UPDATE",
        "T": time,
        "E": time,
        "ac": {"s": symbol, "l": leverage},
    }


def listen_key_expired(key: str, *, time: int) -> dict[str, Any]:
    """listenKeyExpired; the socket stays open and is silent afterwards."""
    return {"e": "listenKeyExpired", "E": time, "listenKey": key}
