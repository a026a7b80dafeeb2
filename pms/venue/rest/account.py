"""Account endpoints: balances, positions, income, configuration shown."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

import msgspec

from pms.venue.account import Account
from pms.venue.brackets import brackets_of, max_notional
from pms.venue.history import DAY_MS
from pms.venue.ledger import break_even
from pms.venue.leg import Leg
from pms.venue.margin import AccountMargin, LegMargin, account_margin, leg_margin, liquidation_price
from pms.venue.market import Market
from pms.venue.rest.endpoint import Call, Endpoint
from pms.venue.rest.views import income_row, money
from pms.venue.state import ZERO
from pms.venue.symbols import plain

WEEK_MS = 7 * DAY_MS
MOST_PAGES = 10**9
"""The last page that can be asked for: what lies before it is a number of 64 bits."""
as_numbers = msgspec.json.Encoder(decimal_format="number")


def _margin(call: Call) -> AccountMargin:
    return account_margin(call.account, call.venue.exchange.markets)


def balance(call: Call) -> list[dict[str, Any]]:
    """GET /v2 and /v3/balance."""
    margin = _margin(call)
    wallet = call.account.wallet
    alias = hashlib.sha256(call.account.name.encode()).hexdigest()[:4]
    others = [
        {
            "accountAlias": alias,
            "asset": asset,
            "balance": money(held),
            "crossWalletBalance": money(held),
            "crossUnPnl": money(ZERO),
            "availableBalance": money(held),
            "maxWithdrawAmount": money(held),
            "marginAvailable": True,
            "updateTime": wallet.updated,
        }
        for asset, held in wallet.assets.items()
    ]
    return [
        {
            "accountAlias": alias,
            "asset": "USDT",
            "balance": money(wallet.balance),
            "crossWalletBalance": money(wallet.balance),
            "crossUnPnl": money(margin.unrealized),
            "availableBalance": money(margin.available),
            "maxWithdrawAmount": money(max(ZERO, min(margin.available, wallet.balance))),
            "marginAvailable": True,
            "updateTime": wallet.updated,
        },
        *others,
    ]


def _totals(margin: AccountMargin, wallet: Decimal) -> dict[str, str]:
    withdrawable = max(ZERO, min(margin.available, wallet))
    return {
        "totalInitialMargin": money(margin.position_margin + margin.order_margin),
        "totalMaintMargin": money(margin.maintenance),
        "totalWalletBalance": money(wallet),
        "totalUnrealizedProfit": money(margin.unrealized),
        "totalMarginBalance": money(wallet + margin.unrealized),
        "totalPositionInitialMargin": money(margin.position_margin),
        "totalOpenOrderInitialMargin": money(margin.order_margin),
        "totalCrossWalletBalance": money(wallet),
        "totalCrossUnPnl": money(margin.unrealized),
        "availableBalance": money(margin.available),
        "maxWithdrawAmount": money(withdrawable),
    }


def _asset(margin: AccountMargin, account: Account) -> dict[str, Any]:
    totals = _totals(margin, account.wallet.balance)
    return {
        "asset": "USDT",
        "walletBalance": totals["totalWalletBalance"],
        "unrealizedProfit": totals["totalUnrealizedProfit"],
        "marginBalance": totals["totalMarginBalance"],
        "maintMargin": totals["totalMaintMargin"],
        "initialMargin": totals["totalInitialMargin"],
        "positionInitialMargin": totals["totalPositionInitialMargin"],
        "openOrderInitialMargin": totals["totalOpenOrderInitialMargin"],
        "crossWalletBalance": totals["totalCrossWalletBalance"],
        "crossUnPnl": totals["totalCrossUnPnl"],
        "availableBalance": totals["availableBalance"],
        "maxWithdrawAmount": totals["maxWithdrawAmount"],
        "updateTime": account.wallet.updated,
    }


def _other_assets(account: Account) -> list[dict[str, Any]]:
    """Assets besides USDT; in single-asset mode they carry no margin."""
    none = money(ZERO)
    return [
        {
            "asset": asset,
            "walletBalance": money(held),
            "unrealizedProfit": none,
            "marginBalance": money(held),
            "maintMargin": none,
            "initialMargin": none,
            "positionInitialMargin": none,
            "openOrderInitialMargin": none,
            "crossWalletBalance": money(held),
            "crossUnPnl": none,
            "availableBalance": money(held),
            "maxWithdrawAmount": money(held),
            "updateTime": account.wallet.updated,
        }
        for asset, held in account.wallet.assets.items()
    ]


def account_v3(call: Call) -> dict[str, Any]:
    """GET /v3/account: only what is held or has open orders."""
    margin = _margin(call)
    positions = [
        _account_v3_position(call, call.account.leg(*place), each) for place, each in margin.legs.items()
    ]
    totals = _totals(margin, call.account.wallet.balance)
    assets = [_asset(margin, call.account), *_other_assets(call.account)]
    return {**totals, "assets": assets, "positions": positions}


def _account_v3_position(call: Call, leg: Leg, margin: LegMargin) -> dict[str, Any]:
    position = leg.position
    symbol = call.venue.symbols[position.symbol]
    return {
        "symbol": position.symbol,
        "positionSide": position.position_side,
        "positionAmt": plain(symbol.quantity(position.lots)),
        "unrealizedProfit": money(margin.unrealized),
        "isolatedMargin": "0",
        "notional": plain(margin.notional),
        "isolatedWallet": "0",
        "initialMargin": plain(_cents(margin.initial)),
        "maintMargin": plain(_cents(margin.maintenance)),
        "updateTime": position.updated,
    }


def account_v2(call: Call) -> dict[str, Any]:
    """GET /v2/account: all symbols."""
    margin = _margin(call)
    return {
        "feeTier": 0,
        "feeBurn": call.account.wallet.fee_burn,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
        **_totals(margin, call.account.wallet.balance),
        "assets": [
            {**asset, "marginAvailable": True}
            for asset in (_asset(margin, call.account), *_other_assets(call.account))
        ],
        "positions": [
            _account_v2_position(market, leg)
            for market in call.venue.exchange.markets.values()
            for leg in _seen(call, market)
        ],
    }


def _seen(call: Call, market: Market) -> list[Leg]:
    """All legs of a symbol in the account's position mode, flat ones too."""
    return [call.account.leg(market.symbol.name, side) for side in call.account.sides]


