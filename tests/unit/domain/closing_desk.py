"""A desk drawn from a seed: accounts that are closed at market, what they hold, and orders that rest."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from random import Random

from desk_maker import BTC, D, decide, desk_at, trade
from filling import fill

from pms.contract.codes import Refusal
from pms.contract.journal import OrderRow
from pms.contract.names import HOUSE
from pms.domain.desk import Desk, Top

ETH = replace(BTC, symbol="ETHUSDT", base_asset="ETH")
MOST = D(4)
"""What one market order of ETH may be for once all is set up: less than what is held."""

PRICES = {"BTCUSDT": "60000", "ETHUSDT": "3000"}
ACCOUNTS = ("a1", "a2", "a3")
ZERO = D(0)
HEDGED, BALANCE = 0.3, "4000"


def opened(rng: Random) -> tuple[Desk, list[OrderRow]]:
    """The desk, and the orders that rest; some accounts are in hedge mode."""
    desk, resting = desk_at(wallet="1000000"), list[OrderRow]()
    desk.instruments["ETHUSDT"] = ETH
    for symbol, price in PRICES.items():
        mid = D(price)
        desk.price(symbol, Top(mid - D("0.1"), D(1), mid + D("0.1"), D(1), 1))
    decide(desk, "pms.transfer", fromAccountId=HOUSE, toAccountId="insurance", amount="300")
    setting = {"scope": "*", "limit": "liquidation.mode", "value": "market", "reason": "r", "actor": "a"}
    decide(desk, "pms.limits", action="set", **setting)
    for account in ACCOUNTS:
        decide(desk, "pms.create_account", subAccountId=account)
        decide(desk, "pms.transfer", fromAccountId=HOUSE, toAccountId=account, amount=BALANCE)
        if rng.random() < HEDGED:
            decide(desk, "pms.position_mode", subAccountId=account, hedge=True, reason="for the test")
        for symbol in rng.sample(sorted(PRICES), rng.randint(1, 2)):
            resting += _open(desk, rng, account, symbol)
    desk.instruments["ETHUSDT"] = replace(ETH, market_max_quantity=MOST)
    return desk, resting


def _open(desk: Desk, rng: Random, account: str, symbol: str) -> list[OrderRow]:
    """A position; returns the orders that rest on either side of it."""
    price, side = D(PRICES[symbol]), rng.choice(("BUY", "SELL"))
    size = (D(rng.randint(60, 160)) * 1000 / price / 2).quantize(D("0.001"))
    sided = {"positionSide": "LONG" if side == "BUY" else "SHORT"} if desk.accounts[account].hedge else {}
    terms = {"symbol": symbol, "leverage": 100, **sided}
    posting = trade(desk, account, side=side, quantity=str(size), **terms)
    fill(desk, posting, price=PRICES[symbol])
    resting: list[OrderRow] = []
    for _ in range(rng.randint(0, 2)):
        resting += _rest(desk, rng, account, size=size, price=price, terms=terms)
    return resting


def _rest(
    desk: Desk, rng: Random, account: str, *, size: Decimal, price: Decimal, terms: dict[str, object]
) -> tuple[OrderRow, ...]:
    """An order at two percent from the market; none where the account may not have it."""
    side = rng.choice(("BUY", "SELL"))
    at = (price * D("0.98" if side == "BUY" else "1.02")).quantize(D("0.1"))
    part = (size * rng.randint(1, 6) / 10).quantize(D("0.001"))
    try:
        posting = trade(desk, account, side=side, type="LIMIT", price=at, quantity=str(part), **terms)
    except Refusal:
        return ()
    return posting.entry.rows.orders
