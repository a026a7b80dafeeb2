"""The JS reference client against a real Redis: one record, one answer, every event once and in order."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias
from uuid import uuid4

import pytest
from js_client import GATEWAY, install
from lossy import LossySocket
from redis.asyncio import Redis

from pms.bus.connection import connect
from pms.bus.requests import Requests, ttl_ms
from pms.contract import names

Start: TypeAlias = Callable[..., Awaitable[Any]]
TRADE = {"subAccountId": "alice", "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "leverage": 10}

FILL = """
for seq = ARGV[1] + 1, ARGV[1] + ARGV[2] + 100 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], seq .. '-0', 'e', '{"seq":' .. seq .. '}')
end
"""
"""As many events as the stream keeps, and so many more that it forgets the first."""


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    redis = connect(redis_url, name="test")
    yield redis
    await redis.aclose()


async def decide(redis: Redis, request_id: str, result: dict[str, Any]) -> None:
    """Answer as the engine's scripts do: in the record, and on the channel."""
    text = json.dumps(result)
    async with redis.pipeline(transaction=True) as step:
        step.hset(names.request_key(request_id), "result", text)
        step.publish(names.result_key(request_id), text)
        await step.execute()


async def tell(redis: Redis, seq: int, account: str = "alice", *, live: bool = True) -> None:
    """Write one event as the journal script does: into the stream, and on the channel."""
    text = json.dumps({"type": "order_active", "seq": seq, "subAccountId": account})
    async with redis.pipeline(transaction=True) as step:
        step.xadd(names.EVENTS_STREAM, {"e": text}, id=f"{seq}-0")
        if live:
            step.publish(names.event_channel("order_active"), text)
        await step.execute()


async def seqs(client: Any, count: int) -> list[int]:
    return [(await client.heard())["event"]["seq"] for _ in range(count)]


async def test_a_command_is_recorded_as_python_records_it(start: Start, redis: Redis) -> None:
    client, request_id = await start(), str(uuid4())
    answer = client.ask("submit", command="pms.trade", fields={"requestId": request_id, **TRADE})
    message = json.loads((await redis.blpop(["commands"], timeout=5))[1])
    await decide(redis, request_id, {"success": True, "requestId": request_id})
    assert (await answer)["answer"] == {"success": True, "requestId": request_id}

    assert message["headers"]["task"] == "pms.trade"
    assert message["headers"]["id"] == request_id
    assert json.loads(base64.b64decode(message["body"]))[0] == [request_id]
    requests = Requests(redis, new_id=lambda: str(uuid4()))
    same = await requests.submit("pms.trade", {**TRADE, "requestId": request_id}, door="record")
    assert same.kind == "repeat"


async def test_a_cancel_takes_the_urgent_queue(start: Start, redis: Redis) -> None:
    client, request_id = await start(), str(uuid4())
    answer = client.ask("submit", command="pms.cancel", fields={"requestId": request_id, "orderId": "1"})
    assert await redis.blpop(["urgent"], timeout=5)
    await decide(redis, request_id, {"success": True})
    assert (await answer)["answer"]["success"]


async def test_a_repeat_gets_the_first_answer_and_other_content_a_conflict(
    start: Start, redis: Redis
) -> None:
    client, request_id = await start(), str(uuid4())
    fields = {"requestId": request_id, **TRADE}
    first = client.ask("submit", command="pms.trade", fields=fields)
    twin = client.ask("submit", command="pms.trade", fields=dict(reversed(fields.items())))
    other = await client.ask("submit", command="pms.trade", fields={**fields, "quantity": "9"})
    assert other["answer"]["code"] == "REQUEST_ID_REUSED"
    await decide(redis, request_id, {"success": True, "orderId": "x"})
    assert (await first)["answer"] == (await twin)["answer"] == {"success": True, "orderId": "x"}
    again = await client.ask("submit", command="pms.trade", fields=fields)
    assert again["answer"] == {"success": True, "orderId": "x"}
    assert await redis.llen("commands") == 1


async def test_a_long_request_id_is_refused_before_it_is_recorded(start: Start, redis: Redis) -> None:
    client = await start()
    fields = {"requestId": "x" * 65, **TRADE}
    said = (await client.ask("submit", command="pms.trade", fields=fields))["answer"]
    assert (said["success"], said["code"], said["field"]) == (False, "BAD_REQUEST_ID", "requestId")
    assert await redis.dbsize() == 0


