"""No next order before the end of the last is journaled: what proves an end may be taken back until then."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from house_at_venue import BTCUSDT, D, Life, Place, place

from pms.contract.names import HOUSE
from pms.domain.booking import apply_move
from pms.domain.orders import Seen, Voided
from pms.domain.posting import Posting
from pms.domain.unwind_debt import note_taken


@pytest_asyncio.fixture
async def life(redis_url: str) -> AsyncIterator[Life]:
    """The house has 10 to sell, and a worker was woken for its order."""
    async with place(redis_url) as exchange:
        found = await _owing(exchange)
        yield found
        await found.die()


async def _owing(exchange: Place) -> Life:
    life = Life(exchange.ours, [])
    await life.begin()
    await life.open()
    life.price(str((await exchange.mark()).quantize(D("0.1"))))
    take(life, 10)
    return life


def take(life: Life, quantity: int) -> None:
    """Let the house take something over, as a liquidation would count it."""
    draft = life.desk.draft("liquidation", at=life.now)
    desk = life.desk
    apply_move(desk, draft, desk.position(HOUSE, BTCUSDT), D(quantity), desk.tops[BTCUSDT].bid, at=life.now)
    note_taken(desk, draft, BTCUSDT, D(quantity))
    life.engine.outbox.add(Posting(entry=life.desk.sealed(draft).entry()))


async def test_a_void_order_is_followed_by_the_next_order(life: Life) -> None:
    (order,) = await life.look()
    life.now += 6_000
    life.engine.observe(order, Voided("its deadline passed before it was sent"))
    assert await life.look() == [], "counted first"
    assert await life.look() == [], "and waited for a quarter second"
    life.now += 250
    (after,) = await life.look()
    assert (after.quantity, order.state.terminal) == (10, True)


async def test_with_nothing_left_and_its_order_over_a_symbol_is_looked_at_no_more(life: Life) -> None:
    (order,) = await life.look()
    take(life, -10)
    assert await life.look() == []
    assert life.desk.unwinds[BTCUSDT].last_order == order.spec.client_order_id
    life.engine.observe(order, Seen(7, "NEW", D(0)))
    life.engine.observe(order, Seen(7, "CANCELED", D(0)))
    await life.look()
    assert life.desk.unwinds == {}
    reborn = Life(life.client, life.journal.entries)
    await reborn.begin()
    assert reborn.desk.unwinds == {}
    await reborn.die()
