"""Records against a real Redis: one command however often it comes, one answer whoever gives it."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from chain import Chain, decision, epoch_of, redis_ms, result
from redis.asyncio import Redis

from pms.bus.decisions import Decisions
from pms.bus.inbox import Arrived, Attend, Conflict, Inbox
from pms.bus.requests import SETTLE_GRACE_MS, Requests
from pms.bus.stale import Stale
from pms.contract import names
from pms.contract.journal import Rows
from pms.domain.posting import Undecided
from pms.flows.sweep import sweep_requests

TRADE = "pms.trade"


def trade(**more: Any) -> dict[str, Any]:
    return {"requestId": str(uuid4()), "subAccountId": "alice", "quantity": Decimal("0.1"), **more}


async def heard_by_one(redis: Redis, channel: str) -> None:
    """Wait until somebody has subscribed."""
    async with asyncio.timeout(10):
        while dict(await redis.pubsub_numsub(channel)) != {channel.encode(): 1}:  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(0)


async def recorded(requests: Requests, **more: Any) -> str:
    fields = trade(**more)
    assert (await requests.submit(TRADE, fields, door="test")).kind == "new"
    return str(fields["requestId"])


async def late(redis: Redis, request_id: str, by_ms: int) -> None:
    """Let a record's deadline have been so long ago."""
    await redis.hset(names.request_key(request_id), "deadline", str(await redis_ms(redis) - by_ms))


async def decide(chain: Chain, request_id: str, word: str, **more: Any) -> None:
    guard = Undecided(request_id, await redis_ms(chain.redis) + 60_000)
    assert await chain.write(guard=guard, rows=Rows(commands=(decision(request_id, word=word, **more),)))


# --- submitting ---


async def test_record_wake_up_and_word_to_the_streamer_come_in_one(requests: Requests, redis: Redis) -> None:
    request_id = await recorded(requests)
    assert await redis.llen(names.Queue.COMMANDS) == 1
    assert await requests.open_since(await redis_ms(redis)) == [request_id]
    heard = await Inbox(redis).wait(timeout_s=1)
    record = await requests.read(request_id)
    assert isinstance(heard, Arrived)
    assert record is not None
    assert (heard.request_id, heard.text.encode(), heard.deadline) == (
        request_id,
        record.text,
        record.deadline,
    )
    assert record.deadline - record.at == 5000


@pytest.mark.parametrize("request_id", ["", "x" * 65, "é", "a b", "a\0", "a/b", 'a"b', "a\\b", "a\x7f"])
async def test_an_id_that_no_table_could_be_keyed_by_makes_no_record(
    requests: Requests, redis: Redis, request_id: str
) -> None:
    assert (await requests.submit(TRADE, trade(requestId=request_id), door="test")).kind == "bad"
    assert await Stale(redis).refuse(request_id, TRADE, b"{}", door="test") == "bad"
    assert await redis.dbsize() == 0


async def test_a_text_that_is_no_utf_8_is_found_by_the_sweep(requests: Requests, redis: Redis) -> None:
    """Redis takes any bytes, and its JSON hands them on."""
    text = b'{"reason":"caf\xe9","requestId":"r1"}'
    assert (await requests.submit_text("r1", TRADE, text, door="test")).kind == "new"
    await redis.hset(names.request_key("r1"), "command", b"pms.trad\xe9")
    await redis.zadd(names.OPEN_REQUESTS, {b"r\xe9": 1})
    assert await requests.open_since(await redis_ms(redis) + 1) == ["r\ufffd", "r1"]
    record = await requests.read("r1")
    assert record is not None
    assert (record.command, record.text) == ("pms.trad\ufffd", text)


async def test_an_id_as_long_as_may_be_is_recorded(requests: Requests) -> None:
    assert (await requests.submit(TRADE, trade(requestId="x" * 62 + "!~"), door="test")).kind == "new"


async def test_twenty_at_once_are_one_command(requests: Requests, redis: Redis) -> None:
    fields = trade()
    found = await asyncio.gather(*(requests.submit(TRADE, fields, door="test") for _ in range(20)))
    assert sorted(one.kind for one in found) == ["new"] + ["repeat"] * 19
    assert (await redis.llen(names.Queue.COMMANDS), await redis.llen(names.INBOX)) == (1, 1)


