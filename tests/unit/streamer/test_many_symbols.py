"""Far more symbols than a minute has room for: a gap is closed all the same, what matters first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest

from pms.binance.client import OrderAnswer, UserTrade
from pms.binance.errors import Throttled
from pms.contract.names import HOUSE
from pms.domain.custody import open_books
from pms.domain.desk import Desk
from pms.domain.order_table import SPEC
from pms.domain.orders import Order, Seen
from pms.streamer.catch_up import CatchUp
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox

MINUTE_S = 60
MOST_A_MINUTE = 1620
SYMBOLS = [f"S{number:03}USDT" for number in range(400)]
RESTING, HELD, TRADED = SYMBOLS[390], SYMBOLS[395], SYMBOLS[399]


@dataclass
class Exchange:
    """An empty account, and a rate budget of so much weight a minute."""

    now_s: float = 0.0
    used: int = 0
    minute: int = 0
    read: list[str] = field(default_factory=list)
    remembered: list[str] = field(default_factory=list)

    def exchange_now_ms(self) -> int:
        return int(self.now_s * 1000)

    def take(self, weight: int) -> None:
        minute = int(self.now_s) // MINUTE_S
        if minute > self.minute:
            self.minute, self.used = minute, 0
        if self.used + weight > MOST_A_MINUTE:
            raise Throttled("no room", retry_after=(minute + 1) * MINUTE_S - self.now_s)
        self.used += weight

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    async def open_orders(self, **_: object) -> list[OrderAnswer]:
        self.take(40)
        return []

    async def query_order(self, *, client_order_id: str, **_: object) -> OrderAnswer:
        self.take(1)
        return OrderAnswer(
            order_id=1,
            symbol=RESTING,
            status="NEW",
            client_order_id=client_order_id,
            side=SPEC.side,
            type=SPEC.type,
            price=Decimal(100),
            orig_qty=SPEC.quantity,
            executed_qty=Decimal(0),
        )

    async def orders_since(self, symbol: str, _: int) -> list[OrderAnswer]:
        self.take(5)
        self.remembered.append(symbol)
        return []

    async def user_trades(self, *, symbol: str, **_: object) -> list[UserTrade]:
        self.take(5)
        self.read.append(symbol)
        return []

    async def position_risk(self) -> list[object]:
        self.take(5)
        return []

    async def balances(self) -> list[object]:
        self.take(5)
        return []


def behind(exchange: Exchange) -> CatchUp:
    """Books with a cursor for each symbol, and one of each kind of symbol that may have something to tell."""
    nothing: Any = None
    desk = Desk(epoch="e")
    client: Any = exchange
    engine = Engine(
        desk,
        Outbox(nothing, withdraw=lambda _: None, sleep=asyncio.sleep),
        gate=Gate(),
        redis_now_ms=exchange.exchange_now_ms,
    )
    open_books(
        desk,
        at=0,
        wallet=Decimal(1000),
        positions=[(HELD, Decimal(1), Decimal(100))],
        cursors=dict.fromkeys(SYMBOLS, 5),
    )
    spec = replace(SPEC, symbol=RESTING, sub_account_id=HOUSE)
    order = Order(spec=spec, quantity=spec.quantity, price=spec.price)
    order.receive(Seen(1, "NEW", Decimal(0)))
    desk.add_order(order)
    desk.newest_trades[TRADED] = 6
    return CatchUp(engine, client)


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Exchange:
    made = Exchange()
    monkeypatch.setattr(asyncio, "sleep", made.sleep)
    return made


async def test_a_gap_over_more_symbols_than_a_minute_has_room_for_is_closed(exchange: Exchange) -> None:
    await behind(exchange).run()
    assert exchange.now_s < 3 * MINUTE_S
    assert sorted(exchange.read) == SYMBOLS, "each once: nothing that was read is read again"


async def test_where_orders_rest_or_something_is_held_or_has_traded_is_read_first(exchange: Exchange) -> None:
    await behind(exchange).run()
    assert exchange.read[:3] == [RESTING, HELD, TRADED]


async def test_what_a_redis_forgot_is_looked_for_in_as_many_symbols(exchange: Exchange) -> None:
    await behind(exchange).all_orders()
    assert exchange.now_s < 3 * MINUTE_S
    assert sorted(exchange.remembered) == SYMBOLS
