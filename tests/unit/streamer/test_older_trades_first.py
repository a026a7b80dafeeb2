"""What one order is asked about shows its own trades alone; those that came before them are booked first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

from pms.binance.client import OrderAnswer, UserTrade
from pms.domain.booking import Trade, book
from pms.domain.custody import open_books
from pms.domain.desk import Desk
from pms.domain.order_table import SPEC
from pms.domain.orders import Order, Seen, State
from pms.domain.sub_accounts import SubAccount
from pms.streamer.agenda import Agenda
from pms.streamer.attention import Attention, Care
from pms.streamer.catch_up import CatchUp
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox

ALICE, SYMBOL, NOW = "alice", SPEC.symbol, 60_000
OPENS, ADDS, CLOSES = 1, 2, 3
"""Orders of one each, and their trades, by number: a position of two loses one."""

SIDES = {OPENS: "BUY", ADDS: "BUY", CLOSES: "SELL"}


def row(number: int) -> UserTrade:
    return UserTrade(
        symbol=SYMBOL,
        id=number,
        order_id=number,
        side=SIDES[number],
        price=Decimal(100),
        qty=Decimal(1),
        commission=Decimal(0),
        commission_asset="USDT",
        realized_pnl=Decimal(0),
        maker=False,
        time=number,
    )


@dataclass
class Exchange:
    """It has filled all of them, and the feed has told nothing."""

    total: Decimal = Decimal(1)
    asked: list[object] = field(default_factory=list)

    def exchange_now_ms(self) -> int:
        return NOW

    async def query_order(
        self, *, symbol: str, client_order_id: str = "", order_id: int | None = None
    ) -> OrderAnswer:
        number = order_id or int(client_order_id[-1])
        return OrderAnswer(
            order_id=number,
            symbol=symbol,
            status="FILLED" if self.total == 1 else "PARTIALLY_FILLED",
            client_order_id=name(number),
            side=SIDES[number],
            type=SPEC.type,
            price=Decimal(100),
            orig_qty=self.total,
            executed_qty=Decimal(1),
            update_time=number,
        )

    async def user_trades(
        self, *, symbol: str, from_id: int | None = None, order_id: int | None = None, **_: object
    ) -> list[UserTrade]:
        self.asked.append(order_id or symbol)
        return [each for each in map(row, SIDES) if each.order_id == order_id or each.id >= (from_id or NOW)]


@dataclass
class Books:
    """Alice holds one; what added to it and what took from it rest with us still."""

    exchange: Exchange = field(default_factory=Exchange)

    def __post_init__(self) -> None:
        nothing: Any = None
        self.desk = Desk(epoch="e")
        client = cast(Any, self.exchange)
        outbox = Outbox(nothing, withdraw=lambda _: None, sleep=asyncio.sleep)
        engine = Engine(self.desk, outbox, gate=Gate(), redis_now_ms=lambda: NOW)
        engine.agenda = Agenda(_nobody, clock=lambda: 0.0)
        open_books(self.desk, at=0, wallet=Decimal(1000), positions=[], cursors={SYMBOL: 0})
        self.desk.open_account(SubAccount(id=ALICE))
        for number in SIDES:
            self.rests(number)
        assert book(self.desk, trade(row(OPENS))) is not None
        self.attention = Attention(
            engine=engine,
            client=client,
            rights=nothing,
            placing=cast(Any, SimpleNamespace(recv_window_ms=5000)),
            same_redis=True,
            redis_now_ms=lambda: NOW,
            in_order=CatchUp(engine, client).trades,
        )

    def rests(self, number: int) -> None:
        spec = replace(
            SPEC,
            client_order_id=name(number),
            sub_account_id=ALICE,
            origin="MANUAL",
            side=SIDES[number],
            reduce_only=False,
        )
        order = Order(spec=spec, quantity=Decimal(1), price=spec.price)
        self.desk.add_order(order)
        order.receive(Seen(number, "NEW", Decimal(0)))
        self.desk.learn_exchange_id(order)

    async def ask(self, number: int) -> None:
        await self.attention._ask(self.desk.orders[name(number)], Care())


def name(number: int) -> str:
    return f"PMS_alice_M_{number}"


def trade(told: UserTrade) -> Trade:
    return Trade(
        symbol=SYMBOL,
        exchange_order_id=told.order_id,
        trade_id=told.id,
        client_order_id=name(told.id),
        side=told.side,
        price=told.price,
        quantity=told.qty,
        commission=told.commission,
        commission_asset=told.commission_asset,
        realized_pnl=told.realized_pnl,
        maker=told.maker,
        at=told.time,
    )


async def _nobody(_: str) -> float | None:
    return None


async def test_a_position_that_never_closed_stays_the_one_it_was() -> None:
    books = Books()
    held = books.desk.position(ALICE, SYMBOL)
    before = held.id
    await books.ask(CLOSES)
    assert (held.quantity, held.id) == (1, before), "closed by the second trade, opened again by the first"
    assert [key[2] for key in books.desk.trades] == [OPENS, ADDS, CLOSES]


async def test_the_symbol_is_read_only_where_a_trade_is_missing() -> None:
    books = Books()
    for number in (ADDS, CLOSES):
        await books.ask(number)
    assert books.exchange.asked == [ADDS, SYMBOL]


async def test_what_redis_forgot_of_an_amendment_fills_no_order_by_its_old_total() -> None:
    """Another order of its symbol is asked about, and its trades are read before its own terms are."""
    books = Books()
    books.exchange.total = Decimal(2)
    await books.ask(CLOSES)
    adds = books.desk.orders[name(ADDS)]
    assert (adds.state, adds.filled_qty, adds.total) == (State.PARTIALLY_FILLED, 1, 2)