def _account_v2_position(market: Market, leg: Leg) -> dict[str, Any]:
    symbol, position, margin = market.symbol, leg.position, leg_margin(leg, market)
    return {
        "symbol": symbol.name,
        "initialMargin": plain(_cents(margin.initial)),
        "maintMargin": plain(_cents(margin.maintenance)),
        "unrealizedProfit": money(margin.unrealized),
        "positionInitialMargin": plain(_cents(margin.position)),
        "openOrderInitialMargin": plain(_cents(margin.orders)),
        "leverage": str(position.leverage),
        "isolated": False,
        "entryPrice": plain(_cents(position.entry)),
        "breakEvenPrice": plain(_cents(break_even(position, symbol.step))),
        "maxNotional": plain(max_notional(symbol.name, position.leverage)),
        "bidNotional": plain(leg.exposure.bids),
        "askNotional": plain(leg.exposure.asks),
        "positionSide": position.position_side,
        "positionAmt": symbol.quantity_text_signed(position.lots),
        "updateTime": position.updated,
    }


def _cents(amount: Decimal) -> Decimal:
    return Decimal(money(amount))


def position_risk_v3(call: Call) -> list[dict[str, Any]]:
    """GET /v3/positionRisk: only what is held or has open orders."""
    market = call.venue.chosen_market(call.params)
    margin = _margin(call)
    markets = call.venue.exchange.markets
    return [
        _risk_v3(call, markets[name], call.account.leg(name, side), margin)
        for name, side in margin.legs
        if market is None or name == market.symbol.name
    ]