async def test_the_same_content_spelt_otherwise_is_a_repeat(requests: Requests, chain: Chain) -> None:
    request_id = await recorded(requests)
    spelt = {"quantity": Decimal("0.100"), "subAccountId": "alice", "requestId": request_id}
    assert (await requests.submit(TRADE, spelt, door="other")).kind == "repeat"
    await requests.answer(result(request_id, state="filled"), nonce=chain.nonce)
    again = await requests.submit(TRADE, spelt, door="other")
    assert json.loads(again.result or b"")["state"] == "filled"


@pytest.mark.parametrize("command", ["pms.trade", "pms.close"])
async def test_other_content_or_another_command_is_a_conflict_and_told(
    requests: Requests, redis: Redis, command: str
) -> None:
    request_id = await recorded(requests)
    fields = trade(requestId=request_id, side="SELL" if command == TRADE else "BUY")
    before = await redis.hgetall(names.request_key(request_id))
    assert (await requests.submit(command, fields, door="test")).kind == "conflict"
    assert await redis.hgetall(names.request_key(request_id)) == before
    assert await redis.llen(names.Queue.COMMANDS) == 1
    inbox = Inbox(redis)
    assert isinstance(await inbox.wait(timeout_s=1), Arrived)
    told = await inbox.wait(timeout_s=1)
    assert isinstance(told, Conflict)
    assert told.request_id == request_id


@pytest.mark.parametrize(
    ("ttl", "whole"),
    [
        (None, 5000),
        (100, 100),
        (60_000, 60_000),
        (99, 5000),
        (60_001, 5000),
        ("100", 100),
        (" 60000 ", 5000),
        (Decimal("500.0"), 500),
        ("500.5", 5000),
        (True, 5000),
        (Decimal("1e9"), 5000),
    ],
)
async def test_a_wrong_time_to_live_is_left_to_who_decides(
    requests: Requests, ttl: object, whole: int
) -> None:
    record = await requests.read(await recorded(requests, ttlMs=ttl))
    assert record is not None
    assert record.deadline - record.at == whole


async def test_what_the_streamer_carries_out_alone_wakes_no_worker(requests: Requests, redis: Redis) -> None:
    await requests.submit("pms.transfer", trade(), door="test")
    await requests.submit(TRADE, trade(), door="test", wake=False)
    assert await redis.exists(*names.Queue.ALL) == 0
    assert await redis.llen(names.INBOX) == 2


async def test_a_message_that_cannot_be_read_does_not_stop_the_inbox(redis: Redis) -> None:
    latin = b'{"kind":"conflict","request_id":"r","command":"pms.halt","text":"caf\xe9","at":1}'
    await redis.rpush(names.INBOX, latin, b"\xff", "{}", "[]", '{"kind":"nothing"}', latin)
    inbox = Inbox(redis)
    await inbox.put(Attend("PMS_alice_M_1"))
    assert await inbox.wait(timeout_s=1) is None
    assert await inbox.rest() == [Attend("PMS_alice_M_1")]


# --- settling ---


async def test_nothing_expires_before_its_deadline(requests: Requests) -> None:
    request_id = await recorded(requests, ttlMs=60_000)
    assert await requests.settle(request_id) is None