async def test_no_answer_is_an_error_that_names_itself_and_the_answer_can_be_asked_for_later(
    start: Start, redis: Redis
) -> None:
    client, request_id = await start(), str(uuid4())
    fields = {"requestId": request_id, **TRADE}
    assert (await client.ask("submit", command="pms.trade", fields=fields, timeoutMs=50))["error"] == (
        "Undecided"
    )
    later = client.ask("result", requestId=request_id)
    await decide(redis, request_id, {"success": True})
    assert (await later)["answer"] == {"success": True}


async def test_a_lost_reply_names_the_request_which_again_is_one_order(
    start: Start, redis: Redis, lossy: LossySocket
) -> None:
    client = await start(lossy.url)
    lossy.losing = True
    lost = await client.ask("submit", command="pms.trade", fields=TRADE)
    assert lost["error"] == "Unconfirmed"
    request_id = lost["requestId"]
    assert await redis.hget(names.request_key(request_id), "command") == b"pms.trade"

    lossy.losing = False
    while await client.heard() != {"connection": "back"}:
        pass
    again = client.ask("submit", command="pms.trade", fields={**TRADE, "requestId": request_id})
    await decide(redis, request_id, {"success": True, "requestId": request_id})
    assert (await again)["answer"]["success"]
    assert await redis.llen("commands") == await redis.zcard(names.OPEN_REQUESTS) == 1


async def test_a_connection_that_died_without_a_word_is_found_by_who_only_listens(
    start: Start, redis: Redis, lossy: LossySocket
) -> None:
    client = await start(lossy.url)
    await client.ask("follow")
    lossy.silent = True
    await tell(redis, 1)
    while "Socket timeout" not in (said := await client.heard())["connection"]:
        pass
    lossy.silent = False
    while said != {"connection": "back"}:
        said = await client.heard()
        if "event" in said:
            assert said["event"]["seq"] == 1
            break
    else:
        pytest.fail("the connection is back, and what was told meanwhile was not read")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        *((name, "subAccountId") for name in ("pms.close_all", "pms.cancel_all", "pms.halt", "pms.resume")),
        ("pms.cancel_all", "symbol"),
        ("pms.limits", "scope"),
        ("pms.trade", "reduceOnly"),
        ("pms.reassign", "quantity"),
    ],
)
async def test_nothing_wider_is_meant_by_a_field_that_is_undefined(
    start: Start, redis: Redis, command: str, name: str
) -> None:
    client = await start()
    said = await client.ask("submit", command=command, fields={"subAccountId": "alice"}, undefined=[name])
    assert (said["error"], said["text"]) == (
        "TypeError",
        f"{name} is undefined; leave it out where nothing is meant",
    )
    assert await redis.dbsize() == 0


async def test_every_account_is_meant_by_null(start: Start, redis: Redis) -> None:
    client = await start()
    answer = client.ask("submit", command="pms.close_all", fields={"subAccountId": None})
    message = json.loads((await redis.blpop(["commands"], timeout=5))[1])
    await decide(redis, message["headers"]["id"], {"success": True})
    assert (await answer)["answer"]["success"]


@pytest.mark.parametrize(
    "spelt", [500, "500", " 500 ", "+500", "0500", "5_00", "500.0", 99, "x", "", None, True]
)
async def test_a_command_lives_as_long_as_python_lets_it(start: Start, redis: Redis, spelt: object) -> None:
    client, request_id = await start(), str(uuid4())
    fields = {"requestId": request_id, **TRADE, "ttlMs": spelt}
    answer = client.ask("submit", command="pms.trade", fields=fields)
    await redis.blpop(["commands"], timeout=5)
    await decide(redis, request_id, {"success": True})
    await answer
    record = await Requests(redis, new_id=str).read(request_id)
    assert record is not None
    assert record.deadline - record.at == ttl_ms(record.text)


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (10**400, "quantity: Infinity is no JSON number"),
        (0.0000001, "quantity: 1e-7 may have lost digits; give it as text"),
        (8389766071234567890, "quantity: 8389766071234568000 may have lost digits; give it as text"),
    ],
)
async def test_a_number_that_js_does_not_hold_is_told_before_anything_is_sent(
    start: Start, redis: Redis, number: float, why: str
) -> None:
    client = await start()
    said = await client.ask("submit", command="pms.trade", fields={**TRADE, "quantity": number})
    assert (said["error"], said["text"]) == ("TypeError", why)
    assert await redis.dbsize() == 0


