"""The send right against a real Redis: given once, in time, in this epoch, while nothing is halted."""

from __future__ import annotations

import asyncio

import pytest
from chain import Chain, epoch_of, redis_ms
from redis.asyncio import Redis

from pms.bus.rights import Right, Rights
from pms.contract import names


async def test_of_fifty_senders_at_once_one_wins(chain: Chain, redis: Redis) -> None:
    order_id = await chain.order()
    senders = [Rights(redis, sender=f"worker:{n}") for n in range(50)]
    given = await asyncio.gather(*(one.take(order_id, signed_at=n) for n, one in enumerate(senders)))
    assert sorted(given) == [Right.TAKEN] * 49 + [Right.WON]
    assert await senders[0].taken([order_id]) == [given.index(Right.WON)]


async def test_the_right_is_kept_longer_than_any_repeat_may_come(chain: Chain, redis: Redis) -> None:
    order_id = await chain.order()
    await Rights(redis, sender="a").take(order_id, signed_at=1)
    assert await redis.ttl(names.right_key(order_id)) > names.REQUEST_TTL_S


async def test_an_order_that_nobody_admitted_is_never_sent(chain: Chain, redis: Redis) -> None:
    assert await Rights(redis, sender="a").take("PMS_alice_M_nobody", signed_at=1) is Right.UNKNOWN


async def test_the_deadline_is_judged_by_the_time_of_redis(chain: Chain, redis: Redis) -> None:
    now = await redis_ms(redis)
    over, ahead = (
        await chain.order("over", deadline=now - 1),
        await chain.order("ahead", deadline=now + 60_000),
    )
    sender = Rights(redis, sender="a")
    assert await sender.take(over, signed_at=now - 100_000) is Right.LATE
    assert await sender.take(ahead, signed_at=now + 100_000) is Right.WON
    assert await sender.taken([over]) == [None]


@pytest.mark.parametrize(
    ("halt", "alice", "bob"),
    [
        (names.HALT, Right.HALTED, Right.HALTED),
        (f"{names.HALT}:alice", Right.HALTED, Right.WON),
        (f"{names.HALT}:al", Right.WON, Right.WON),
    ],
)
async def test_a_halt_stops_all_or_one_sub_account(
    chain: Chain, redis: Redis, halt: str, alice: Right, bob: Right
) -> None:
    await redis.set(halt, "1")
    sender = Rights(redis, sender="a")
    for account, expected in (("alice", alice), ("bob", bob)):
        order_id = await chain.order(f"PMS_{account}_M_1", sub_account_id=account)
        assert await sender.take(order_id, signed_at=1) is expected


async def test_no_halt_stops_the_orders_of_a_liquidation(chain: Chain, redis: Redis) -> None:
    sender = Rights(redis, sender="a")
    for halt in (names.HALT, f"{names.HALT}:alice"):
        await redis.set(halt, '{"mode":"HALTED"}')
    for origin, expected in (("LIQUIDATION", Right.WON), ("MANUAL", Right.HALTED)):
        order_id = await chain.order(f"PMS_alice_L_{origin}", sub_account_id="alice", origin=origin)
        assert await sender.take(order_id, signed_at=1) is expected


async def test_an_order_of_an_older_epoch_is_never_sent(chain: Chain, redis: Redis) -> None:
    order_id = await chain.order()
    await epoch_of(redis, "two")
    assert await Rights(redis, sender="a").take(order_id, signed_at=1) is Right.EPOCH
    await redis.delete(names.EPOCH)
    assert await Rights(redis, sender="a").take(order_id, signed_at=1) is Right.EPOCH


async def test_a_right_given_stays_given_whatever_comes(chain: Chain, redis: Redis) -> None:
    order_id = await chain.order()
    sender = Rights(redis, sender="a")
    assert await sender.take(order_id, signed_at=1) is Right.WON
    await redis.set(names.HALT, "1")
    await epoch_of(redis, "two")
    assert await sender.take(order_id, signed_at=1) is Right.TAKEN


async def test_only_the_same_sender_renews_and_only_the_very_right_that_was_refused(
    chain: Chain, redis: Redis
) -> None:
    order_id = await chain.order()
    one, other = Rights(redis, sender="worker:1"), Rights(redis, sender="worker:11")
    assert await one.take(order_id, signed_at=100) is Right.WON
    assert await one.take(order_id, signed_at=200) is Right.TAKEN, "without a proof"
    assert await other.take(order_id, signed_at=200, unused=100) is Right.TAKEN
    assert await one.take(order_id, signed_at=200, unused=10) is Right.TAKEN
    assert await one.take(order_id, signed_at=200, unused=100) is Right.WON
    assert await one.take(order_id, signed_at=300, unused=100) is Right.TAKEN, "the proof is used up"
    assert await one.taken([order_id]) == [200]


async def test_a_halt_stops_a_renewal_too(chain: Chain, redis: Redis) -> None:
    order_id = await chain.order()
    sender = Rights(redis, sender="a")
    assert await sender.take(order_id, signed_at=100) is Right.WON
    await redis.set(names.HALT, "1")
    assert await sender.take(order_id, signed_at=200, unused=100) is Right.HALTED
