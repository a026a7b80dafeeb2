"""The gateway's views: what they show, and that nobody writes through them."""

from __future__ import annotations

from typing import Any

import pytest
from entries import D, account, entry, fee, fill, funding, journal, line, order, position
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import InternalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.contract.journal import AssetRow
from pms.db import queries
from pms.db.fold import fold
from pms.db.migrations.versions import r0002_views, r0004_foreign_money
from pms.domain.rows import position_from

VIEWS = r0002_views.VIEWS | r0004_foreign_money.VIEWS


async def shown(engine: AsyncEngine, query: str) -> list[dict[str, Any]]:
    async with engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(text(query))).mappings()]


async def test_positions_show_side_size_and_entry_price(redis: Redis, engine: AsyncEngine) -> None:
    await journal(
        redis,
        [
            entry(
                1,
                positions=(
                    position(symbol="A", quantity=D("1.5"), cost=D("75000.15")),
                    position(symbol="B", quantity=D("-3"), cost=D("-10")),
                    position(symbol="C", quantity=D(0), cost=D(0)),
                    # half of the eighth decimal: to even, like the engine's own rounding
                    position(symbol="D", quantity=D(2), cost=D("0.00000001")),
                    position(symbol="E", quantity=D(2), cost=D("0.00000003")),
                ),
            )
        ],
    )
    await fold(redis, engine)
    found = await queries.positions(engine)
    assert [(one.symbol, one.side, one.quantity, one.entry_price) for one in found] == [
        ("A", "LONG", D("1.5"), D("50000.1")),
        ("B", "SHORT", D(3), D("3.33333333")),
        ("D", "LONG", D(2), D(0)),
        ("E", "LONG", D(2), D("0.00000002")),
    ]
    assert [one.break_even_price for one in found] == [one.entry_price for one in found], "paid nothing"
    assert [one.symbol for one in await queries.positions(engine, symbol="B")] == ["B"]
    assert await queries.positions(engine, sub_account_id="bob") == []


async def test_positions_break_even_as_the_engine_says(redis: Redis, engine: AsyncEngine) -> None:
    rows = (
        position(symbol="A", quantity=D("0.2"), cost=D("12066.66666667"), realized_pnl=D("166.66666667")),
        position(symbol="B", quantity=D(-3), cost=D("-10"), fees=D("0.005")),
        position(symbol="C", quantity=D(7), cost=D(100), realized_pnl=D("-0.3"), fees=D("0.12345678")),
        position(symbol="D", quantity=D(2), cost=D("0.00000002"), fees=D("0.00000001")),
        position(symbol="E", quantity=D(-2), cost=D(0), fees=D("0.00000003")),
    )
    await journal(redis, [entry(1, positions=rows)])
    await fold(redis, engine)
    found = await queries.positions(engine)
    assert [one.break_even_price for one in found] == [position_from(row).break_even_price for row in rows]
    assert [one.fees for one in found] == [row.fees for row in rows]


async def test_orders_and_fills_show_averages(redis: Redis, engine: AsyncEngine) -> None:
    filled = order(filled_qty=D("0.5"), filled_quote=D("25000"), state="partially_filled")
    await journal(redis, [entry(1, orders=(filled, order("PMS_alice_M_2", state="void")), fills=(fill(),))])
    await fold(redis, engine)
    orders = await shown(engine, "SELECT * FROM public.pms_orders ORDER BY client_order_id")
    assert [(one["avg_fill_price"], one["is_open"]) for one in orders] == [(D(50000), True), (None, False)]
    (traded,) = await shown(engine, "SELECT * FROM public.pms_fills")
    assert traded["notional"] == D("50.0001000")


async def test_balances_stand_beside_the_sum_of_their_ledger(redis: Redis, engine: AsyncEngine) -> None:
    await journal(
        redis,
        [
            entry(
                1,
                sub_accounts=(account(balance=D("4.5")), account("bob", balance=D(1)), account("carol")),
                ledger=(
                    line(1, "5"),
                    line(1, "-0.5", line=1),
                    line(1, "2", line=2, sub_account_id="nobody"),
                ),
            )
        ],
    )
    await fold(redis, engine)
    found = {
        one.sub_account_id: (one.balance, one.ledger_sum, one.drift, one.agrees)
        for one in await queries.balances(engine)
    }
    assert found == {
        "alice": (D("4.5"), D("4.5"), D(0), True),
        "bob": (D(1), D(0), D(1), False),
        "carol": (D(0), D(0), D(0), True),
        "nobody": (None, D(2), D(-2), False),
    }


async def test_nobody_writes_through_a_view(redis: Redis, engine: AsyncEngine) -> None:
    rows: dict[str, Any] = {
        "sub_accounts": (account(),),
        "orders": (order(),),
        "fills": (fill(),),
        "positions": (position(),),
        "ledger": (line(1, "5"),),
        "fees": (fee(1, None),),
        "fundings": (funding("alice", 1),),
        "assets": (AssetRow(asset="BNB", balance=D(1), updated_at=1),),
    }
    await journal(redis, [entry(1, **rows)])
    await fold(redis, engine)
    for view in VIEWS:
        with pytest.raises(SQLAlchemyError, match=f"view {view} is read-only") as refused:
            async with engine.begin() as connection:
                await connection.execute(text(f"DELETE FROM public.{view}"))
        assert isinstance(refused.value, InternalError)
    assert await queries.accounts(engine) == [account()]


async def test_the_gateways_role_needs_the_views_alone(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("CREATE ROLE gateway_of_a_test"))  # rolled back at the end
        for view in VIEWS:
            await connection.execute(text(f"GRANT SELECT ON public.{view} TO gateway_of_a_test"))
        await connection.execute(text("SET LOCAL ROLE gateway_of_a_test"))
        for view in VIEWS:
            await connection.execute(text(f"SELECT * FROM public.{view}"))
        with pytest.raises(SQLAlchemyError, match="permission denied"):
            await connection.execute(text("SELECT * FROM pms.orders"))
