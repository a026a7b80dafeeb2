"""What the streamer starts from, and what people ask."""

from __future__ import annotations

import pytest
from entries import D, account, command, entry, fill, journal, order, position
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.contract.journal import AlgoRow, CursorRow
from pms.db import engine as engines
from pms.db import queries
from pms.db.errors import Unreachable
from pms.db.fold import fold
from pms.db.load import FILLS_MS, HOUR_MS, RECENT_MS, applied_seq, load_state

NOW = 1_800_000_000_000


async def test_a_fresh_database_is_an_empty_state(engine: AsyncEngine) -> None:
    state = await load_state(engine)
    assert (state.applied, state.entry_at, state.orders, state.fill_keys) == (0, 0, [], set())


async def test_the_state_holds_what_lives_and_what_is_recent(redis: Redis, engine: AsyncEngine) -> None:
    old, recent = NOW - RECENT_MS - 1, NOW - RECENT_MS
    waiting = order("PMS_alice_M_1", updated_at=old)
    just_done = order("PMS_alice_M_2", state="filled", updated_at=recent)
    long_done = order("PMS_alice_M_3", state="filled", updated_at=old)
    lost = order("PMS_alice_M_4", state="unknown", updated_at=old, cancel_wanted=True)
    cursor = CursorRow(symbol="BTCUSDT", trade_id=5, updated_at=1)
    await journal(
        redis,
        [
            entry(
                1,
                at=NOW,
                sub_accounts=(account(balance=D("1.50")),),
                orders=(waiting, just_done, long_done, lost),
                positions=(
                    position(),
                    position(symbol="ETHUSDT", quantity=D(0), cost=D(0)),
                    position(
                        symbol="ETHUSDT", quantity=D(0), cost=D(0), leverage_set=True, position_side="LONG"
                    ),
                ),
                commands=(command("r1", decided_at=old), command("r2", decided_at=recent)),
                cursors=(cursor,),
            )
        ],
    )
    await fold(redis, engine)
    state = await load_state(engine)
    assert (state.applied, state.entry_at) == (1, NOW)
    assert state.sub_accounts == [account(balance=D("1.50"))]
    assert sorted(state.orders, key=lambda row: row.client_order_id) == [waiting, just_done, lost]
    assert state.positions == [
        position(),
        position(symbol="ETHUSDT", quantity=D(0), cost=D(0), leverage_set=True, position_side="LONG"),
    ]
    assert state.commands == [command("r2", decided_at=recent)]
    assert state.cursors == [cursor]
    assert await applied_seq(engine) == 1


async def test_no_fill_that_recovery_may_meet_again_is_missing(redis: Redis, engine: AsyncEngine) -> None:
    """A symbol is asked again from its proven cursor on, which may lie behind the 48 h."""
    old = NOW - 10 * FILLS_MS
    fills = (
        fill(1, symbol="NEW", venue_time=NOW - FILLS_MS - 1),  # long proven
        fill(2, symbol="NEW", venue_time=NOW - FILLS_MS),
        fill(3, symbol="NEW", venue_time=NOW),
        fill(1, symbol="IDLE", venue_time=old - HOUR_MS - 1),
        fill(2, symbol="IDLE", venue_time=old - HOUR_MS),
        fill(3, symbol="IDLE", venue_time=old),  # the cursor stands here
        fill(4, symbol="IDLE", venue_time=old + 1),  # seen by the feed, not yet proven
        fill(1, symbol="NONE", venue_time=1),  # no cursor: everything may come again
        fill(7, symbol="AHEAD", venue_time=1),  # the cursor stands before our first
        fill(9, symbol="NEW", venue_time=2, client_order_id="PMS_alice_M_9"),  # of an open order
    )
    proven = {"NEW": 3, "IDLE": 3, "AHEAD": 2}
    await journal(
        redis,
        [
            entry(
                1,
                at=NOW,
                fills=fills,
                orders=(order("PMS_alice_M_9"),),
                cursors=tuple(CursorRow(symbol=s, trade_id=id, updated_at=1) for s, id in proven.items()),
            )
        ],
    )
    await fold(redis, engine)
    keys = {(symbol, trade_id) for symbol, _, trade_id in (await load_state(engine)).fill_keys}
    assert keys == {
        *{("NEW", 2), ("NEW", 3), ("NEW", 9)},
        *{("IDLE", 2), ("IDLE", 3), ("IDLE", 4)},
        *{("NONE", 1), ("AHEAD", 7)},
    }


async def test_lists_are_filtered_and_newest_first(redis: Redis, engine: AsyncEngine) -> None:
    mine = [order(f"PMS_alice_M_{n}", admitted_at=n, exchange_order_id=n) for n in (1, 2, 3)]
    other = order("PMS_bob_M_1", sub_account_id="bob", symbol="ETHUSDT", state="filled", exchange_order_id=2)
    trades = [fill(n, venue_time=n) for n in (1, 2)]
    await journal(redis, [entry(1, orders=(*mine, other), fills=tuple(trades))])
    await fold(redis, engine)
    assert await queries.orders(engine, sub_account_id="alice") == mine[::-1]
    assert await queries.orders(engine, limit=1) == mine[2:]
    assert await queries.orders(engine, symbol="ETHUSDT") == [other]
    assert await queries.orders(engine, open_only=True, symbol="ETHUSDT") == []
    assert len(await queries.orders(engine, limit=None)) == 4
    assert await queries.fills(engine, symbol="BTCUSDT") == trades[::-1]
    assert await queries.fills(engine, client_order_id="PMS_bob_M_1") == []
    counted = await queries.counts(engine)
    assert (counted.orders, counted.open_orders, counted.fills, counted.applied) == (4, 3, 2, 1)


async def test_a_server_that_is_gone_is_told_in_one_line() -> None:
    engine = engines.create("postgresql://u:hunter2@127.0.0.1:1/db", name="test")
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1") as refused:
        await queries.counts(engine)
    assert "hunter2" not in str(refused.value)
    await engine.dispose()


async def test_of_algos_that_ended_lately_it_names_which(redis: Redis, engine: AsyncEngine) -> None:
    def chase(name: str, ended_at: int | None) -> AlgoRow:
        return AlgoRow(
            id=name,
            kind="chase",
            sub_account_id="alice",
            symbol="BTCUSDT",
            side="BUY",
            terms="{}",
            status="running" if ended_at is None else "finished",
            outcome=None,
            reason=None,
            memory="{}",
            target=D(1),
            arrival=D(1),
            fees=D(0),
            maker_qty=D(0),
            reprices=0,
            started_at=1,
            ended_at=ended_at,
            updated_at=1,
        )

    algos = (chase("runs", None), chase("lately", NOW - RECENT_MS), chase("long-ago", NOW - RECENT_MS - 1))
    await journal(redis, [entry(1, at=NOW, sub_accounts=(account(),), algos=algos)])
    await fold(redis, engine)
    state = await load_state(engine)
    assert [row.id for row in state.algos] == ["runs"]
    assert state.ended_algos == [("chase", "lately")]
