"""A new system's books hold all that the exchange did before a moment, and nothing behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from pms.binance.answers import Balance, PositionRisk
from pms.binance.user_messages import OrderUpdate
from pms.contract.names import HOUSE
from pms.domain.desk import Desk
from pms.streamer.conservation import differences
from pms.streamer.engine import Engine, Gate, Venue
from pms.streamer.outbox import Outbox
from pms.streamer.start import MOST_READINGS, CannotStart, first_books

SYMBOL = "BTCUSDT"
D = Decimal


class Exchange:
    """Somebody trades there while it is read: one at a time buys 1, at 100, and pays a fee of 1."""

    def __init__(self) -> None:
        self.now, self.bought, self.asked = 1_000, 76, 0
        self.traded_at = 0
        self.before: Callable[[], bool] = lambda: False
        #: whether somebody buys before the next answer

    def _answer(self) -> None:
        self.asked += 1
        self.now += 10
        if self.before():
            self.bought += 1
            self.traded_at = self.now

    def exchange_now_ms(self) -> int:
        return self.now

    async def incomes(self, **_: object) -> list[object]:
        self._answer()
        return []

    async def balances(self) -> list[Balance]:
        self._answer()
        return [Balance(asset="USDT", balance=D(1000 - self.bought), available_balance=D(0))]

    async def position_risk(self) -> list[PositionRisk]:
        self._answer()
        row: dict[str, Any] = {"position_side": "BOTH", "entry_price": D(100)}
        return [PositionRisk(symbol=SYMBOL, position_amt=D(self.bought), **row)]

    async def user_trades(self, *, symbol: str, **_: object) -> list[object]:
        self._answer()
        return [SimpleNamespace(id=self.bought)] if symbol == SYMBOL else []

    @property
    def venue(self) -> Venue:
        return Venue(wallets={"USDT": D(1000 - self.bought)}, positions={SYMBOL: D(self.bought)})

    def told(self, trade: int, at: int) -> OrderUpdate:
        """The feed's word of a trade."""
        return OrderUpdate(
            symbol=SYMBOL,
            client_order_id=f"by-hand-{trade}",
            order_id=trade,
            side="BUY",
            order_type="MARKET",
            time_in_force="GTC",
            quantity=D(1),
            price=D(0),
            average_price=D(100),
            execution="TRADE",
            status="FILLED",
            last_quantity=D(1),
            filled=D(1),
            last_price=D(100),
            commission=D(1),
            commission_asset="USDT",
            trade_time=at,
            trade_id=trade,
            maker=False,
            reduce_only=False,
            position_side="BOTH",
            realized_pnl=D(0),
            event_time=at,
        )


async def opened(exchange: Exchange) -> Desk:
    desk, client = Desk(epoch="e"), exchange
    assert await first_books(desk, client, symbols=[SYMBOL, "ETHUSDT"]) is not None  # type: ignore[arg-type]
    return desk


@pytest.mark.parametrize("moment", range(1, 12))
async def test_they_are_of_one_moment_whenever_somebody_trades(moment: int) -> None:
    exchange = Exchange()
    exchange.before = lambda: exchange.asked == moment
    desk = await opened(exchange)
    exchange.before = lambda: False
    nothing: Any = None
    outbox = Outbox(nothing, withdraw=lambda _: None, sleep=asyncio.sleep)
    engine = Engine(desk, outbox, gate=Gate(), redis_now_ms=exchange.exchange_now_ms)
    engine.time_passed = lambda _: None
    engine.order_update(exchange.told(exchange.bought, exchange.traded_at))
    assert differences(desk, exchange.venue) == [], "a word that was buffered meanwhile is in them already"
    exchange.bought += 1
    engine.order_update(exchange.told(exchange.bought, exchange.now))
    assert differences(desk, exchange.venue) == [], "one from behind it is not"
    assert desk.position(HOUSE, SYMBOL).quantity == exchange.bought


async def test_nobody_can_open_them_while_others_trade_without_a_pause() -> None:
    exchange = Exchange()
    exchange.before = lambda: True
    with pytest.raises(CannotStart, match="trades on the exchange account"):
        await opened(exchange)
    assert exchange.asked <= 5 * (MOST_READINGS + 1)