async def test_what_nobody_decided_expires_once_and_can_no_longer_be_admitted(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    request_id = await recorded(requests)
    await late(redis, request_id, 1)
    answer = await requests.settle(request_id)
    assert json.loads(answer or b"")["code"] == "EXPIRED"
    assert await requests.settle(request_id) == answer
    assert not await chain.write(guard=Undecided(request_id, await redis_ms(redis) + 60_000))
    assert not await requests.claim(request_id, nonce="one")
    record = await requests.read(request_id)
    assert record is not None
    assert (record.decision, record.result) == ("expired", answer)
    assert await requests.open_since(await redis_ms(redis)) == []


async def test_an_admitted_order_is_never_expired_and_is_placing_after_the_grace(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    request_id = await recorded(requests)
    await decide(chain, request_id, "admitted")
    await late(redis, request_id, SETTLE_GRACE_MS // 2)
    assert await requests.settle(request_id) is None
    await late(redis, request_id, SETTLE_GRACE_MS + 1)
    answer = json.loads(await requests.settle(request_id) or b"")
    assert (answer["success"], answer["state"], answer["code"]) == (True, "placing", None)


async def test_a_deadline_tells_what_is_known_of_several_orders_by_then(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    request_id = str(uuid4())
    await requests.submit(names.Task.BATCH, {"requestId": request_id}, door="test")
    await decide(chain, request_id, "admitted", command=names.Task.BATCH, answer='{"details":"all placing"}')
    known = result(request_id, state="placing", details={"orders": [{"state": "rejected"}]})
    assert await chain.write(so_far=(known,))
    await late(redis, request_id, SETTLE_GRACE_MS + 1)
    assert json.loads(await requests.settle(request_id) or b"")["details"] == known.details


async def test_what_is_known_since_changes_no_result_and_makes_no_record(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    answered, gone, undecided = await recorded(requests), str(uuid4()), await recorded(requests)
    await decide(chain, answered, "admitted", command=names.Task.BATCH, answer="{}")
    await requests.answer(result(answered, state="done"), nonce=chain.nonce)
    assert await chain.write(so_far=tuple(result(each) for each in (answered, gone, undecided)))
    assert await redis.hget(names.request_key(answered), "answer") == b"{}"
    assert not await redis.exists(names.request_key(gone))
    assert await redis.hget(names.request_key(undecided), "answer") is None


TRUE = '{"state":"done","details":{"balance":"7"}}'
OF_POSTGRESQL = ("pms.transfer", "pms.create_account", "pms.resume", "pms.twap", "pms.cancel_algo")


@pytest.mark.parametrize("command", OF_POSTGRESQL)
async def test_what_postgresql_must_have_is_answered_once_it_has_it_however_late(
    requests: Requests, redis: Redis, chain: Chain, command: str
) -> None:
    """PostgreSQL is away for an hour, and the streamer that waited for it is gone."""
    request_id = await recorded(requests)
    await decide(chain, request_id, "admitted", command=command, answer=TRUE)
    await late(redis, request_id, 3_600_000)
    await redis.set(names.APPLIED, chain.seq - 1)
    assert await sweep_requests(redis, requests) == 0
    assert await requests.settle(request_id) is None
    await redis.set(names.APPLIED, chain.seq)
    assert await sweep_requests(redis, requests) == 1
    record = await requests.read(request_id)
    assert record is not None
    assert record.result == TRUE.encode()
    assert not await redis.exists(names.OPEN_REQUESTS, names.UNFOLDED_REQUESTS)


async def test_what_postgresql_must_have_is_first_answered_by_who_waited_for_it(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    request_id = await recorded(requests)
    await decide(chain, request_id, "admitted", command="pms.transfer", answer=TRUE)
    await late(redis, request_id, SETTLE_GRACE_MS + 1)
    assert await requests.settle(request_id) is None
    assert await requests.answer(result(request_id, state="done"), nonce=chain.nonce) == "first"
    assert not await redis.exists(names.OPEN_REQUESTS, names.UNFOLDED_REQUESTS)


async def test_the_many_that_wait_for_postgresql_hide_no_other_from_the_sweep(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    for _ in range(3):
        await decide(chain, await recorded(requests), "admitted", command="pms.transfer")
    lost = await recorded(requests)
    assert await requests.open_since(await redis_ms(redis), limit=1) == [lost]


async def test_a_refusal_or_a_halt_waits_for_no_postgresql(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    for command, word in (("pms.transfer", "refused"), (names.Task.HALT, "admitted")):
        request_id = await recorded(requests)
        await decide(chain, request_id, word, command=command)
        await late(redis, request_id, SETTLE_GRACE_MS + 1)
        assert await requests.settle(request_id) is not None


async def test_nothing_expires_while_nobody_knows_what_redis_forgot(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    """A Redis that was restarted: the command may have been admitted and sent before."""
    request_id = await recorded(requests)
    await late(redis, request_id, 1)
    await redis.hdel(names.EPOCH, "known")
    assert await requests.settle(request_id) is None
    await redis.hset(names.EPOCH, "known", "another life")
    assert await requests.settle(request_id) is None
    assert await chain.write(guard=Undecided(request_id, await redis_ms(redis) + 60_000))


async def test_behind_a_redis_that_forgot_only_the_streamer_expires_for_a_day(
    requests: Requests, redis: Redis, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command may repeat one of before, whose order the streamer alone found again at the exchange."""
    request_id = await recorded(requests)
    await late(redis, request_id, 1)
    await chain.lead.all_known(forgot=True)
    assert await requests.settle(request_id) is None
    # A day later, as far as this Redis can tell
    monkeypatch.setattr(names, "REQUEST_TTL_S", 0)
    answer = json.loads(await requests.settle(request_id) or b"")
    assert answer["code"] == "EXPIRED"


async def test_a_record_of_an_earlier_life_of_redis_is_left_to_the_streamer(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    request_id = await recorded(requests)
    await late(redis, request_id, 1)
    await redis.hset(names.request_key(request_id), "run", "an earlier life")
    assert await requests.settle(request_id) is None


async def test_a_result_between_asking_and_listening_is_not_missed(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    """redis-py's subscribe only writes the request: the record is read once Redis has confirmed it."""
    for _ in range(20):
        request_id = await recorded(requests)
        waiting = asyncio.create_task(requests.result(request_id, timeout_s=5))
        await asyncio.sleep(0)
        await requests.answer(result(request_id, state="filled"), nonce=chain.nonce)
        async with asyncio.timeout(1):
            assert await waiting is not None


async def test_a_refusal_is_answered_as_it_was_journaled(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    request_id = await recorded(requests)
    await decide(chain, request_id, "refused", answer='{"code":"MARGIN"}')
    await late(redis, request_id, 1)
    assert await requests.settle(request_id) == b'{"code":"MARGIN"}'


async def test_a_claimed_command_is_left_to_its_claimer_and_to_its_successor(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    request_id = await recorded(requests)
    assert await requests.claim(request_id, nonce=chain.nonce)
    await late(redis, request_id, 60_000)
    assert await requests.settle(request_id) is None
    await epoch_of(redis, "two")
    assert await requests.claim(request_id, nonce="two")


async def test_who_leads_no_more_takes_nobody_s_claim(requests: Requests, redis: Redis, chain: Chain) -> None:
    """His successor's decision would fall at its deadline, and his money has moved in memory."""
    request_id = await recorded(requests)
    await epoch_of(redis, "two")
    assert await requests.claim(request_id, nonce="two")
    assert not await requests.claim(request_id, nonce=chain.nonce)
    assert await redis.hget(names.request_key(request_id), "claimed") == b"two"
    await redis.hset(names.EPOCH, "run_id", "an earlier life")
    assert not await requests.claim(await recorded(requests), nonce="two")


async def test_an_undecided_command_is_not_claimed_after_its_deadline(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    assert await requests.claim(await recorded(requests), nonce=chain.nonce)
    request_id = await recorded(requests)
    await late(redis, request_id, 1)
    assert not await requests.claim(request_id, nonce="one")
    assert not await requests.claim(str(uuid4()), nonce="one"), "a record that is gone"


async def test_an_open_request_whose_record_is_gone_is_forgotten(requests: Requests, redis: Redis) -> None:
    request_id = await recorded(requests)
    await redis.delete(names.request_key(request_id))
    assert await requests.settle(request_id) is None
    assert await redis.zcard(names.OPEN_REQUESTS) == 0


# --- stale ---


async def test_a_stale_command_is_refused_at_once_and_stays_so(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    stale, request_id = Stale(redis), str(uuid4())
    assert await stale.refuse(request_id, TRADE, b'{"quantity":0.1}', door="list") == "new"
    assert await stale.refuse(request_id, TRADE, b'{"quantity":0.1}', door="list") == "repeat"
    assert await stale.refuse(request_id, TRADE, b'{"quantity":0.2}', door="list") == "conflict"
    record = await requests.read(request_id)
    assert record is not None
    assert json.loads(record.result or b"")["code"] == "STALE"
    assert not await chain.write(guard=Undecided(request_id, await redis_ms(redis) + 60_000))
    assert await redis.llen(names.Queue.COMMANDS) == 0


@pytest.mark.parametrize("doubt", ["began anew", "forgot"])
async def test_what_may_repeat_a_command_that_redis_forgot_is_no_stale_one(
    requests: Requests, redis: Redis, chain: Chain, doubt: str
) -> None:
    """It may have been sent and filled: who is told to send it anew has twice of it."""
    if doubt == "forgot":
        await chain.lead.all_known(forgot=True)
    else:
        await redis.hset(names.EPOCH, "known", "an earlier life")
    request_id = str(uuid4())
    assert await Stale(redis).refuse(request_id, TRADE, b'{"quantity":0.1}', door="list") == "open"
    assert await Stale(redis).refuse(request_id, TRADE, b'{"quantity":0.1}', door="list") == "repeat"
    assert await requests.settle(request_id) is None, "the streamer says what became of it"
    arrived = await Inbox(redis).wait(timeout_s=1)
    assert isinstance(arrived, Arrived)
    assert (arrived.request_id, arrived.run_id) == (request_id, (await redis.info("server"))["run_id"])
    assert await requests.open_since(await redis_ms(redis)) == [request_id]
    assert not await chain.write(guard=Undecided(request_id, arrived.deadline)), "nothing is sent any more"
    assert not await requests.claim(request_id, nonce=chain.nonce)
    assert await redis.llen(names.Queue.COMMANDS) == 0


@pytest.mark.parametrize("queue", ["commands", "urgent"])
async def test_a_plain_task_that_redis_gives_back_is_not_carried_out(
    requests: Requests, redis: Redis, chain: Chain, queue: str
) -> None:
    """It was refused, and Redis forgot that: whoever was told so must not have it filled."""
    command = {"commands": TRADE, "urgent": names.Task.CANCEL}[queue]
    submit = partial(requests.submit_text, command=command, text=b"{}", door="task", wake=False)
    records = []
    for life in ("an earlier life", chain.lead):
        if isinstance(life, str):
            await redis.hset(names.EPOCH, "known", life)
        else:
            await life.all_known(forgot=True)
        request_id = str(uuid4())
        await submit(request_id)
        records.append(await requests.read(request_id))
    in_doubt, known = (record.deadline - record.at for record in records if record)
    assert (in_doubt, known) == (-1 if queue == "commands" else 5000, 5000)


async def test_a_replica_that_took_over_forgot_for_a_day_from_then_on_however_long_it_is_up(
    redis: Redis, chain: Chain
) -> None:
    assert await redis.hget(names.EPOCH, "forgot_at") is None
    began = await redis_ms(redis) // 1000
    await chain.lead.all_known(forgot=True)
    assert int(await redis.hget(names.EPOCH, "forgot_at") or 0) >= began
    await redis.hset(names.EPOCH, "forgot_at", "7")
    await chain.lead.all_known(forgot=True)
    assert await redis.hget(names.EPOCH, "forgot_at") == b"7", (
        "a later streamer of the same life forgot nothing"
    )


async def test_a_recorded_command_that_comes_again_late_keeps_its_own_answer(
    requests: Requests, redis: Redis
) -> None:
    request_id = await recorded(requests)
    record = await requests.read(request_id)
    assert record is not None
    assert await Stale(redis).refuse(request_id, TRADE, record.text, door="list") == "repeat"
    assert await requests.read(request_id) == record


# --- awaiting ---


async def test_an_answer_given_before_one_asks_is_found(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    request_id = await recorded(requests)
    await requests.answer(result(request_id, state="filled"), nonce=chain.nonce)
    await redis.delete(names.result_key(request_id))  # its thirty seconds are over
    found = await requests.result(request_id, timeout_s=1)
    assert json.loads(found or b"")["state"] == "filled"


async def test_who_leads_no_more_says_nothing(requests: Requests, redis: Redis, chain: Chain) -> None:
    """He stood still; what he remembers of a Redis that forgot since may never have been."""
    request_id = await recorded(requests)
    await epoch_of(redis, "another's")
    assert await requests.answer(result(request_id, state="done"), nonce=chain.nonce) == "foreign"
    record = await requests.read(request_id)
    assert record is not None
    assert record.result is None
    assert await requests.open_since(await redis_ms(redis)) == [request_id]


async def test_nor_does_who_led_before_redis_began_anew(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    request_id = await recorded(requests)
    await redis.hset(names.EPOCH, "run_id", "an earlier life")
    assert await requests.answer(result(request_id, state="done"), nonce=chain.nonce) == "foreign"
    assert not await redis.exists(names.result_key(request_id))


async def test_an_answer_given_while_one_waits_is_heard(
    requests: Requests, redis: Redis, chain: Chain
) -> None:
    request_id = await recorded(requests)
    waiting = asyncio.create_task(requests.result(request_id, timeout_s=30))
    await heard_by_one(redis, names.result_key(request_id))
    assert await requests.answer(result(request_id, state="active"), nonce=chain.nonce) == "first"
    assert await requests.answer(result(request_id, state="filled"), nonce=chain.nonce) == "again"
    assert json.loads(await waiting or b"")["state"] == "active"


async def test_an_answer_that_never_comes_is_none(requests: Requests) -> None:
    assert await requests.result(str(uuid4()), timeout_s=0.05) is None


async def test_every_waiting_flow_hears_the_decision(requests: Requests, redis: Redis, chain: Chain) -> None:
    request_id, other = await recorded(requests), await recorded(requests)
    decisions = Decisions(redis)
    listening = asyncio.create_task(decisions.run())
    await heard_by_one(redis, "pms:decided")
    waiting, unheard = [decisions.expect(request_id) for _ in range(3)], decisions.expect(other)
    await decide(chain, request_id, "refused")
    async with asyncio.timeout(10):
        heard = await asyncio.gather(*waiting)
    assert {(one.request_id, one.decision) for one in heard} == {(request_id, "refused")}
    assert not unheard.done()
    unheard.cancel()
    listening.cancel()