@pytest.mark.parametrize("request_id", [[], ["a"], ["a", "pms.halt", "{}", 5000], 5, {}, True])
async def test_a_request_id_is_text_or_nothing_is_sent(
    start: Start, redis: Redis, request_id: object
) -> None:
    """A list would be taken for more of the script's arguments: another command, for another account."""
    client = await start()
    said = await client.ask("submit", command="pms.trade", fields={**TRADE, "requestId": request_id})
    assert (said["error"], said["text"]) == ("TypeError", "requestId is no text")
    assert (await client.ask("result", requestId=request_id))["error"] == "TypeError"
    assert await redis.dbsize() == 0


async def test_what_the_streamer_alone_carries_out_wakes_nobody_else(start: Start, redis: Redis) -> None:
    client, request_id = await start(), str(uuid4())
    fields = {"requestId": request_id, "subAccountId": "alice", "amount": "5"}
    answer = client.ask("submit", command="pms.deposit", fields=fields)
    assert await redis.blpop([names.INBOX], timeout=5)
    await decide(redis, request_id, {"success": True})
    assert (await answer)["answer"]["success"]
    assert not await redis.exists("commands", "urgent")


async def test_an_answer_that_nobody_heard_is_read_before_giving_up(start: Start, redis: Redis) -> None:
    client, request_id = await start(), str(uuid4())
    fields = {"requestId": request_id, **TRADE}
    answer = client.ask("submit", command="pms.trade", fields=fields, timeoutMs=1500)
    await redis.blpop(["commands"], timeout=5)
    await asyncio.sleep(0.5)  # it has looked, and finds no more by itself
    await redis.hset(names.request_key(request_id), "result", '{"success":true}')
    assert (await answer)["answer"] == {"success": True}


async def test_events_arrive_once_and_older_ones_are_dropped_per_account(start: Start, redis: Redis) -> None:
    client = await start()
    await tell(redis, 5)
    followed = (await client.ask("follow"))["answer"]
    run = (await redis.info("server"))["run_id"]
    assert followed == {"id": "5-0", "seqs": {}, "run": run}
    await tell(redis, 6)
    await redis.publish("pms:events:order_active", json.dumps({"seq": 6, "subAccountId": "alice"}))
    await redis.publish("pms:events:order_active", json.dumps({"seq": 6, "subAccountId": "bob"}))
    await tell(redis, 7)
    assert await seqs(client, 3) == [6, 6, 7]
    position = (await client.ask("position"))["answer"]
    assert position == {"id": "7-0", "seqs": {"alice": 7, "bob": 6}, "run": run}


async def test_after_an_absence_the_stream_is_read_before_live_events(start: Start, redis: Redis) -> None:
    first = await start()
    await tell(redis, 1)
    await first.ask("follow")
    await tell(redis, 2)
    assert await seqs(first, 1) == [2]
    position = (await first.ask("position"))["answer"]
    await first.stop()

    for seq in range(3, 1203):
        await tell(redis, seq)
    second = await start()
    resumed = second.ask("follow", position=position)
    for seq in range(1203, 1253):
        await tell(redis, seq)
    assert await seqs(second, 1250) == list(range(3, 1253))
    assert (await resumed)["answer"]["seqs"]["alice"] >= 1202


