"""Closing a send right: what was never given, or the one that is proven unused; never another's."""

from __future__ import annotations

import pytest
from chain import Chain
from redis.asyncio import Redis

from pms.bus.rights import Right, Rights
from pms.contract import names


@pytest.mark.parametrize(
    ("given", "expected", "closed"),
    [(None, None, True), (None, 7, True), (7, 7, True), (7, None, False), (8, 7, False)],
)
async def test_only_the_right_that_was_meant_is_closed(
    chain: Chain, redis: Redis, given: int | None, expected: int | None, closed: bool
) -> None:
    order = await chain.order()
    rights = Rights(redis, sender="a")
    if given is not None:
        assert await rights.take(order, signed_at=given) is Right.WON
    assert await rights.close(order, signed_at=expected) is closed
    assert await rights.taken([order]) == [0 if closed else given]
    assert await rights.close(order, signed_at=expected) is closed, "asked again"
    assert await rights.take(order, signed_at=9, unused=given) is (Right.VOID if closed else Right.WON)


async def test_it_stays_closed_longer_than_any_repeat_may_come(chain: Chain, redis: Redis) -> None:
    order = await chain.order()
    await Rights(redis, sender="a").close(order, signed_at=None)
    assert await redis.ttl(names.right_key(order)) > names.REQUEST_TTL_S
