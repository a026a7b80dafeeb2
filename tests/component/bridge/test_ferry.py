"""Commands pushed to lists against a real Redis: each recorded once, none lost, no stale one placed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from pms.bridge.ferry import Ferry
from pms.bus.connection import connect
from pms.bus.inbox import Arrived, BadCommand, Conflict, Inbox
from pms.bus.lead import Lead
from pms.bus.requests import Record, Requests
from pms.contract import names

TRADES, CANCELS = "pms:cmd:trade", "pms:cmd:cancel"


def new_id() -> str:
    return str(uuid4())


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    redis = connect(redis_url, name="test")
    lead = Lead(redis, nonce="one")
    assert await lead.take()
    await lead.open()
    await lead.all_known(forgot=False)
    yield redis
    await redis.aclose()


@dataclass
class Clock:
    """The bridge's own, set by hand."""

    now: float = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("pms.bridge.ferry._now", lambda: clock.now)
    return clock


def ferry(redis: Redis, command_list: str = TRADES) -> Ferry:
    return Ferry(redis, command_list, names.COMMAND_LISTS[command_list], new_id=new_id)


def trade(**more: Any) -> dict[str, Any]:
    return {"requestId": new_id(), "subAccountId": "alice", "symbol": "BTCUSDT", "side": "BUY", **more}


async def push(redis: Redis, fields: dict[str, Any], command_list: str = TRADES) -> str:
    await redis.lpush(command_list, json.dumps(fields))
    return str(fields["requestId"])


async def record(redis: Redis, request_id: str) -> Record:
    found = await Requests(redis, new_id=new_id).read(request_id)
    assert found is not None
    return found


async def lengths(redis: Redis, command_list: str = TRADES) -> tuple[int, int]:
    return await redis.llen(command_list), await redis.llen(names.taken_list(command_list))


async def test_a_command_becomes_a_record_and_a_wake_up(redis: Redis) -> None:
    served = ferry(redis)
    await served.begin()
    request_id = await push(redis, trade(quantity=0.1))
    await served.carry_one()
    found = await record(redis, request_id)
    assert (found.command, found.decision) == ("pms.trade", None)
    assert json.loads(found.text)["quantity"] == 0.1
    assert await redis.llen("commands") == 1
    assert await lengths(redis) == (0, 0)


async def test_the_oldest_comes_first(redis: Redis) -> None:
    served = ferry(redis)
    await served.begin()
    ids = [await push(redis, trade(quantity=n)) for n in range(1, 6)]
    for _ in ids:
        await served.carry_one()
    assert [m.request_id for m in await Inbox(redis).rest()] == ids  # type: ignore[union-attr]


async def test_forty_market_orders_that_waited_are_all_stale(redis: Redis) -> None:
    ids = [await push(redis, trade(quantity=n)) for n in range(1, 41)]
    await ferry(redis).begin()
    for request_id in ids:
        found = await record(redis, request_id)
        result = json.loads(found.result or b"")
        assert (found.decision, result["code"], result["success"]) == ("refused", "STALE", False)
        assert result["subAccountId"] == "alice"
        assert json.loads(await redis.get(names.result_key(request_id)) or b"") == result
    assert await redis.llen("commands") == await redis.llen(names.INBOX) == 0
    assert await lengths(redis) == (0, 0)


async def test_what_lies_there_behind_a_redis_that_forgot_is_the_streamer_s_to_answer(redis: Redis) -> None:
    """Redis lost the record, and has the item back: its order may have been filled."""
    await redis.hset(names.EPOCH, "known", "an earlier life")
    request_id = await push(redis, trade(quantity=1))
    await ferry(redis).begin()
    found = await record(redis, request_id)
    assert (found.decision, found.result) == (None, None)
    [arrived] = await Inbox(redis).rest()
    assert isinstance(arrived, Arrived)
    assert arrived.request_id == request_id
    assert await lengths(redis) == (0, 0)


async def test_a_cancel_that_waited_goes_through(redis: Redis) -> None:
    request_id = await push(redis, {"requestId": new_id(), "orderId": "PMS_x"}, CANCELS)
    await ferry(redis, CANCELS).begin()
    assert (await record(redis, request_id)).decision is None
    assert await redis.llen("urgent") == 1
    assert await lengths(redis, CANCELS) == (0, 0)


async def test_a_bridge_that_died_after_recording_records_nothing_twice(redis: Redis) -> None:
    served = ferry(redis)
    fields = trade(quantity="0.1")
    await served.begin()
    request_id = await push(redis, fields)
    await served.carry_one()
    await redis.lpush(names.taken_list(TRADES), json.dumps(fields))  # its removal was never reached
    await ferry(redis).begin()
    assert (await record(redis, request_id)).decision is None
    assert await redis.llen("commands") == 1
    assert await lengths(redis) == (0, 0)


async def test_a_bridge_that_died_before_recording_loses_nothing(redis: Redis) -> None:
    fields = trade(quantity="0.1")
    await redis.lpush(names.taken_list(TRADES), json.dumps(fields))
    await ferry(redis).begin()
    assert json.loads((await record(redis, fields["requestId"])).result or b"")["code"] == "STALE"
    assert await lengths(redis) == (0, 0)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "BAD_JSON"),
        (b"\xff\xfe", "BAD_JSON"),
        (b'["pms"]', "BAD_JSON"),
        (b'{"quantity":NaN,"requestId":"x"}', "BAD_JSON"),
        (b'{"symbol":"BTCUSDT"}', "MISSING_REQUEST_ID"),
        (b'{"requestId":null}', "BAD_REQUEST_ID"),
        (b'{"requestId":true}', "BAD_REQUEST_ID"),
        (b'{"requestId":""}', "BAD_REQUEST_ID"),
        (b'{"requestId":"' + b"x" * 100 + b'"}', "BAD_REQUEST_ID"),
    ],
)
async def test_what_cannot_be_answered_is_told_to_the_streamer(redis: Redis, raw: bytes, code: str) -> None:
    served = ferry(redis)
    await served.begin()
    await redis.lpush(TRADES, raw)
    await served.carry_one()
    [told] = await Inbox(redis).rest()
    assert told == BadCommand(command="pms.trade", text=raw.decode(errors="replace"), code=code)
    assert await lengths(redis) == (0, 0)


