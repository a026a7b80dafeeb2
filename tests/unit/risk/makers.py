"""Accounts, ladders and closes for the tests of portfolio risk."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from pms.domain.positions import Position
from pms.risk.book import Account
from pms.risk.maintenance import Ladder
from pms.risk.returns import Closes

D = Decimal
DAY = 86_400_000
BTC = Ladder(((D("0.004"), D(0)), (D("0.005"), D(300)), (D("0.0065"), D(1500)), (D("0.01"), D(12000))))
"""The first brackets of BTCUSDT: PROTOCOL §9.1."""


def holding(quantity: str, entry: str, symbol: str = "BTCUSDT", *, leverage: int = 10) -> Position:
    return Position("", symbol, leverage=leverage, quantity=D(quantity), cost=D(quantity) * D(entry))


def account(name: str, balance: str, *positions: Position, reserved: str = "0", group: str = "") -> Account:
    return Account(name, D(balance), positions, D(reserved), group)


def closes(*prices: str | None, start: int = 0) -> Closes:
    """Daily closes; None is a day without a bar."""
    days = [(start + n) * DAY for n, price in enumerate(prices) if price is not None]
    return Closes(tuple(days), tuple(D(price) for price in prices if price is not None))


def walk(returns: Sequence[str], *, start: int = 0, first: str = "100") -> Closes:
    """Closes that have exactly these returns."""
    prices = [D(first)]
    for each in returns:
        prices.append(prices[-1] * (1 + D(each)))
    return Closes(tuple((start + n) * DAY for n in range(len(prices))), tuple(prices))
