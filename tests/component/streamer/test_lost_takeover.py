"""A takeover that Redis forgot, and whose unwinding the exchange has: the house does not buy back its sale.

    1  carol crosses her line: taken over on the tick, journaled, the house's order sent and filled
    2  the Redis host dies; its tail is lost with the takeover and the order
    3  the next life knows carol's position as hers. It finds the order at the exchange by its id, adopts it
       and books its trades: the house is short, and by its trades it has that much to buy back
    4  the next tick takes carol over again, which nets the house to nothing

Between 3 and 4 it must not buy: so accounts are judged at the prices there are before unwinding begins.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from house_at_venue import D, Life, Place, place

from pms.contract.names import HOUSE
from pms.domain.desk import Top


@pytest_asyncio.fixture
async def exchange(redis_url: str) -> AsyncIterator[Place]:
    async with place(redis_url) as found:
        yield found


async def forgotten(exchange: Place) -> tuple[Life, Life]:
    """Steps 1 to 3; the price of the moment is still to come."""
    mark = (await exchange.mark()).quantize(D("0.1"))
    for side, price in (("BUY", mark - 10), ("SELL", mark + 10)):
        await exchange.quote(side, "50", price)
    first = Life(exchange.ours, [])
    await first.begin()
    await first.open(carol="20000")
    await exchange.ours_by_hand("PMS_carol_M_1", "BUY", "10")
    await first.heard()
    assert first.held("carol") == 10
    remembered = len(first.journal.entries)
    first.price(str(mark - 2000))
    first.risk.begin()
    first.risk.ticked("BTCUSDT")
    assert (first.held("carol"), first.left()) == (0, 10)
    (order,) = await first.look()
    await first.send(order)
    assert (first.left(), await first.net()) == (0, 0)
    await first.die()
    second = Life(exchange.ours, first.journal.entries[:remembered])
    await second.begin()
    await second.heard()
    assert (second.held("carol"), second.held(HOUSE), second.left()) == (10, -10, -10)
    return first, second


async def test_what_the_house_sold_is_not_bought_back_before_the_takeover_is_judged_again(
    exchange: Place,
) -> None:
    first, second = await forgotten(exchange)
    second.price(str(first.desk.tops["BTCUSDT"].bid))
    second.risk.begin()
    assert await second.look() == []
    assert (second.held("carol"), second.held(HOUSE), second.left(), await second.net()) == (0, 0, 0, 0)
    await second.die()


async def test_a_price_that_comes_later_is_judged_before_the_house_may_go_by_it(exchange: Place) -> None:
    first, second = await forgotten(exchange)
    second.risk.begin()
    assert await second.look() == [], "no price, no order"
    second.price(str(first.desk.tops["BTCUSDT"].bid))
    second.risk.ticked("BTCUSDT")
    assert await second.look() == []
    assert (second.left(), await second.net()) == (0, 0)
    await second.die()


async def test_where_the_price_has_come_back_the_account_keeps_its_position_and_the_house_buys(
    exchange: Place,
) -> None:
    """The sale is real and the takeover is not: the house is truly short, and closes that."""
    _, second = await forgotten(exchange)
    second.price(str((await exchange.mark()).quantize(D("0.1"))))
    second.risk.begin()
    (order,) = await second.look()
    assert (order.spec.side, order.quantity) == ("BUY", 10)
    await second.send(order)
    assert (second.held("carol"), second.held(HOUSE), second.left()) == (10, 0, 0)
    assert await second.net() == 10
    await second.die()


async def test_a_symbol_without_a_price_holds_the_house_back_for_a_while_and_no_longer(
    exchange: Place,
) -> None:
    """Carol holds another symbol too, by whose price she may be taken over in this one as well."""
    _, second = await forgotten(exchange)
    other = second.desk.position("carol", "ETHUSDT")
    other.quantity, other.cost = D(1), D(3000)
    second.desk.touch_position(other)
    second.price(str((await exchange.mark()).quantize(D("0.1"))))
    second.risk.begin()
    second.unwinder.begin()
    assert await second.look() == []
    second.now += 4_999
    assert await second.look() == []
    second.now += 1
    assert len(await second.look()) == 1
    await second.die()


async def test_with_the_last_price_that_was_awaited_unwinding_begins(exchange: Place) -> None:
    _, second = await forgotten(exchange)
    other = second.desk.position("carol", "ETHUSDT")
    other.quantity, other.cost = D(1), D(3000)
    second.desk.touch_position(other)
    second.price(str((await exchange.mark()).quantize(D("0.1"))))
    second.risk.begin()
    second.unwinder.begin()
    second.desk.price("ETHUSDT", Top(D(3000), D(1), D(3001), D(1), second.now))
    second.risk.ticked("ETHUSDT")
    assert len(await second.look()) == 1
    await second.die()