async def test_a_long_id_that_waited_is_told_too(redis: Redis) -> None:
    await push(redis, {"requestId": "x" * 65})
    await ferry(redis).begin()
    [told] = await Inbox(redis).rest()
    assert isinstance(told, BadCommand)
    assert told.code == "BAD_REQUEST_ID"
    assert await lengths(redis) == (0, 0)


async def test_an_id_that_is_no_uuid_is_still_recorded_for_whoever_waits(redis: Redis) -> None:
    served = ferry(redis)
    await served.begin()
    await push(redis, {"requestId": 17})
    await served.carry_one()
    assert (await record(redis, "17")).command == "pms.trade"


async def test_one_id_with_other_content_is_a_conflict(redis: Redis) -> None:
    served = ferry(redis)
    await served.begin()
    fields = trade(quantity="1")
    for quantity in ("1", "2"):
        await push(redis, {**fields, "quantity": quantity})
        await served.carry_one()
    told = await Inbox(redis).rest()
    assert [type(message).__name__ for message in told] == ["Arrived", "Conflict"]
    await push(redis, {**fields, "quantity": "3"})
    await ferry(redis).begin()
    assert isinstance((await Inbox(redis).rest())[0], Conflict)


async def test_what_waits_behind_a_burst_is_not_as_young_as_its_record(redis: Redis, clock: Clock) -> None:
    """Each write takes a disk half a second: forty that were pushed at once are not forty new ones."""
    served = ferry(redis)
    await served.begin()
    ids = [await push(redis, trade(ttlMs=5000)) for _ in range(40)]
    patient = await push(redis, trade(ttlMs=60_000))
    for _ in range(41):
        await served.carry_one()
        clock.now += 0.5
    left = [await record(redis, request_id) for request_id in [*ids, patient]]
    spans = [each.deadline - each.at for each in left]
    assert spans[:5] == [5000] * 5
    assert spans[5:10] == [5000 - waited for waited in (2500, 3000, 3500, 4000, 4500)]
    assert [json.loads(each.result or b"{}").get("code") for each in left] == [None] * 10 + ["STALE"] * 30 + [
        None
    ]
    assert spans[-1] == 40_000
    young = await push(redis, trade(ttlMs=5000))
    await served.carry_one()
    assert (await record(redis, young)).deadline - (await record(redis, young)).at == 5000
    assert len(served._looks) <= 2


async def test_what_came_while_the_bridge_stood_still_is_as_old_as_that(redis: Redis, clock: Clock) -> None:
    """Redis may have answered it long before: the first item lies in no list, but in its socket."""
    served = ferry(redis)
    await served.begin()
    carrying = asyncio.create_task(served.carry_one())
    await asyncio.sleep(0.1)
    clock.now += 6
    ids = [await push(redis, trade(ttlMs=5000)) for _ in range(3)]
    await carrying
    for _ in ids[1:]:
        await served.carry_one()
    assert [(await record(redis, each)).decision for each in ids] == ["refused"] * 3
    young = await push(redis, trade(ttlMs=5000))
    await served.carry_one()
    assert (await record(redis, young)).decision is None


async def test_a_cancel_is_never_too_old(redis: Redis, clock: Clock) -> None:
    served = ferry(redis, CANCELS)
    await served.begin()
    clock.now += 3600
    request_id = await push(redis, {"requestId": new_id(), "orderId": "PMS_x"}, CANCELS)
    await served.carry_one()
    found = await record(redis, request_id)
    assert (found.decision, found.deadline - found.at) == (None, 5000)


async def test_a_lost_connection_is_waited_for(redis: Redis) -> None:
    stop = asyncio.Event()
    served = asyncio.create_task(ferry(redis, CANCELS).run(stop))
    ids = []
    for number in (1, 2):
        ids.append(await push(redis, {"requestId": new_id(), "orderId": str(number)}, CANCELS))
        assert await redis.blpop(["urgent"], timeout=1.9)
        await redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    stop.set()
    await served
    assert [(await record(redis, request_id)).command for request_id in ids] == ["pms.cancel"] * 2
    assert await redis.llen(CANCELS) == 0


async def test_an_item_that_breaks_us_is_told_and_the_list_goes_on(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = ferry(redis)
    await served.begin()
    whole = served._record

    async def broken(raw: bytes, *, waited_ms: int | None) -> None:
        if b"poison" in raw:
            raise ZeroDivisionError("a bug")
        await whole(raw, waited_ms=waited_ms)

    monkeypatch.setattr(served, "_record", broken)
    await push(redis, trade(symbol="poison"))
    good = await push(redis, trade())
    for _ in range(2):
        await served.carry_one()
    assert (await record(redis, good)).decision is None
    assert await lengths(redis) == (0, 0)
    told = [message for message in await Inbox(redis).rest() if isinstance(message, BadCommand)]
    assert ["poison" in each.text for each in told] == [True]
