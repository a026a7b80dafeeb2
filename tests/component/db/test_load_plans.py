"""Loading reads what is recent by its indexes, however long the history: each minute, and at every start."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.db.load import load_state

NOW = 1_800_000_000_000
FILLS = 100_000
FILLED = f"""
    INSERT INTO pms.fills (symbol, exchange_order_id, trade_id, client_order_id, sub_account_id, side, price,
        quantity, commission, commission_asset, realized_pnl, venue_realized_pnl, maker, venue_time)
    SELECT CASE WHEN n < 10 THEN 'IDLE' ELSE 'S' || n % :symbols END, n, n, 'PMS_alice_M_' || n, 'alice',
        'BUY', 1, 1, 0, 'USDT', 0, 0, false, {NOW} - ({FILLS} - n) * 100000
    FROM generate_series(1::bigint, {FILLS}) n
"""
MOVED = f"""
    INSERT INTO pms.moves (seq, line, sub_account_id, symbol, quantity, at)
    SELECT n, 0, 'alice', 'S' || n % :symbols, 1, {NOW} - ({FILLS} - n) * 100000
    FROM generate_series(1::bigint, {FILLS}) n
"""
ENDED = f"""
    INSERT INTO pms.algos (id, kind, sub_account_id, symbol, side, terms, status, outcome, memory, target,
        arrival, fees, maker_qty, reprices, started_at, ended_at, updated_at)
    SELECT n, 'chase', 'alice', 'S', 'BUY', '{{}}', 'finished', 'finished', '{{}}', 1, 1,
        0, 0, 0, {NOW} - ({FILLS} - n) * 100000, {NOW} - ({FILLS} - n) * 100000, {NOW}
    FROM generate_series(1::bigint, {FILLS}) n
"""
REST = (
    f"""INSERT INTO pms.progress SELECT DISTINCT 'funding:' || symbol,
        CASE symbol WHEN 'IDLE' THEN 0 ELSE {NOW - 36_000_000} END FROM pms.fills""",
    "INSERT INTO pms.progress VALUES ('income', 1)",
    f"INSERT INTO pms.cursors SELECT symbol, max(trade_id) - 1, {NOW} FROM pms.fills GROUP BY symbol",
    f"UPDATE pms.journal_cursor SET applied = {FILLS}, entry_at = {NOW}",
    "ANALYZE pms.fills, pms.moves, pms.progress, pms.cursors, pms.orders, pms.algos",
)


@pytest.mark.parametrize("symbols", [1, 40])
async def test_the_history_is_not_read_through(engine: AsyncEngine, symbols: int) -> None:
    async with engine.begin() as connection:
        for statement in (FILLED, MOVED):
            await connection.execute(text(statement), {"symbols": symbols})
        await connection.exec_driver_sql(ENDED)
        for statement in REST:
            await connection.execute(text(statement))
    asked: list[tuple[str, Any]] = []

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    state = await load_state(engine)
    event.remove(engine.sync_engine, "before_cursor_execute", note)
    assert len({symbol for symbol, _, _ in state.fill_keys}) == symbols + 1
    assert len(state.moves) == symbols + 1
    assert 0 < len(state.ended_algos) < FILLS / 100
    async with engine.begin() as connection:
        for statement, parameters in asked:
            if statement.startswith("SET"):
                await connection.exec_driver_sql(statement)
                continue
            lines = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE) {statement}", parameters or None)
            plan = "\n".join(line for (line,) in lines)
            read_through = re.findall(r"Seq Scan on (?:fills|moves|algos)", plan)
            passed_over = [int(count) for count in re.findall(r"Rows Removed by .*: (\d+)", plan)]
            assert not read_through, plan
            assert max(passed_over, default=0) < FILLS / 100, plan
