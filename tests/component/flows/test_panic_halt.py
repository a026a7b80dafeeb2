"""Panic ends with trading halted, or with a Redis that says nothing of it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr
from redis.asyncio import Redis

from pms.binance.alone import Alone
from pms.binance.client import ExchangeClient, open_session
from pms.bus.connection import connect
from pms.bus.requests import Requests
from pms.contract.names import HALT
from pms.flows.panic import MOST_ROUNDS, Door, Panic, stop_everything
from pms.venue.app import AccountSpec, VenueConfig, serve

Say = Callable[[str], None]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def at_once(_: float) -> None: ...


def door(redis: Redis | None, say: Say, *, reason: str = "a test") -> Door:
    return Door(redis, new_id=lambda: str(uuid4()), say=say, actor="me", reason=reason)


@pytest_asyncio.fixture
async def client() -> AsyncIterator[ExchangeClient]:
    account = AccountSpec.parse("demo:KEY:SECRET:1000")
    venue = await serve(VenueConfig(port=0, accounts=(account,), market="none", limits="off"))
    async with open_session() as session:
        yield ExchangeClient(
            base_url=venue.url,
            api_key=SecretStr("KEY"),
            api_secret=SecretStr("SECRET"),
            session=session,
            clock_ms=now_ms,
            budget=Alone(clock_ms=now_ms),
        )
    await venue.close()


async def test_where_redis_forgets_the_halt_all_begins_anew(client: ExchangeClient, redis_url: str) -> None:
    said: list[str] = []
    async with connect(redis_url, name="test") as redis:

        async def forgets(_: float) -> None:
            if said.count("no order is open") == 0:
                await redis.delete(HALT)

        deps = Panic(client=client, sleep=forgets, new_id=lambda: uuid4().hex[:24], say=said.append)
        assert await stop_everything(deps, door(redis, said.append), ["BTCUSDT"], flat=True)
        assert await redis.exists(HALT)
    assert sum("once more" in line for line in said) == 1
    assert said.count("nothing is held") == 2


async def test_what_is_never_halted_is_not_told_to_be_over(client: ExchangeClient, redis_url: str) -> None:
    said: list[str] = []
    async with connect(redis_url, name="test") as redis:

        async def forgets(_: float) -> None:
            await redis.delete(HALT)

        deps = Panic(client=client, sleep=forgets, new_id=lambda: uuid4().hex[:24], say=said.append)
        assert not await stop_everything(deps, door(redis, said.append), ["BTCUSDT"], flat=False)
    assert said.count("no order is open") == MOST_ROUNDS


async def test_without_a_redis_the_exchange_alone_counts(client: ExchangeClient) -> None:
    said: list[str] = []
    deps = Panic(client=client, sleep=at_once, new_id=lambda: uuid4().hex[:24], say=said.append)
    async with connect("redis://127.0.0.1:1", name="test", timeout_s=0.2) as nowhere:
        assert await stop_everything(deps, door(nowhere, said.append), ["BTCUSDT"], flat=False)
        assert await stop_everything(deps, door(None, said.append), ["BTCUSDT"], flat=False)
    assert sum("Redis does not answer" in line for line in said) == 1
    assert sum("no Redis is known" in line for line in said) == 1


@pytest.mark.parametrize(
    ("typed", "told"),
    [("", "pms panic"), ("  ", "pms panic"), ("crash \udce4", "crash ?"), ("x" * 300, "x" * 200)],
)
async def test_whatever_is_typed_as_the_reason_trading_is_halted(
    client: ExchangeClient, redis_url: str, typed: str, told: str
) -> None:
    said: list[str] = []
    deps = Panic(client=client, sleep=at_once, new_id=lambda: uuid4().hex[:24], say=said.append)
    async with connect(redis_url, name="test") as redis:
        assert await stop_everything(deps, door(redis, said.append, reason=typed), ["BTCUSDT"], flat=False)
        assert json.loads(await redis.get(HALT))["reason"] == told
    assert said[0].startswith("trading is halted")


async def test_a_halt_that_does_not_stand_is_not_told_to(client: ExchangeClient, redis_url: str) -> None:
    said: list[str] = []

    class Deaf(Redis):
        async def get(self, _: object) -> None: ...

    async with connect(redis_url, name="test") as redis:
        await door(Deaf.from_pool(redis.connection_pool), said.append).halt()
    assert said == ["Redis took the halt, and it does not stand: trading is not halted"]


async def test_a_halt_that_fails_holds_no_cancel_up(client: ExchangeClient, monkeypatch: Any) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise LookupError("a fault of ours")

    said: list[str] = []
    monkeypatch.setattr(Requests, "submit", broken)
    deps = Panic(client=client, sleep=at_once, new_id=lambda: uuid4().hex[:24], say=said.append)
    async with connect("redis://127.0.0.1:1", name="test", timeout_s=0.2) as nowhere:
        assert await stop_everything(deps, door(nowhere, said.append), ["BTCUSDT"], flat=False)
    assert "LookupError" in said[0]
