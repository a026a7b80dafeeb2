"""What the streamer starts from, of limits: settings, groups, and what each account won or lost today."""

from __future__ import annotations

from entries import D, account, entry, journal, line
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.contract.journal import LimitRow
from pms.db import queries
from pms.db.fold import fold
from pms.db.load import load_state
from pms.domain.day_results import DAY_MS, DayResult

DAY = 20_000
NOON = DAY * DAY_MS + DAY_MS // 2


def limit(scope: str, value: str | None, **more: str) -> LimitRow:
    fields = {"name": "leverage", "symbol": "", "actor": "ann", "reason": "r", "request_id": "q", **more}
    return LimitRow(scope=scope, value=value, at=1, **fields)  # type: ignore[arg-type]


async def test_settings_and_groups_are_loaded_those_removed_are_not(
    redis: Redis, engine: AsyncEngine
) -> None:
    mine, theirs = limit("alice", "5.50", symbol="BTCUSDT"), limit("group:fast", "2")
    await journal(
        redis,
        [
            entry(1, sub_accounts=(account(), account("bob")), limits=(limit("*", "1"), mine, theirs)),
            entry(2, sub_accounts=(account(group="fast"),), limits=(limit("*", None),)),
        ],
    )
    await fold(redis, engine)
    state = await load_state(engine)
    assert sorted(state.limits, key=lambda row: row.scope) == [mine, theirs]
    assert await queries.limits(engine) == [mine, theirs]
    assert {row.id: row.group for row in state.sub_accounts} == {"alice": "fast", "bob": "default"}


async def test_results_are_added_up_by_account_and_utc_day(redis: Redis, engine: AsyncEngine) -> None:
    midnight = DAY * DAY_MS
    told = [
        ("alice", "-10.5", "REALIZED_PNL", midnight),
        ("alice", "-0.25", "COMMISSION", NOON),
        ("alice", "0.125", "FUNDING", NOON),
        ("alice", "-1", "FEE", NOON + DAY_MS),
        ("alice", "-7", "REALIZED_PNL", midnight - 1),
        ("alice", "-100", "REALIZED_PNL", midnight - DAY_MS - 1),
        ("alice", "500", "TRANSFER", NOON),
        ("bob", "3", "REALIZED_PNL", NOON),
        ("house", "-3", "NETTING", NOON),
    ]
    lines = tuple(
        line(1, amount, line=number, sub_account_id=owner, reason=reason, at=at)
        for number, (owner, amount, reason, at) in enumerate(told)
    )
    other = line(1, "-9", line=99, asset="BNB", reason="COMMISSION", at=NOON)
    await journal(redis, [entry(1, at=NOON, ledger=(*lines, other))])
    await fold(redis, engine)
    assert sorted((await load_state(engine)).results) == [
        DayResult("alice", DAY - 1, D("-7")),
        DayResult("alice", DAY, D("-10.625")),
        DayResult("alice", DAY + 1, D("-1")),
        DayResult("bob", DAY, D(3)),
    ]
