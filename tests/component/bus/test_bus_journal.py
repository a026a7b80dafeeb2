"""The journal script against a real Redis: in order, once, guarded, and only by the one that leads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from chain import Chain, decision, epoch_of, event, order, redis_ms, result
from lossy import LossySocket
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.bus.connection import connect
from pms.bus.journal import Journal
from pms.bus.lead import Lead, NotLeading
from pms.bus.requests import Requests
from pms.bus.rights import Right, Rights
from pms.contract import names
from pms.contract.journal import Rows
from pms.domain.posting import Undecided
from pms.stack.servers.redis import EmbeddedRedis

TRADE = "pms.trade"


def rights(redis: Redis, sender: str = "worker:1") -> Rights:
    return Rights(redis, sender=sender)


async def asked(requests: Requests, **more: Any) -> Undecided:
    """A recorded command, and the guard of its decision."""
    request_id = str(uuid4())
    await requests.submit(TRADE, {"requestId": request_id, **more}, door="test")
    record = await requests.read(request_id)
    assert record is not None
    return Undecided(request_id, record.deadline)


# --- order and effects ---


async def test_an_entry_stands_under_its_own_seq_with_all_that_leaves_with_it(
    chain: Chain, redis: Redis, requests: Requests
) -> None:
    guard = await asked(requests)
    rows = Rows(
        orders=(order("PMS_alice_M_1", epoch="one", deadline=9),), commands=(decision(guard.request_id),)
    )
    answer = result(guard.request_id, state="active")
    async with redis.pubsub() as heard:
        await heard.subscribe("pms:decided", "pms:events:order_active", names.result_key(guard.request_id))
        assert await chain.write(rows=rows, guard=guard, events=(event(1),), results=(answer,))
        told = []
        while len(told) < 3:
            message = await heard.get_message(ignore_subscribe_messages=True, timeout=1)
            told += [message["channel"].decode()] if message else []
    assert told == ["pms:decided", "pms:events:order_active", names.result_key(guard.request_id)]
    assert await chain.journal.last_seq() == 1
    assert (await redis.hget("pms:order:PMS_alice_M_1", "state"), await redis.get("pms:risk:alice")) != (
        None,
        None,
    )
    assert [stream_id for stream_id, _ in await redis.xrange(names.EVENTS_STREAM)] == [b"1-0"]
    record = await requests.read(guard.request_id)
    assert record is not None
    assert (record.decision, record.orders) == ("admitted", ["PMS_alice_M_1"])
    assert json.loads(record.order or b"")["price"] == "50000.10"
    assert json.loads(record.result or b"")["state"] == "active"
    assert await redis.zcard(names.OPEN_REQUESTS) == 0


async def test_a_closed_order_is_forgotten_in_time_and_a_live_one_never(chain: Chain, redis: Redis) -> None:
    for order_id, state in (("live", "active"), ("over", "filled")):
        await chain.order(order_id, state=state)
    assert await redis.ttl(names.order_key("live")) == -1
    assert await redis.ttl(names.order_key("over")) > 0


async def test_a_gap_stops_the_writer_and_writes_nothing(chain: Chain, redis: Redis) -> None:
    await chain.write()
    chain.seq += 1
    with pytest.raises(NotLeading, match="gap"):
        await chain.write(rows=Rows(orders=(order("PMS_alice_M_1", epoch="one", deadline=9),)))
    assert await chain.entries() == 1
    assert not await redis.exists(names.order_key("PMS_alice_M_1"))


async def test_another_entry_under_a_seq_that_is_taken_is_a_gap(chain: Chain) -> None:
    await chain.write(kind="first")
    chain.seq -= 1
    with pytest.raises(NotLeading, match="gap"):
        await chain.write(kind="second")
    assert await chain.kinds() == ["first"]


async def test_a_wrong_id_within_a_batch_is_an_error(chain: Chain) -> None:
    await chain.write()
    twice = chain.posting()
    with pytest.raises(RedisError, match="equal or smaller"):
        await chain.journal.append([twice, twice])
    assert await chain.journal.last_seq() == 2


async def test_a_lost_tail_is_bridged_by_the_seq_that_the_epoch_began_from(chain: Chain) -> None:
    await chain.write()
    await chain.lead.begin_from(1000)
    chain.seq = 1000
    assert await chain.write()
    assert await chain.journal.last_seq() == 1001
    chain.seq = 1000
    with pytest.raises(NotLeading, match="gap"):
        await chain.write(kind="again from the base")


async def test_trimming_leaves_the_entry_that_carries_the_chain(chain: Chain) -> None:
    for _ in range(300):
        chain.posting()
    await chain.lead.begin_from(300)
    await chain.journal.append([chain.posting() for _ in range(300)])
    await chain.journal.trim(chain.seq)
    assert await chain.journal.last_seq() == 600
    assert await chain.write()


# --- who may write ---


async def test_another_nonce_stops_the_writer(chain: Chain, redis: Redis) -> None:
    await chain.write()
    await epoch_of(redis, "two")
    with pytest.raises(NotLeading, match="nonce"):
        await chain.write()
    assert await chain.entries() == 1


async def test_a_restarted_redis_stops_the_writer(own_server: EmbeddedRedis) -> None:
    redis = connect(own_server.url, name="test")
    chain = Chain(redis, await epoch_of(redis, "one"))
    order_id = await chain.order()
    own_server.stop()
    own_server.start()
    with pytest.raises((RedisError, OSError)):
        await chain.write()  # the connection of before
    chain.seq = 1
    with pytest.raises(NotLeading, match="run_id"):
        await chain.write()
    assert await chain.entries() == 1, "the append-only file kept what was written, and nothing came"
    assert await rights(redis).take(order_id, signed_at=1) is Right.EPOCH
    assert (await Lead(redis, nonce="one").open()).run_id
    chain.seq = 1
    assert await chain.write()
    await redis.aclose()


# --- a lost reply ---


async def test_after_a_lost_reply_the_same_call_finds_itself_written(
    chain: Chain, redis: Redis, redis_server: EmbeddedRedis, requests: Requests, servers_dir: Path
) -> None:
    guard, late = await asked(requests), Undecided(str(uuid4()), 0)
    async with LossySocket(servers_dir / "lossy.sock", redis_server._socket) as socket:
        doubtful = connect(socket.url, name="doubtful", timeout_s=5)
        journal = Journal(doubtful, nonce="one")
        await journal.append([chain.posting()])
        batch = [
            chain.posting(
                guard=guard,
                rows=Rows(commands=(decision(guard.request_id),)),
                results=(result(guard.request_id),),
            ),
            chain.posting(guard=late),
        ]
        socket.losing = True
        with pytest.raises((RedisError, OSError)):
            await journal.append(batch)
        assert socket.lost == 1
        socket.losing = False
        before = await chain.journal.tail(0)
        assert await journal.append(batch) == [True, False]
        assert await journal.append(batch) == [True, False]
        await doubtful.aclose()
    assert await chain.journal.tail(0) == before
    assert [entry.kind for entry in before] == ["test", "test", "otherwise"]


async def test_what_has_no_guard_stands_though_it_was_trimmed_before_the_call_came_again(
    chain: Chain,
) -> None:
    batch = [chain.posting() for _ in range(12)]
    await chain.journal.append(batch)
    await chain.journal.trim(chain.seq)
    assert await chain.journal.append(batch) == [True] * 12


# --- guards ---


async def test_a_command_is_decided_once(chain: Chain, requests: Requests) -> None:
    guard = await asked(requests)
    first = Rows(commands=(decision(guard.request_id, word="refused", answer='"first"'),))
    other = Rows(commands=(decision(guard.request_id),))
    assert await chain.write(guard=guard, rows=first)
    assert not await chain.write(guard=guard, rows=other)
    record = await requests.read(guard.request_id)
    assert record is not None
    assert (record.decision, record.answer) == ("refused", b'"first"')
    assert await chain.kinds() == ["test", "otherwise"]


async def test_nothing_is_decided_after_the_deadline_but_by_who_claimed_it(
    chain: Chain, redis: Redis, requests: Requests
) -> None:
    late, claimed, anothers = [await asked(requests) for _ in range(3)]
    assert await requests.claim(claimed.request_id, nonce=chain.nonce)
    await redis.hset(names.request_key(anothers.request_id), "claimed", "two")
    over = await redis_ms(redis) - 1
    held = [await chain.write(guard=Undecided(guard.request_id, over)) for guard in (late, claimed, anothers)]
    assert held == [False, True, False]


async def test_one_failed_guard_leaves_the_rest_of_a_batch_alone(chain: Chain, requests: Requests) -> None:
    late = Undecided(str(uuid4()), 0)
    batch = [chain.posting(kind="before"), chain.posting(guard=late)]
    batch += [chain.posting(kind="decided", guard=await asked(requests)), chain.posting(kind="behind")]
    assert await chain.journal.append(batch) == [True, False, True, True]
    assert await chain.kinds() == ["before", "otherwise", "decided", "behind"]


async def test_a_result_is_written_once(chain: Chain, requests: Requests, redis: Redis) -> None:
    guard = await asked(requests)
    first, second = (result(guard.request_id, state=state) for state in ("active", "filled"))
    assert await chain.write(results=(first,))
    assert await chain.write(results=(second,))
    assert await requests.answer(second, nonce=chain.nonce) == "again"
    record = await requests.read(guard.request_id)
    assert record is not None
    assert json.loads(record.result or b"")["state"] == "active"
    assert json.loads(await redis.get(names.result_key(guard.request_id)) or b"")["state"] == "active"