def _liquidation(call: Call, margin: AccountMargin, leg: Leg, market: Market) -> str:
    """Of a position that is held; two side by side have the same."""
    price = liquidation_price(call.account, margin, market) if leg.position.lots else None
    return "0" if price is None else plain(_cents(price))


def _risk_v3(call: Call, market: Market, leg: Leg, account: AccountMargin) -> dict[str, Any]:
    symbol, position, exposure = market.symbol, leg.position, leg.exposure
    margin = leg_margin(leg, market)
    return {
        "symbol": symbol.name,
        "positionSide": position.position_side,
        "positionAmt": plain(symbol.quantity(position.lots)),
        "entryPrice": plain(_cents(position.entry)),
        "breakEvenPrice": plain(_cents(break_even(position, symbol.step))),
        "markPrice": money(market.mark),
        "unRealizedProfit": money(margin.unrealized),
        "liquidationPrice": _liquidation(call, account, leg, market),
        "isolatedMargin": "0",
        "notional": plain(margin.notional),
        "marginAsset": symbol.quote_asset,
        "isolatedWallet": "0",
        "initialMargin": plain(_cents(margin.initial)),
        "maintMargin": plain(_cents(margin.maintenance)),
        "positionInitialMargin": plain(_cents(margin.position)),
        "openOrderInitialMargin": plain(_cents(margin.orders)),
        "adl": 1 if position.lots else 0,
        "bidNotional": plain(exposure.bids),
        "askNotional": plain(exposure.asks),
        "updateTime": position.updated,
    }


def position_risk_v2(call: Call) -> list[dict[str, Any]]:
    """GET /v2/positionRisk: all symbols, zero positions included."""
    market = call.venue.chosen_market(call.params)
    margin = _margin(call)
    wanted = call.venue.exchange.markets.values() if market is None else (market,)
    return [_risk_v2(call, each, leg, margin) for each in wanted for leg in _seen(call, each)]


def _risk_v2(call: Call, market: Market, leg: Leg, account: AccountMargin) -> dict[str, Any]:
    symbol, position, margin = market.symbol, leg.position, leg_margin(leg, market)
    return {
        "symbol": symbol.name,
        "positionAmt": symbol.quantity_text_signed(position.lots),
        "entryPrice": plain(_cents(position.entry)),
        "breakEvenPrice": plain(_cents(break_even(position, symbol.step))),
        "markPrice": money(market.mark),
        "unRealizedProfit": money(margin.unrealized),
        "liquidationPrice": _liquidation(call, account, leg, market),
        "leverage": str(position.leverage),
        "maxNotionalValue": plain(max_notional(symbol.name, position.leverage)),
        "marginType": "cross",
        "isolatedMargin": "0.00000000",
        "isAutoAddMargin": "false",
        "positionSide": position.position_side,
        "notional": plain(margin.notional),
        "isolatedWallet": "0",
        "updateTime": position.updated,
    }


def leverage_bracket(call: Call) -> msgspec.Raw:
    """GET /v1/leverageBracket: JSON numbers, a list even for one symbol (as live)."""
    market = call.venue.chosen_market(call.params)
    names = [market.symbol.name] if market is not None else list(call.venue.exchange.markets)
    rows = [
        {
            "symbol": name,
            "brackets": [
                {
                    "bracket": each.number,
                    "initialLeverage": each.leverage,
                    "notionalCap": Decimal(plain(each.cap)),
                    "notionalFloor": Decimal(plain(each.floor)),
                    "maintMarginRatio": Decimal(plain(each.ratio)),
                    "cum": Decimal(plain(each.cum)),
                }
                for each in brackets_of(name)
            ],
        }
        for name in names
    ]
    return msgspec.Raw(as_numbers.encode(rows))


