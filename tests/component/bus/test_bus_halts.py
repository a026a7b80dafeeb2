"""Halts at the send right: held from the step that records them, lifted by the very entry alone."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from chain import Chain, decision, epoch_of
from redis.asyncio import Redis

from pms.bus.requests import Requests
from pms.bus.rights import Right, Rights
from pms.contract import names
from pms.contract.halts import standing_text
from pms.contract.journal import HaltRow, Rows

WHY = {"reason": 'a "wrong" price', "actor": "ann"}


async def halt(requests: Requests, **fields: Any) -> str:
    """Record a halt at the door, as any gateway does; nobody else is alive."""
    request = str(uuid4())
    await requests.submit(
        names.Task.HALT, {"requestId": request, "ttlMs": 100, **WHY, **fields}, door="record", wake=False
    )
    return request


async def right(chain: Chain, redis: Redis, account: str = "alice", *, reduces: bool = False) -> Right:
    """Whether an admitted order of an account may go out."""
    order = await chain.order(
        f"PMS_{account}_M_{uuid4().hex[:8]}", sub_account_id=account, reduce_only=reduces
    )
    return await Rights(redis, sender="a").take(order, signed_at=1)


async def test_a_halt_holds_from_the_moment_it_is_recorded(
    chain: Chain, redis: Redis, requests: Requests
) -> None:
    assert await right(chain, redis) is Right.WON
    request = await halt(requests)
    assert await right(chain, redis) is Right.HALTED
    told = json.loads(await redis.get(names.HALT))
    assert (told["mode"], told["reason"], told["requestId"]) == ("HALTED", WHY["reason"], request)


async def test_a_halt_of_one_sub_account_leaves_the_others(
    chain: Chain, redis: Redis, requests: Requests
) -> None:
    await halt(requests, subAccountId="alice", mode="REDUCE_ONLY")
    assert await right(chain, redis) is Right.HALTED
    assert await right(chain, redis, reduces=True) is Right.WON
    assert await right(chain, redis, "bob") is Right.WON


@pytest.mark.parametrize("value", ["1", "", '{"reason":"mode REDUCE_ONLY"}', ' {"mode":"REDUCE_ONLY"'])
async def test_whatever_an_operator_sets_by_hand_halts_all_but_the_house(
    chain: Chain, redis: Redis, value: str
) -> None:
    await redis.set(names.HALT, value)
    assert await right(chain, redis, reduces=True) is Right.HALTED
    assert await right(chain, redis, "house") is Right.WON


@pytest.mark.parametrize(
    "fields",
    [
        {"reason": ""},
        {"actor": None},
        {"reason": 7},
        {"mode": "x"},
        {"subAccountId": "house"},
        {"subAccountId": 1},
    ],
)
async def test_what_cannot_be_a_halt_halts_nothing(
    chain: Chain, redis: Redis, requests: Requests, fields: dict[str, Any]
) -> None:
    await halt(requests, **fields)
    assert not [key async for key in redis.scan_iter(f"{names.HALT}*")]
    assert await right(chain, redis) is Right.WON


async def test_the_door_never_weakens_a_halt(chain: Chain, redis: Redis, requests: Requests) -> None:
    await halt(requests, mode="REDUCE_ONLY")
    assert await right(chain, redis, reduces=True) is Right.WON
    first = await halt(requests)
    await halt(requests, mode="REDUCE_ONLY")
    assert await right(chain, redis, reduces=True) is Right.HALTED
    assert json.loads(await redis.get(names.HALT))["requestId"] == first


async def test_a_repeat_of_a_halt_that_was_lifted_halts_no_more(
    chain: Chain, redis: Redis, requests: Requests
) -> None:
    request = str(uuid4())
    command = {"requestId": request, **WHY}
    for expected in ("new", "repeat"):
        done = await requests.submit(names.Task.HALT, command, door="record", wake=False)
        assert done.kind == expected
        await chain.write(rows=Rows(halts=(row("RESUMED", request),)))
        assert await right(chain, redis) is Right.WON


async def test_a_resume_lifts_the_halt_it_names_and_no_later_one(
    chain: Chain, redis: Redis, requests: Requests
) -> None:
    first = await halt(requests)
    await chain.write(rows=Rows(halts=(row("HALTED", first),)))
    later = await halt(requests)
    await chain.write(rows=Rows(halts=(row("RESUMED", first),)))
    assert await right(chain, redis) is Right.HALTED
    await chain.write(rows=Rows(halts=(row("RESUMED", later),)))
    assert await right(chain, redis) is Right.WON


async def test_a_halt_that_is_refused_is_taken_back(chain: Chain, redis: Redis, requests: Requests) -> None:
    request = await halt(requests, subAccountId="alice")
    refused = decision(request, word="refused", command=names.Task.HALT)
    await chain.write(rows=Rows(commands=(refused,)))
    assert await right(chain, redis) is Right.WON


@pytest.mark.parametrize("mode", ["HALTED", "REDUCE_ONLY"])
async def test_a_refused_halt_gives_its_place_back_to_the_one_that_stands(
    chain: Chain, redis: Redis, requests: Requests, mode: str
) -> None:
    first = row(mode, await halt(requests, mode=mode))
    await chain.write(rows=Rows(halts=(first,)))
    second = await halt(requests, reason="x" * 201)
    assert await right(chain, redis, reduces=True) is Right.HALTED
    refused = decision(second, word="refused", command=names.Task.HALT)
    await chain.write(rows=Rows(commands=(refused,)), standing=(first,))
    assert (await redis.get(names.HALT)).decode() == standing_text(first)
    assert await right(chain, redis) is Right.HALTED


async def test_a_refused_halt_gives_back_no_place_that_a_later_one_took(
    chain: Chain, redis: Redis, requests: Requests
) -> None:
    first = row("REDUCE_ONLY", await halt(requests, mode="REDUCE_ONLY"))
    await chain.write(rows=Rows(halts=(first,)))
    second, later = await halt(requests, reason="x" * 201), await halt(requests)
    refused = decision(second, word="refused", command=names.Task.HALT)
    await chain.write(rows=Rows(commands=(refused,)), standing=(first,))
    assert json.loads(await redis.get(names.HALT))["requestId"] == later


async def test_the_journal_makes_redis_halt(chain: Chain, redis: Redis) -> None:
    halted = row("HALTED", "r1")
    await chain.write(rows=Rows(halts=(halted,)))
    assert (await redis.get(names.HALT)).decode() == standing_text(halted)
    assert await right(chain, redis) is Right.HALTED


async def test_a_halt_that_nobody_decides_is_answered_as_what_it_is(redis: Redis, requests: Requests) -> None:
    request = await halt(requests)
    assert await requests.settle(request) is None, "it is too early"
    await redis.hset(names.request_key(request), "deadline", 1)
    answer = json.loads(await requests.settle(request) or b"{}")
    assert (answer["success"], answer["state"]) == (True, "halting")
    record = await requests.read(request)
    assert record is not None
    assert record.decision is None
    await epoch_of(redis, "later")
    assert await requests.claim(request, nonce="later"), "the streamer may still decide it"


def row(mode: str, request: str) -> HaltRow:
    return HaltRow(scope="*", mode=mode, reason="r", actor="a", since=1, request_id=request)
