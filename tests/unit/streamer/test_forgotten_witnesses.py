"""The last witnesses of an order that has been missing for days: each can speak against its end."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pms.binance.errors import NotFound
from pms.domain.desk import Desk
from pms.domain.facts import Fact, Filled, Seen
from pms.domain.forgetting import EMPTY_KEPT_MS, LIST_STALE_MS, MARGIN_MS
from pms.domain.order_table import PRICE, SPEC
from pms.domain.orders import Order, State
from pms.streamer.forgotten import Forgotten

NUMBER = 7
LATER = EMPTY_KEPT_MS + 2 * MARGIN_MS


class Witnesses:
    """An exchange that says what the test lets it say."""

    def __init__(self) -> None:
        self.now = LATER
        self.listed: list[object] = []
        self.by_number: object | None = None
        self.trades: list[object] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.asked_for: list[tuple[str, object]] = []

    def exchange_now_ms(self) -> int:
        return self.now

    async def open_orders(self, **_: object) -> list[object]:
        return self.listed

    async def query_order(self, *, symbol: str, order_id: int) -> object:
        self.asked_for.append((symbol, order_id))
        if self.by_number is None:
            raise NotFound("Order does not exist.", code=-2013)
        return self.by_number

    async def user_trades(self, *, symbol: str, order_id: int) -> list[object]:
        self.asked_for.append((symbol, order_id))
        self.meanwhile()
        return self.trades


def answer(word: str) -> object:
    return SimpleNamespace(
        symbol=SPEC.symbol,
        order_id=NUMBER,
        client_order_id=SPEC.client_order_id,
        status=word,
        executed_qty=Decimal(0),
        orig_qty=SPEC.quantity,
        price=PRICE,
        update_time=1,
    )


def missed() -> tuple[Forgotten, Witnesses, Order]:
    """A resting order; nobody has looked for it yet."""
    desk, said = Desk(epoch="e"), Witnesses()
    order = Order(spec=SPEC, quantity=SPEC.quantity, price=SPEC.price)
    order.receive(Seen(NUMBER, "NEW", Decimal(0)))
    desk.orders[SPEC.client_order_id] = desk.live[SPEC.client_order_id] = order

    def observe(order: Order, fact: Fact, **_: object) -> None:
        order.receive(fact)

    engine = cast(Any, SimpleNamespace(desk=desk, observe=observe))
    return Forgotten(engine, cast(Any, said)), said, order


async def read_twice(forgotten: Forgotten, said: Witnesses, *, apart_ms: int = LIST_STALE_MS) -> None:
    await forgotten.open_orders()
    said.now += apart_ms
    await forgotten.open_orders()


async def test_all_of_them_together_end_it() -> None:
    forgotten, said, order = missed()
    await read_twice(forgotten, said)
    assert await forgotten.settles(order)
    assert order.state is State.CANCELLED
    assert said.asked_for == [(SPEC.symbol, NUMBER)] * 2


@pytest.mark.parametrize("apart_ms", [0, LIST_STALE_MS - 1])
async def test_two_lists_that_may_be_one_end_nothing(apart_ms: int) -> None:
    forgotten, said, order = missed()
    await read_twice(forgotten, said, apart_ms=apart_ms)
    assert not await forgotten.settles(order)
    assert (order.state, said.asked_for) == (State.ACTIVE, [])


async def test_a_list_that_shows_it_begins_the_count_anew() -> None:
    forgotten, said, order = missed()
    await forgotten.open_orders()
    said.now += LIST_STALE_MS
    said.listed = [answer("NEW")]
    await forgotten.open_orders()
    said.listed = []
    await forgotten.open_orders()
    assert not await forgotten.settles(order)


async def test_a_trade_that_names_it_ends_nothing() -> None:
    forgotten, said, order = missed()
    await read_twice(forgotten, said)
    said.trades = [object()]
    assert not await forgotten.settles(order)
    assert order.state is State.ACTIVE


async def test_a_trade_heard_while_they_are_asked_ends_nothing() -> None:
    forgotten, said, order = missed()
    await read_twice(forgotten, said)
    said.meanwhile = lambda: order.receive(Filled(NUMBER, Decimal(1), PRICE))
    assert not await forgotten.settles(order)
    assert order.state is State.PARTIALLY_FILLED


@pytest.mark.parametrize("word", ["NEW", "EXPIRED"])
async def test_found_by_the_exchange_s_id_it_is_what_the_exchange_says(word: str) -> None:
    forgotten, said, order = missed()
    await read_twice(forgotten, said)
    said.by_number = answer(word)
    assert await forgotten.settles(order)
    assert order.word == word