def symbol_config(call: Call) -> list[dict[str, Any]]:
    """GET /v1/symbolConfig."""
    market = call.venue.chosen_market(call.params)
    wanted = call.venue.exchange.markets.values() if market is None else (market,)
    rows = []
    for each in wanted:
        leverage = call.account.leverage(each.symbol.name)
        rows.append(
            {
                "symbol": each.symbol.name,
                "marginType": "CROSSED",
                "isAutoAddMargin": False,
                "leverage": leverage,
                "maxNotionalValue": plain(max_notional(each.symbol.name, leverage)),
            }
        )
    return rows


def account_config(call: Call) -> dict[str, Any]:
    """GET /v1/accountConfig."""
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": call.account.wallet.hedge,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


def commission_rate(call: Call) -> dict[str, Any]:
    """GET /v1/commissionRate."""
    fees = call.venue.exchange.fees.of(call.account.wallet)
    return {
        "symbol": call.venue.market(call.params).symbol.name,
        "makerCommissionRate": plain(fees.maker),
        "takerCommissionRate": plain(fees.taker),
        "rpiCommissionRate": "0.00005",
    }


def income(call: Call) -> list[dict[str, Any]]:
    """GET /v1/income: the last 7 days unless told, ascending, in pages."""
    params, account = call.params, call.account
    market = call.venue.chosen_market(params)
    type_ = params.text("incomeType")
    limit = params.limited("limit", default=100, most=1000)
    page = params.limited("page", default=1, most=MOST_PAGES)
    start, end = params.window()
    now = call.venue.clock()
    rows = account.incomes_between(
        (end or now) - WEEK_MS if start is None else start,
        now if end is None else end,
        symbol=None if market is None else market.symbol.name,
        type_=type_,
        limit=limit,
        offset=(page - 1) * limit,
        now=now,
    )
    return [income_row(each) for each in rows]


def order_rate_limits(call: Call) -> list[dict[str, Any]]:
    """GET /v1/rateLimit/order."""
    allowed = call.venue.limits.allowed
    return [
        {"rateLimitType": "ORDERS", "interval": interval, "intervalNum": number, "limit": limit}
        for interval, number, limit in (
            ("SECOND", 10, allowed.orders_per_ten_seconds),
            ("MINUTE", 1, allowed.orders_per_minute),
        )
    ]


def adl_quantile(call: Call) -> list[dict[str, Any]]:
    """GET /v1/adlQuantile: of symbols with a position; the same figure as positionRisk's `adl`.

    In hedge mode both sides have it, and HEDGE is only a sign (USDⓈ-M docs, Position ADL Quantile).
    """
    market = call.venue.chosen_market(call.params)
    hedged, one_way = {"LONG": 1, "SHORT": 1, "HEDGE": 1}, {"LONG": 0, "SHORT": 0, "BOTH": 1}
    return [
        {"symbol": name, "adlQuantile": hedged if call.account.wallet.hedge else one_way}
        for name, legs in call.account.legs.items()
        if any(leg.position.lots for leg in legs.values()) and (market is None or name == market.symbol.name)
    ]


ENDPOINTS = (
    Endpoint("GET", "/fapi/v1/adlQuantile", adl_quantile, weight=5),
    Endpoint("GET", "/fapi/v2/balance", balance, weight=5),
    Endpoint("GET", "/fapi/v3/balance", balance, weight=5),
    Endpoint("GET", "/fapi/v2/account", account_v2, weight=5),
    Endpoint("GET", "/fapi/v3/account", account_v3, weight=5),
    Endpoint("GET", "/fapi/v2/positionRisk", position_risk_v2, weight=5),
    Endpoint("GET", "/fapi/v3/positionRisk", position_risk_v3, weight=5),
    Endpoint("GET", "/fapi/v1/leverageBracket", leverage_bracket),
    Endpoint("GET", "/fapi/v1/symbolConfig", symbol_config, weight=5),
    Endpoint("GET", "/fapi/v1/accountConfig", account_config, weight=5),
    Endpoint("GET", "/fapi/v1/commissionRate", commission_rate, weight=20),
    Endpoint("GET", "/fapi/v1/income", income, weight=30),
    Endpoint("GET", "/fapi/v1/rateLimit/order", order_rate_limits),
)
