"""An exchange account with a past: trades from before our books are no witness about an order of ours."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pms.binance.client import UserTrade
from pms.binance.errors import NotFound
from pms.contract.names import HOUSE
from pms.domain.custody import open_books
from pms.domain.desk import Desk
from pms.domain.order_table import SPEC
from pms.domain.orders import Accepted, Doubtful, Order, Seen, State
from pms.flows.resolve import NOT_FOUND_APART_MS
from pms.streamer.attention import Attention
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox
from pms.streamer.trade_pages import TRADES_PAGE

OPENED, SIGNED, NOW = 1_000_000, 1_010_000, 1_060_000
NAME = "PMS_house_M_1"


def row(number: int, at: int) -> UserTrade:
    return UserTrade(
        symbol=SPEC.symbol,
        id=number,
        order_id=number,
        side="BUY",
        price=Decimal(100),
        qty=Decimal(1),
        commission=Decimal(0),
        commission_asset="USDT",
        realized_pnl=Decimal(0),
        maker=False,
        time=at,
    )


@dataclass
class Exchange:
    """It never heard of the order; the account may have traded before."""

    rows: list[UserTrade] = field(default_factory=list)
    now: int = NOW

    def exchange_now_ms(self) -> int:
        return self.now

    async def query_order(self, **_: object) -> None:
        raise NotFound("Order does not exist.", code=-2013)

    async def query_algo_order(self, **_: object) -> None:
        raise NotFound("Order does not exist.", code=-2013)

    async def user_trades(self, *, from_id: int, **_: object) -> list[UserTrade]:
        return [each for each in self.rows if each.id >= from_id][:TRADES_PAGE]


@dataclass
class Asking:
    """An order that may have been sent, in a symbol of which nothing is proven."""

    exchange: Exchange
    owed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        nobody = cast(Any, None)
        desk = Desk(epoch="e")
        open_books(desk, at=OPENED, wallet=Decimal(1000), positions=[], cursors={})
        spec = replace(SPEC, client_order_id=NAME, sub_account_id=HOUSE, origin="MANUAL", epoch="e")
        self.order = Order(spec=spec, quantity=spec.quantity, price=spec.price)
        desk.add_order(self.order)
        self.order.receive(Doubtful())
        outbox = Outbox(nobody, withdraw=lambda _: None, sleep=asyncio.sleep)
        engine = Engine(desk, outbox, gate=Gate(), redis_now_ms=self.exchange.exchange_now_ms)

        async def closed(*_: object, **__: object) -> bool:
            return True

        async def taken(_: object) -> list[int | None]:
            return [SIGNED]

        self.attention = Attention(
            engine=engine,
            client=cast(Any, self.exchange),
            rights=cast(Any, SimpleNamespace(taken=taken, close=closed)),
            placing=cast(Any, SimpleNamespace(recv_window_ms=5000)),
            same_redis=True,
            redis_now_ms=self.exchange.exchange_now_ms,
            owed=self.owed.append,
        )

    async def ask(self, times: int) -> list[float | None]:
        delays = []
        for _ in range(times):
            delays.append(await self.attention.attend(NAME))
            self.exchange.now += NOT_FOUND_APART_MS
        return delays


@pytest.mark.parametrize("past", [0, 1, TRADES_PAGE, 2 * TRADES_PAGE + 1])
async def test_they_do_not_keep_it_from_being_proven_absent(past: int) -> None:
    asking = Asking(Exchange([row(number + 1, OPENED - past + number) for number in range(past)]))
    await asking.ask(2)
    assert (asking.order.state, asking.owed) == (State.REJECTED, [])


@pytest.mark.parametrize("past", [0, 2 * TRADES_PAGE])
async def test_a_trade_that_nobody_has_booked_is_fetched_before_it_is(past: int) -> None:
    rows = [row(number + 1, OPENED) for number in range(past)]
    asking = Asking(Exchange([*rows, row(past + 1, SIGNED + 1)]))
    delays = await asking.ask(6)
    assert (asking.order.state, asking.owed) == (State.UNKNOWN, [SPEC.symbol] * 5)
    assert delays[-1] is not None
    assert delays[-1] > 2, "ever more seldom"
    asking.attention.engine.desk.first_sight(SPEC.symbol, past + 1, past + 1)
    await asking.ask(1)
    assert asking.order.state is State.REJECTED


async def test_an_order_that_the_exchange_acknowledged_is_never_proven_absent() -> None:
    asking = Asking(Exchange())
    asking.order.receive(Accepted(4711))
    delays = await asking.ask(60)
    assert asking.order.unproven
    assert asking.attention.engine.desk.incidents.get("unknown_order", NAME) is not None
    assert delays[-1] is not None
    assert delays[-1] > 2, "ever more seldom"
    asking.order.receive(Seen(4711, "NEW", Decimal(0)))
    assert asking.order.state is State.ACTIVE


async def test_proofs_that_wait_share_a_reading_that_began_behind_all_of_them() -> None:
    reads, begun, free = list[int](), asyncio.Event(), asyncio.Event()

    @dataclass
    class Slow(Exchange):
        async def user_trades(self, **_: object) -> list[UserTrade]:
            reads.append(len(reads))
            begun.set()
            await free.wait()
            return []

    attention = Asking(Slow()).attention
    first = asyncio.create_task(attention._unbooked_trade(SPEC.symbol))
    await begun.wait()
    others = [asyncio.create_task(attention._unbooked_trade(SPEC.symbol)) for _ in range(3)]
    await asyncio.sleep(0)
    free.set()
    assert not any(await asyncio.gather(first, *others))
    assert len(reads) == 2, "the one that had begun says nothing of what was seen absent since"
