"""An order that ended while nobody listened, on a real venue whose clock is days ahead of its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import pytest_asyncio
from house_at_venue import BTCUSDT, D, Life, Place, place

from pms.domain.forgetting import EMPTY_KEPT_MS, LIST_STALE_MS, MARGIN_MS
from pms.domain.orders import Order, State

MINUTE_MS = 60_000


class Ahead:
    """A clock that the test moves on, of the venue and of its client alike."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self.ms = 0

    def __call__(self) -> int:
        return self._clock() + self.ms


@pytest_asyncio.fixture
async def venue(redis_url: str) -> AsyncIterator[tuple[Place, Ahead]]:
    async with place(redis_url) as there:
        core = there.venue.venue
        clock = Ahead(core.clock)
        core.clock = core.exchange.clock = clock
        yield there, clock


async def resting(there: Place, *, filled: str | None = None) -> tuple[Life, Order]:
    """A life with an order of alice's that rests at the venue, and that the venue ends unheard."""
    life = Life(there.ours, [])
    await life.begin()
    await life.open(alice="10000")
    price = (await there.mark() * D("0.98")).quantize(D(1))
    life.price(str(price + 100))
    command = {"symbol": BTCUSDT, "side": "BUY", "quantity": "0.01", "type": "LIMIT", "price": str(price)}
    posting = life.command("pms.trade", subAccountId="alice", leverage=10, **command)
    order = life.desk.orders[posting.entry.rows.orders[0].client_order_id]
    await life.send(order)
    assert order.state is State.ACTIVE
    if filled is not None:
        await there.quote("SELL", filled, price)
    await there.ours.cancel(symbol=BTCUSDT, client_order_id=order.spec.client_order_id)
    return life, order


async def look(life: Life, there: Place, clock: Ahead, *, later_ms: int) -> None:
    """The streamer compares itself with the exchange, so much later."""
    clock.ms += later_ms
    await there.ours.sync_time()
    life.now += later_ms
    await life.catch_up.unlisted()
    await life.engine.outbox.drained()


def alarmed(life: Life, order: Order) -> bool:
    return life.desk.incidents.get("order_vanished", order.spec.client_order_id) is not None


async def test_it_is_proven_over_by_two_lists_and_leaves_nothing_behind(venue: tuple[Place, Ahead]) -> None:
    there, clock = venue
    first, placed = await resting(there)
    await first.die()
    life = Life(there.ours, first.journal.entries)
    await life.begin()
    order = life.desk.orders[placed.spec.client_order_id]
    before = life.desk.snapshot("alice").margin_used
    await look(life, there, clock, later_ms=EMPTY_KEPT_MS + 2 * MARGIN_MS)
    assert (order.state, alarmed(life, order)) == (State.ACTIVE, True), "one list may be stale"
    await look(life, there, clock, later_ms=LIST_STALE_MS // 2)
    assert order.state is State.ACTIVE, "so may two that are read at once"
    await look(life, there, clock, later_ms=MINUTE_MS)
    assert (order.state, alarmed(life, order)) == (State.CANCELLED, False)
    assert order.why is not None
    assert order.why.startswith("proven: ")
    assert before > 0 == life.desk.snapshot("alice").margin_used
    await life.die()
    last = Life(there.ours, life.journal.entries)
    await last.begin()
    known = last.desk.orders[order.spec.client_order_id]
    assert (known.state, known.why) == (State.CANCELLED, order.why)
    await last.die()


async def test_while_the_exchange_remembers_it_its_own_word_counts(venue: tuple[Place, Ahead]) -> None:
    there, clock = venue
    life, order = await resting(there)
    await look(life, there, clock, later_ms=EMPTY_KEPT_MS // 2)
    assert (order.state, order.why) == (State.CANCELLED, None)
    await life.die()


async def test_a_trade_that_nobody_heard_of_is_booked_however_old_it_is(venue: tuple[Place, Ahead]) -> None:
    there, clock = venue
    life, order = await resting(there, filled="0.004")
    for later_ms in (EMPTY_KEPT_MS + 2 * MARGIN_MS, MINUTE_MS):
        await look(life, there, clock, later_ms=later_ms)
        await life.heard()
    assert (order.filled_qty, order.state, order.why) == (Decimal("0.004"), State.CANCELLED, None)
    assert life.held("alice") == D("0.004")
    await life.die()
