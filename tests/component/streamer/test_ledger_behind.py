"""Health sees in Redis that PostgreSQL takes nothing in, tells it, and closes nothing for it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from redis.asyncio import Redis

from pms.bus.connection import connect
from pms.contract import names
from pms.contract.events import BudgetView
from pms.domain.desk import Desk
from pms.streamer.engine import Engine, Gate
from pms.streamer.feed_lag import FeedLag
from pms.streamer.health import Watch
from pms.streamer.ledger_lag import IN_A_ROW
from pms.streamer.outbox import Outbox


async def no_budget() -> BudgetView:
    return BudgetView(counts=[], blocked_ms=0, known=True)


def watch(redis: Redis, desk: Desk) -> Watch:
    journal: Any = None
    outbox = Outbox(journal, withdraw=lambda _: None, sleep=asyncio.sleep)
    return Watch(
        engine=Engine(desk, outbox, gate=Gate(), redis_now_ms=lambda: 1_000),
        redis=redis,
        monotonic=time.monotonic,
        now_ms=lambda: 1_000,
        sleep=asyncio.sleep,
        market_age_s=lambda: 0.0,
        ages=dict,
        feed_lag=FeedLag(lambda: 1_000),
        user_up=lambda: True,
        expire_stale=lambda: None,
        take_overs=lambda: 0,
        budget=no_budget,
        dead_man=lambda: "off",
    )


async def test_it_is_told_and_over_by_what_redis_says_of_the_fold(redis_url: str) -> None:
    redis, desk = connect(redis_url, name="test"), Desk(epoch="n")
    seen = watch(redis, desk)
    seen.recovered, desk.last_seq = True, 100
    await redis.set(names.APPLIED, 90)
    for _ in range(IN_A_ROW):
        await seen._publish()
    assert desk.incidents.get("ledger_behind", "postgres") is not None
    assert seen.reason() is None
    await redis.set(names.APPLIED, 95)
    await seen._publish()
    assert desk.incidents.get("ledger_behind", "postgres") is None
    await redis.aclose()
