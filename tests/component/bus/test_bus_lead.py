"""The lease against a real Redis: one nonce leads, and knows when it no longer does."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from pms.bus.lead import LEASE_MS, Epoch, Lead, NotLeading
from pms.contract import names


async def test_of_two_one_leads_until_its_lease_runs_out(redis: Redis) -> None:
    one, two = Lead(redis, nonce="one"), Lead(redis, nonce="two")
    assert await one.take()
    assert not await two.take()
    assert await one.take(), "taking again what one has is no failure"
    assert 0 < await redis.pttl(names.LEASE) <= LEASE_MS
    await redis.pexpire(names.LEASE, 0)
    assert await two.take()
    assert not await one.take()


async def test_renewing_prolongs_and_tells_the_life_of_redis(redis: Redis) -> None:
    lead = Lead(redis, nonce="one")
    await lead.take()
    await redis.pexpire(names.LEASE, 1000)
    run_id = await lead.renew()
    assert run_id == (await redis.info("server"))["run_id"]
    assert await redis.pttl(names.LEASE) > 1000


async def test_who_lost_the_lease_can_do_nothing_with_it(redis: Redis) -> None:
    old, new = Lead(redis, nonce="old"), Lead(redis, nonce="new")
    await old.take()
    await redis.delete(names.LEASE)
    with pytest.raises(NotLeading):
        await old.renew()
    await new.take()
    await new.open()
    for attempt in (old.renew(), old.open(), old.begin_from(7)):
        with pytest.raises(NotLeading):
            await attempt
    await old.leave()
    assert await redis.get(names.LEASE) == b"new", "leaving frees only one's own lease"
    assert await redis.hget(names.EPOCH, "nonce") == b"new"


async def test_opening_an_epoch_ends_the_one_before(redis: Redis) -> None:
    one = Lead(redis, nonce="one")
    await one.take()
    first = await one.open()
    await one.begin_from(41)
    assert await redis.hget(names.EPOCH, "base") == b"41"
    await one.leave()
    two = Lead(redis, nonce="two")
    await two.take()
    assert await two.open() == Epoch("two", first.run_id)
    assert await redis.hget(names.EPOCH, "base") == b"0"


async def test_a_life_of_redis_is_known_only_once_a_streamer_has_said_so(redis: Redis) -> None:
    """One that led and died before it had asked the exchange vouches for nothing."""
    one = Lead(redis, nonce="one")
    await one.take()
    opened = await one.open()
    assert await one.remembered() is None
    await one.all_known(forgot=False)
    assert await one.forgetful() is None
    await one.leave()
    two = Lead(redis, nonce="two")
    await two.take()
    await two.open()
    assert await two.remembered() == opened.run_id
    with pytest.raises(NotLeading):
        await one.all_known(forgot=True)
    assert await two.forgetful() is None
    await two.all_known(forgot=True)
    forgetful = await two.forgetful()
    assert forgetful is not None
    life, at = forgetful
    assert life == opened.run_id
    assert abs(at - (await redis.time())[0] * 1000) <= 2000
