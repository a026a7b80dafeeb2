"""userTrades shows a trade, and GET order does not find its order yet: it is nobody's until that is known."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest

from pms.binance.client import OrderAnswer, UserTrade
from pms.binance.errors import NotFound, Refused
from pms.contract.names import HOUSE
from pms.domain.custody import open_books
from pms.domain.desk import Desk
from pms.domain.order_table import SPEC
from pms.domain.orders import Doubtful, Order, Seen, State
from pms.domain.sub_accounts import SubAccount
from pms.streamer.agenda import Agenda
from pms.streamer.catch_up import FOUND_WITHIN_MS, CatchUp
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox

ALICE = "alice"
SYMBOL, NAME, NUMBER = SPEC.symbol, "PMS_alice_M_1", 7
TRADE, LATER = 100, 101
OPENED, TRADED = 1_000, 5_000


def row(number: int, order: int, quantity: Decimal = SPEC.quantity) -> UserTrade:
    return UserTrade(
        symbol=SYMBOL,
        id=number,
        order_id=order,
        side=SPEC.side,
        price=Decimal(100),
        qty=quantity,
        commission=Decimal(0),
        commission_asset="USDT",
        realized_pnl=Decimal(0),
        maker=False,
        time=TRADED,
    )


@dataclass
class Exchange:
    """It shows a trade at once, and its order when the test lets it."""

    now: int = TRADED + 20_000
    by_number: bool = False
    by_name: bool = False
    listed: bool = True
    rows: list[UserTrade] = field(default_factory=lambda: [row(TRADE, NUMBER)])
    asked: list[object] = field(default_factory=list)

    def exchange_now_ms(self) -> int:
        return self.now

    async def user_trades(self, *, from_id: int, **_: object) -> list[UserTrade]:
        if not self.listed:
            raise Refused("Invalid symbol.", code=-1121)
        return [each for each in self.rows if each.id >= from_id]

    async def query_order(
        self, *, symbol: str, order_id: int | None = None, client_order_id: str | None = None
    ) -> OrderAnswer:
        self.asked.append(order_id or client_order_id)
        found = self.by_number if order_id == NUMBER else self.by_name and client_order_id == NAME
        if not found:
            raise NotFound("Order does not exist.", code=-2013)
        return OrderAnswer(
            order_id=NUMBER,
            symbol=symbol,
            status="FILLED",
            client_order_id=NAME,
            side=SPEC.side,
            type=SPEC.type,
            price=Decimal(100),
            orig_qty=SPEC.quantity,
            executed_qty=SPEC.quantity,
            update_time=TRADED,
        )


@dataclass
class Books:
    """Alice's order was sent, and its answer is lost."""

    exchange: Exchange = field(default_factory=Exchange)

    def __post_init__(self) -> None:
        nothing: Any = None
        self.desk = Desk(epoch="e")
        client: Any = self.exchange
        outbox = Outbox(nothing, withdraw=lambda _: None, sleep=asyncio.sleep)
        engine = Engine(self.desk, outbox, gate=Gate(), redis_now_ms=self.exchange.exchange_now_ms)
        engine.agenda = Agenda(_nobody, clock=lambda: 0.0)
        open_books(self.desk, at=OPENED, wallet=Decimal(1000), positions=[], cursors={SYMBOL: 5})
        self.desk.open_account(SubAccount(id=ALICE))
        self.order = self.placed(NAME)
        self.order.receive(Doubtful())
        self.catch_up = CatchUp(engine, client)

    def placed(self, name: str) -> Order:
        spec = replace(SPEC, client_order_id=name, sub_account_id=ALICE, origin="MANUAL")
        order = Order(spec=spec, quantity=spec.quantity, price=spec.price)
        self.desk.add_order(order)
        return order

    def held(self, account: str) -> Decimal:
        return self.desk.position(account, SYMBOL).quantity

    @property
    def proven(self) -> int:
        return self.desk.cursors[SYMBOL]


async def _nobody(_: str) -> float | None:
    return None


@pytest.mark.parametrize("way", ["by_number", "by_name"])
async def test_it_is_its_owners_as_soon_as_the_order_is_found(way: str) -> None:
    books = Books()
    await books.catch_up.trades(SYMBOL)
    assert (books.held(HOUSE), books.held(ALICE)) == (0, 0)
    setattr(books.exchange, way, True)
    await books.catch_up.trades(SYMBOL)
    assert (books.held(HOUSE), books.held(ALICE)) == (0, SPEC.quantity)
    assert books.order.state is State.FILLED
    assert books.proven == TRADE
    assert not books.catch_up.owed


async def test_a_symbol_that_is_refused_is_owed_no_more_and_read_by_the_next_pass() -> None:
    books = Books()
    await books.catch_up.trades(SYMBOL)
    assert books.catch_up.owed == {SYMBOL}
    books.exchange.listed = False
    await books.catch_up.trades(SYMBOL)
    assert not books.catch_up.owed
    assert books.proven < TRADE
    books.exchange.listed = books.exchange.by_number = True
    await books.catch_up.trades(SYMBOL)
    assert books.held(ALICE) == SPEC.quantity


async def test_what_our_id_finds_needs_no_second_look() -> None:
    books = Books()
    books.exchange.by_name = True
    assert await books.catch_up.trades(SYMBOL) == 1
    assert (books.order.state, books.held(ALICE)) == (State.FILLED, SPEC.quantity)


async def test_nothing_is_proven_past_it_and_what_came_behind_is_booked() -> None:
    books = Books()
    known = books.placed("PMS_alice_M_2")
    known.receive(Seen(8, "NEW", Decimal(0)))
    books.desk.learn_exchange_id(known)
    books.exchange.rows += [row(LATER, NUMBER, Decimal("0.1")), row(LATER + 1, 8)]
    assert await books.catch_up.trades(SYMBOL) == 1
    assert (known.state, books.held(ALICE)) == (State.FILLED, SPEC.quantity)
    assert books.proven < TRADE
    assert books.exchange.asked.count(NUMBER) == 1, "once for all trades of the order"


async def test_an_order_that_nobody_here_remembers_may_be_found_late_as_well() -> None:
    books = Books()
    books.desk.forget_order(books.order)
    await books.catch_up.trades(SYMBOL)
    books.exchange.by_number = True
    await books.catch_up.trades(SYMBOL)
    assert (books.held(HOUSE), books.held(ALICE)) == (0, SPEC.quantity)


async def test_an_old_trade_of_an_order_that_is_not_found_is_the_houses() -> None:
    books = Books()
    await books.catch_up.trades(SYMBOL)
    books.exchange.now = TRADED + FOUND_WITHIN_MS
    await books.catch_up.trades(SYMBOL)
    assert (books.held(HOUSE), books.held(ALICE), books.proven) == (SPEC.quantity, 0, TRADE)
    assert not books.catch_up.owed


async def test_it_is_looked_for_again_without_anybody_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _: real(0))
    books = Books()
    await books.catch_up.trades(SYMBOL)
    books.exchange.by_number = True
    looking = asyncio.create_task(books.catch_up.read_owed())
    while books.catch_up.owed and not looking.done():
        await real(0)
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking
    assert books.held(ALICE) == SPEC.quantity
