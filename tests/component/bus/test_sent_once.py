"""A batch and an amendment from a real Redis to a real venue: what was not won is not in the bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest
import pytest_asyncio
from chain import Chain, order, redis_ms
from pydantic import SecretStr
from redis.asyncio import Redis

from pms.binance.client import ExchangeClient, open_session
from pms.binance.errors import Throttled
from pms.binance.limits import RateBudget
from pms.bus.inbox import Inbox, Outcome
from pms.bus.rights import Right, Rights
from pms.contract.journal import Rows
from pms.flows.amend import amend
from pms.flows.batch import place_all
from pms.flows.place import Placing, place
from pms.venue.app import AccountSpec, VenueConfig, serve

PRICE = Decimal(59_000)


@pytest_asyncio.fixture
async def placing(redis: Redis) -> AsyncIterator[Placing]:
    account = AccountSpec("demo", "key", SecretStr("secret"), Decimal(100_000))
    venue = await serve(VenueConfig(accounts=(account,), port=0))
    session = open_session()
    budget = RateBudget(redis, share=Decimal(1), monotonic=time.monotonic)
    client = ExchangeClient(
        base_url=venue.url,
        api_key="key",
        api_secret="secret",
        session=session,
        clock_ms=lambda: time.time_ns() // 1_000_000,
        budget=budget,
    )
    await client.sync_time()
    yield Placing(
        redis=redis,
        client=client,
        rights=Rights(redis, sender="worker"),
        inbox=Inbox(redis),
        sender="worker",
        recv_window_ms=2000,
        sleep=asyncio.sleep,
    )
    await budget.close()
    await session.close()
    await venue.close()


async def outcomes(placing: Placing) -> dict[str, str]:
    messages = await placing.inbox.rest()
    return {each.client_order_id: each.word for each in messages if isinstance(each, Outcome)}


async def test_an_order_that_another_sender_has_is_left_out(chain: Chain, placing: Placing) -> None:
    ids = [await chain.order(f"PMS_a_B{n}_x", quantity=Decimal("0.01"), price=PRICE - n) for n in range(4)]
    ids.append(await chain.order("PMS_a_B4_x", quantity=Decimal("0.0001"), price=PRICE))
    late = await chain.order("PMS_a_B5_x", price=PRICE, deadline=1)
    await Rights(placing.redis, sender="streamer").take(ids[1], signed_at=1)
    await placing.rights.close(ids[2], signed_at=None, nonce=chain.nonce)

    rights = await place_all(placing, [*ids, late])
    assert rights == [Right.WON, Right.TAKEN, Right.VOID, Right.WON, Right.WON, Right.LATE]
    listed = {each.client_order_id for each in await placing.client.open_orders("BTCUSDT")}
    assert listed == {ids[0], ids[3]}
    assert await outcomes(placing) == {ids[0]: "accepted", ids[3]: "accepted", ids[4]: "refused"}
    assert set(await place_all(placing, ids)) == {Right.TAKEN, Right.VOID}


async def test_what_nobody_may_send_any_more_waits_for_no_room(chain: Chain, placing: Placing) -> None:
    slept = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.set()
        await asyncio.sleep(seconds)

    placing = replace(placing, sleep=sleep)
    terms = {"quantity": Decimal("0.01"), "price": PRICE}
    sent, closed, held = [await chain.order(f"PMS_a_M{n}_x", **terms) for n in range(3)]
    await Rights(placing.redis, sender="streamer").take(sent, signed_at=1)
    await placing.rights.close(closed, signed_at=None, nonce=chain.nonce)
    late = await chain.order("PMS_a_M3_x", price=PRICE, deadline=1)
    placing.client._budget.block(60.0, orders_only=False)
    with pytest.raises(Throttled):
        await placing.client.room_for_order(account="a", lane="open")
    found = [await place(placing, coid) for coid in (sent, closed, late)]
    assert found == [Right.TAKEN, Right.VOID, Right.LATE]
    assert not slept.is_set()

    waiting = asyncio.create_task(place(placing, held))
    async with asyncio.timeout(30):
        await slept.wait()
    await Rights(placing.redis, sender="streamer").take(held, signed_at=1)
    assert await waiting is Right.TAKEN


async def test_an_order_that_is_over_while_a_batch_waits_takes_none_with_it(
    chain: Chain, placing: Placing
) -> None:
    slept = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.set()
        await asyncio.sleep(seconds)

    placing = replace(placing, sleep=sleep)
    ids = [await chain.order(f"PMS_a_B{n}_x", quantity=Decimal("0.01"), price=PRICE - n) for n in range(3)]
    placing.client._budget.block(2.0, orders_only=False)
    waiting = asyncio.create_task(place_all(placing, ids))
    async with asyncio.timeout(30):
        await slept.wait()
    await placing.rights.close(ids[0], signed_at=None, nonce=chain.nonce)
    assert await waiting == [Right.VOID, Right.WON, Right.WON]
    listed = {each.client_order_id for each in await placing.client.open_orders("BTCUSDT")}
    assert listed == set(ids[1:])


async def test_an_amendment_is_sent_once_whoever_is_asked(chain: Chain, placing: Placing) -> None:
    terms = {"quantity": Decimal("0.01"), "price": PRICE, "epoch": chain.nonce}
    coid = await chain.order("PMS_a_M_x", **terms)
    assert await place(placing, coid) is Right.WON
    assert await amend(placing, coid) is Right.UNKNOWN, "nothing is wished"
    wish = {"amends": 1, "amend_quantity": Decimal("0.02"), "amend_price": PRICE - 10}
    until = {"amend_epoch": chain.nonce, "amend_deadline": await redis_ms(placing.redis) + 60_000}
    row = order(coid, **{**terms, **wish, **until, "state": "active", "deadline": 1})
    await chain.write(rows=Rows(orders=(row,)))

    given = await asyncio.gather(*(amend(placing, coid) for _ in range(8)))
    assert sorted(given) == [Right.TAKEN] * 7 + [Right.WON]
    [found] = await placing.client.open_orders("BTCUSDT")
    assert (found.orig_qty, found.price) == (Decimal("0.02"), PRICE - 10)
    assert (await outcomes(placing))[f"{coid}~1"] == "accepted"
