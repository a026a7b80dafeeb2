"""Closing a send right: what was never given, or the one that is proven unused; never another's."""

from __future__ import annotations

import pytest
from chain import Chain
from redis.asyncio import Redis

from pms.bus.rights import Right, Rights
from pms.contract import names


@pytest.mark.parametrize(
    ("given", "expected", "closed"),
    [(None, None, True), (None, 7, True), (7, 7, True), (7, None, False), (8, 7, False), (77, 7, False)],
)
async def test_only_the_right_that_was_meant_is_closed(
    chain: Chain, redis: Redis, given: int | None, expected: int | None, closed: bool
) -> None:
    order = await chain.order()
    rights = Rights(redis, sender="a")
    if given is not None:
        assert await rights.take(order, signed_at=given) is Right.WON
    assert await rights.close(order, signed_at=expected, nonce=chain.nonce) is closed
    assert await rights.taken([order]) == [0 if closed else given]
    assert await rights.close(order, signed_at=expected, nonce=chain.nonce) is closed, "asked again"
    assert await rights.take(order, signed_at=9, unused=given) is (Right.VOID if closed else Right.WON)


async def test_it_stays_closed_longer_than_any_repeat_may_come(chain: Chain, redis: Redis) -> None:
    order = await chain.order()
    await Rights(redis, sender="a").close(order, signed_at=None, nonce=chain.nonce)
    assert await redis.ttl(names.right_key(order)) > names.REQUEST_TTL_S


async def test_one_that_was_renewed_is_not_the_one_that_was_proven_unused(chain: Chain, redis: Redis) -> None:
    order = await chain.order()
    rights = Rights(redis, sender="a")
    assert await rights.take(order, signed_at=7) is Right.WON
    assert await rights.take(order, signed_at=8, unused=7) is Right.WON
    assert not await rights.close(order, signed_at=7, nonce=chain.nonce)
    assert await rights.taken([order]) == [8]


async def test_nobody_closes_it_who_does_not_lead(chain: Chain, redis: Redis) -> None:
    order = await chain.order()
    assert not await Rights(redis, sender="a").close(order, signed_at=None, nonce="an older one")
    assert await Rights(redis, sender="a").take(order, signed_at=7) is Right.WON


async def test_a_redis_that_may_have_forgotten_what_was_given_closes_nothing(
    chain: Chain, redis: Redis
) -> None:
    order = await chain.order()
    await redis.hset(names.EPOCH, "run_id", "the life before")  # type: ignore[misc]
    assert not await Rights(redis, sender="a").close(order, signed_at=7, nonce=chain.nonce)
    assert await Rights(redis, sender="a").taken([order]) == [None]
