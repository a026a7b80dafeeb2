"""What the exchange's own margin and position limits do to the house's orders, on a venue that has both.

The exchange judges the net of all. An order of the house that reduces it is never refused; one that opens on
it, for a sibling's position was its other half, is an order like any other's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest_asyncio
from house_at_venue import BTCUSDT, D, Life, Place, place

from pms.contract.money import decode_object
from pms.domain.unwind_debt import REFUSED

OPENING_CAP = D(300_000)
"""The largest position at the highest leverage of BTCUSDT, 150: PROTOCOL 9.1."""


@pytest_asyncio.fixture
async def exchange(redis_url: str) -> AsyncIterator[Place]:
    async with place(redis_url) as found:
        yield found


async def taken_over(exchange: Place, *, siblings: str) -> tuple[Life, Decimal]:
    """The house has 10 of carol's to sell; dave holds what `siblings` says, and with hers it is the net."""
    mark = (await exchange.mark()).quantize(D("0.1"))
    for side, price in (("BUY", mark - 10), ("SELL", mark + 10)):
        await exchange.quote(side, "60", price)
    life = Life(exchange.ours, [])
    await life.begin()
    await life.open(carol="20000", dave="500000")
    await exchange.ours_by_hand("PMS_carol_M_1", "BUY", "10")
    if siblings != "0":
        await exchange.ours_by_hand("PMS_dave_M_1", "SELL", siblings)
    await life.heard()
    life.price(str(mark - 2000))
    life.risk.begin()
    assert (life.held("carol"), life.left()) == (0, 10)
    return life, mark


async def test_what_reduces_at_the_exchange_is_taken_without_margin_and_beyond_every_limit(
    exchange: Place,
) -> None:
    life, _ = await taken_over(exchange, siblings="0")
    life.desk.headroom.available = D(0)
    (wallet,) = [row.balance for row in await exchange.ours.balances() if row.asset == "USDT"]
    exchange.drain_wallet(wallet - 1)
    (order,) = await life.look()
    assert order.quantity == 10
    await life.send(order)
    assert (life.left(), await life.net()) == (0, 0)
    assert life.desk.unwinds.get(BTCUSDT) is None
    await life.die()


async def test_what_opens_there_meets_the_position_limit_and_goes_as_far_as_that(exchange: Place) -> None:
    """-2027: half as much until it fits, and no further; an operator is told, and the rest is not lost."""
    life, mark = await taken_over(exchange, siblings="10")
    assert await life.net() == 0
    await exchange.ours.set_leverage(BTCUSDT, 150)
    sizes = []
    for _ in range(60):
        life.now += 5_000
        for order in await life.look():
            await life.send(order)
            sizes.append((order.quantity, order.filled_qty > 0))
    assert sizes[0] == (10, False)
    sold = sum((quantity for quantity, filled in sizes if filled), D(0))
    assert sold == -await life.net() == 10 - life.left()
    assert OPENING_CAP / 2 < sold * mark <= OPENING_CAP, "to more than half of what it may hold"
    incident = life.desk.incidents.get(REFUSED, BTCUSDT)
    assert incident is not None
    assert decode_object(incident.evidence)["code"] == -2027
    # Dave reduces: the net is free again, and the house goes on by itself.
    await exchange.ours_by_hand("PMS_dave_M_2", "BUY", "8")
    await life.heard()
    for _ in range(30):
        life.now += 30_000
        for order in await life.look():
            await life.send(order)
    assert (life.left(), life.held("house"), life.held("dave"), await life.net()) == (0, 0, -2, -2)
    assert life.desk.incidents.get(REFUSED, BTCUSDT) is None
    await life.die()