async def test_a_lost_subscription_reads_on_where_it_stood(start: Start, redis: Redis) -> None:
    client, request_id = await start(), str(uuid4())
    await tell(redis, 1)
    await client.ask("follow")
    answer = client.ask("submit", command="pms.trade", fields={"requestId": request_id, **TRADE})
    await redis.blpop(["commands"], timeout=5)
    async with redis.pipeline(transaction=True) as step:  # dropped and told in one step: nobody hears it
        step.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        step.xadd(names.EVENTS_STREAM, {"e": json.dumps({"seq": 2, "subAccountId": "alice"})}, id="2-0")
        step.hset(names.request_key(request_id), "result", '{"success":true}')
        await step.execute()
    said = [await client.heard()]
    while said[-1] != {"connection": "back"}:
        said.append(await client.heard())
    assert [line["event"]["seq"] for line in said if "event" in line] == [2]
    assert (await asyncio.wait_for(answer, 5))["answer"] == {"success": True}
    await tell(redis, 3)
    assert await seqs(client, 1) == [3]


async def test_a_position_older_than_the_stream_asks_for_a_resync(start: Start, redis: Redis) -> None:
    client = await start()
    for seq in (7, 8):
        await tell(redis, seq)
    await client.ask("follow", position={"id": "3-0", "seqs": {"alice": 3}})
    assert await client.heard() == {"resync": {"since": "3-0", "first": "7-0"}}
    assert await seqs(client, 2) == [7, 8]


async def test_a_position_before_the_first_event_asks_for_a_resync_if_events_were_trimmed(
    start: Start, redis: Redis
) -> None:
    first = await start()
    assert (await first.ask("follow"))["answer"]["id"] == "0-0"
    await first.stop()
    for seq in (1, 2, 3):
        await tell(redis, seq)
    unread = await start()
    await unread.ask("follow", position={"id": "0-0", "seqs": {}})
    assert await seqs(unread, 3) == [1, 2, 3], "nothing is missing"
    await redis.eval(FILL, 1, names.EVENTS_STREAM, 3, names.EVENTS_KEPT)
    full = await start()
    full.ask("follow", position={"id": "0-0", "seqs": {}})
    [(oldest, _)] = await redis.xrange(names.EVENTS_STREAM, count=1)
    assert oldest != b"1-0"
    assert await full.heard() == {"resync": {"since": "0-0", "first": oldest.decode()}}


async def test_another_life_of_redis_asks_for_a_resync(start: Start, redis: Redis) -> None:
    """What it lost behind the stream's last id was told to others, and is never told again."""
    await tell(redis, 7)
    client = await start()
    earlier = {"id": "9-0", "seqs": {"alice": 9}, "run": "f" * 40}
    followed = client.ask("follow", position=earlier)
    assert await client.heard() == {"resync": {"since": "9-0", "first": "7-0"}}
    assert (await followed)["answer"]["run"] == (await redis.info("server"))["run_id"]
    await tell(redis, 12)
    assert await seqs(client, 1) == [12]


async def test_what_could_not_be_followed_at_first_is_followed_later(start: Start, redis: Redis) -> None:
    await redis.set(names.EVENTS_STREAM, "no stream")
    client = await start()
    refused = await client.ask("follow", position={"id": "0-0", "seqs": {}})
    assert refused["text"].startswith("WRONGTYPE")
    await redis.delete(names.EVENTS_STREAM)
    await tell(redis, 1)
    while "event" not in (said := await client.heard()):
        pass
    assert said["event"]["seq"] == 1


async def connecting(url: str) -> str:
    """What a program says that tries to connect and does nothing more; it must come to its end by itself."""
    code = f"""
        import {{ inspect }} from 'node:util';
        import {{ Gateway }} from '{GATEWAY}/pms.mjs';
        await Gateway.connect('{url}').then(
          (pms) => {{ console.log('connected'); return pms.close(); }},
          (error) => console.log(inspect(error, {{ depth: 9 }})));
    """
    process = await asyncio.create_subprocess_exec(
        install(), "--input-type=module", "-e", code, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    return said.decode()


async def test_who_cannot_connect_is_told_why_and_leaves_nothing_behind(redis: Redis, redis_url: str) -> None:
    await redis.acl_setuser("gateway", enabled=True, passwords=["+right"], categories=["+@all"], keys=["*"])
    try:
        refused = await connecting(f"{redis_url}&username=gateway&password=wr0ng")
        assert "WRONGPASS" in refused
        assert "wr0ng" not in refused
        assert await connecting(f"{redis_url}&username=gateway&password=right") == "connected\n"
    finally:
        await redis.acl_deluser("gateway")
    assert "ENOENT" in await connecting("unix:///nowhere")
