"""What the streamer starts from: the ledger's state at one seq, before the journal's tail.

"Recent" is counted back from the last entry's own time, not from the clock: after an outage of days
the late messages are about what was alive then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import or_, select, text, union_all
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pms.contract.journal import (
    AlgoRow,
    AlgoSlotRow,
    AssetRow,
    CommandRow,
    CursorRow,
    Entry,
    FeeRow,
    FundingRow,
    HaltRow,
    IncidentRow,
    IncomeRow,
    LimitRow,
    OrderRow,
    PositionRow,
    ProgressRow,
    SubAccountRow,
    UnwindRow,
)
from pms.contract.names import HOUSE
from pms.db import models
from pms.db.engine import reading
from pms.db.rows import fetch, select_as
from pms.domain.day_results import DAY_MS, DAYS_KEPT, RESULTS, DayResult, day_of
from pms.domain.treasury import INCOME, WALLET, Move

HOUR_MS: Final = 3_600_000
RECENT_MS: Final = 24 * HOUR_MS
FILLS_MS: Final = 48 * HOUR_MS
MOST_INCIDENTS: Final = 2_000


@dataclass(frozen=True, slots=True)
class LoadedState:
    """Everything at `applied`; the journal's entries behind it complete it, newest row of a key wins."""

    applied: int
    entry_at: int
    sub_accounts: list[SubAccountRow]
    #: open ones, and those whose leverage stands: any other says nothing that its opening does not say anew
    positions: list[PositionRow]
    #: unfinished ones, and those finished in the last 24 h, so that late messages find their order
    orders: list[OrderRow]
    #: symbol, exchange order id, trade id of every fill that recovery may meet again
    fill_keys: set[tuple[str, int, int]]
    #: of the last 24 h, oldest first: a repeated requestId gets its first answer
    commands: list[CommandRow]
    cursors: list[CursorRow]
    #: the newest that are not resolved, oldest first
    incidents: list[IncidentRow]
    assets: list[AssetRow]
    progress: list[ProgressRow]
    #: from the time on from which the history will be read again
    incomes: list[IncomeRow]
    #: without a price
    fees: list[FeeRow]
    #: the house's rows of the last two days: which fundings are booked, at what rate
    fundings: list[FundingRow]
    #: by symbol, every change of a position since its last funding
    moves: dict[str, list[Move]]
    #: those in force
    halts: list[HaltRow]
    #: those that are set
    limits: list[LimitRow]
    #: by account and UTC day, of the last two days
    results: list[DayResult]
    #: entries behind `applied` that are in the archive, in order
    tail: list[Entry] = field(default_factory=list)
    #: those that are not done; files of an older release have none
    unwinds: list[UnwindRow] = field(default_factory=list)
    #: those that run, and their slots; files of an older release have none
    algos: list[AlgoRow] = field(default_factory=list)
    algo_slots: list[AlgoSlotRow] = field(default_factory=list)
    ended_algos: list[tuple[str, str]] = field(default_factory=list)
    #: kind and id of those that ended lately: Redis may have lost that they did


# Of what came "since then" the planner guesses a third of all there is, and on disk a third is read soonest
# by reading everything. So pages cost it nothing here, and it counts rows.
_COUNT_ROWS = text("SET LOCAL seq_page_cost = 0; SET LOCAL random_page_cost = 0")

# A symbol's trades are fetched again from its proven cursor on, however long ago that was: so the
# keys reach back to an hour before it, or to 48 h, whichever is further; without a cursor, to the
# first. The recursion hops from symbol to symbol along the primary key.
#
# Each symbol is a range of its own on the index by symbol and time: OFFSET 0 keeps them from becoming one
# join, which reads all fills. The newest proven fill is asked for without `=`, which would let it be looked
# for backwards through everybody's times: for a symbol long idle that is all of them, too.
_FILL_KEYS = text(
    f"""
    WITH RECURSIVE traded (symbol) AS (
        SELECT min(symbol) FROM pms.fills
        UNION ALL
        SELECT (SELECT min(f.symbol) FROM pms.fills f WHERE f.symbol > t.symbol)
        FROM traded t WHERE t.symbol IS NOT NULL
    ),
    since AS (
        SELECT t.symbol, least(:horizon, coalesce(proven.venue_time - {HOUR_MS}, 0)) AS venue_time
        FROM traded t
        LEFT JOIN pms.cursors c ON c.symbol = t.symbol
        LEFT JOIN LATERAL (
            SELECT f.venue_time FROM pms.fills f
            WHERE f.symbol >= t.symbol AND f.symbol <= t.symbol AND f.trade_id <= c.trade_id
            ORDER BY f.symbol DESC, f.venue_time DESC LIMIT 1
        ) proven ON true
        WHERE t.symbol IS NOT NULL
    )
    SELECT f.symbol, f.exchange_order_id, f.trade_id
    FROM since s CROSS JOIN LATERAL (
        SELECT * FROM pms.fills f WHERE f.symbol = s.symbol AND f.venue_time >= s.venue_time OFFSET 0
    ) f
    UNION
    SELECT f.symbol, f.exchange_order_id, f.trade_id
    FROM pms.orders o JOIN pms.fills f ON f.client_order_id = o.client_order_id
    WHERE o.{models.IS_OPEN}
    """
)


# What moved since each symbol's last funding, whose name is "funding:" and the symbol; ranges as above.
_MOVES = text(
    """
    SELECT f.symbol, f.venue_time AS at, f.sub_account_id, f.position_side,
        CASE f.side WHEN 'BUY' THEN f.quantity ELSE -f.quantity END AS quantity
    FROM pms.progress p CROSS JOIN LATERAL (
        SELECT * FROM pms.fills f WHERE f.symbol = substr(p.name, 9) AND f.venue_time > p.at OFFSET 0
    ) f
    WHERE p.name LIKE 'funding:%'
    UNION ALL
    SELECT m.symbol, m.at, m.sub_account_id, m.position_side, m.quantity
    FROM pms.progress p CROSS JOIN LATERAL (
        SELECT * FROM pms.moves m WHERE m.symbol = substr(p.name, 9) AND m.at > p.at OFFSET 0
    ) m
    WHERE p.name LIKE 'funding:%'
    """
)


_RESULTS = text(
    """
    SELECT sub_account_id, at / :day_ms AS day, sum(amount)
    FROM pms.ledger_entries
    WHERE at >= :since AND asset = :asset AND reason = ANY(:reasons)
    GROUP BY 1, 2
    """
)


async def load_state(engine: AsyncEngine) -> LoadedState:
    """Read the state in one snapshot; fast whatever the length of history. Raises Unreachable."""
    async with reading(engine) as connection:
        await connection.execute(_COUNT_ROWS)
        cursor = (
            await connection.execute(
                select(models.journal_cursor.c.applied, models.journal_cursor.c.entry_at)
            )
        ).one()
        recent = cursor.entry_at - RECENT_MS
        return LoadedState(
            applied=cursor.applied,
            entry_at=cursor.entry_at,
            sub_accounts=await fetch(
                connection, select_as(SubAccountRow, models.sub_accounts), SubAccountRow
            ),
            positions=await fetch(
                connection,
                select_as(PositionRow, models.positions).where(
                    or_(models.positions.c.quantity != 0, models.positions.c.leverage_set)
                ),
                PositionRow,
            ),
            orders=await _orders(connection, recent),
            fill_keys=await _fill_keys(connection, cursor.entry_at - FILLS_MS),
            commands=await fetch(
                connection,
                select_as(CommandRow, models.commands)
                .where(models.commands.c.decided_at >= recent)
                .order_by(models.commands.c.decided_at),
                CommandRow,
            ),
            cursors=await fetch(connection, select_as(CursorRow, models.cursors), CursorRow),
            incidents=await _incidents(connection),
            assets=await fetch(connection, select_as(AssetRow, models.assets), AssetRow),
            progress=await fetch(connection, select_as(ProgressRow, models.progress), ProgressRow),
            incomes=await _incomes(connection),
            fees=await fetch(
                connection, select_as(FeeRow, models.fees).where(models.fees.c.price.is_(None)), FeeRow
            ),
            fundings=await fetch(
                connection,
                select_as(FundingRow, models.fundings).where(
                    models.fundings.c.sub_account_id == HOUSE,
                    models.fundings.c.at >= cursor.entry_at - FILLS_MS,
                ),
                FundingRow,
            ),
            moves=await _moves(connection),
            halts=await fetch(
                connection,
                select_as(HaltRow, models.halts).where(models.halts.c.mode != "RESUMED"),
                HaltRow,
            ),
            limits=await fetch(
                connection,
                select_as(LimitRow, models.limits).where(models.limits.c.value.is_not(None)),
                LimitRow,
            ),
            results=await _results(connection, cursor.entry_at),
            unwinds=await fetch(
                connection,
                select_as(UnwindRow, models.unwinds).where(models.unwinds.c.quantity != 0),
                UnwindRow,
            ),
            algos=await fetch(
                connection, select_as(AlgoRow, models.algos).where(models.algos.c.ended_at.is_(None)), AlgoRow
            ),
            algo_slots=await fetch(
                connection,
                select_as(AlgoSlotRow, models.algo_slots).where(
                    models.algo_slots.c.algo_id.in_(
                        select(models.algos.c.id).where(models.algos.c.ended_at.is_(None))
                    )
                ),
                AlgoSlotRow,
            ),
            ended_algos=[
                (row.kind, row.id)
                for row in await connection.execute(
                    select(models.algos.c.kind, models.algos.c.id).where(
                        models.algos.c.ended_at >= cursor.entry_at - RECENT_MS
                    )
                )
            ],
        )


async def applied_seq(engine: AsyncEngine) -> int:
    """The seq of the last entry in PostgreSQL; 0 before the first. Raises Unreachable."""
    async with reading(engine) as connection:
        seq: int = (await connection.execute(select(models.journal_cursor.c.applied))).scalar_one()
        return seq


async def day_results(engine: AsyncEngine, *, now: int) -> list[DayResult]:
    """What each account won or lost today and on the day before. Raises Unreachable."""
    async with reading(engine) as connection:
        return await _results(connection, now)


async def _orders(connection: AsyncConnection, recent: int) -> list[OrderRow]:
    """Each half by its own partial index, whose condition must stand in the query as it is."""
    every = select_as(OrderRow, models.orders)
    unfinished = every.where(text(models.IS_OPEN))
    finished = every.where(text(models.IS_TERMINAL), models.orders.c.updated_at >= recent)
    return await fetch(connection, union_all(unfinished, finished), OrderRow)


async def _incidents(connection: AsyncConnection) -> list[IncidentRow]:
    newest = (
        select_as(IncidentRow, models.incidents)
        .where(text("state <> 'resolved'"))
        .order_by(models.incidents.c.seq.desc())
    )
    return (await fetch(connection, newest.limit(MOST_INCIDENTS), IncidentRow))[::-1]


async def _incomes(connection: AsyncConnection) -> list[IncomeRow]:
    since = select(models.progress.c.at).where(models.progress.c.name == INCOME).scalar_subquery()
    every = select_as(IncomeRow, models.incomes)
    return await fetch(connection, every.where(models.incomes.c.at >= since), IncomeRow)


async def _results(connection: AsyncConnection, entry_at: int) -> list[DayResult]:
    since = (day_of(entry_at) - DAYS_KEPT + 1) * DAY_MS
    found = await connection.execute(
        _RESULTS, {"since": since, "reasons": list(RESULTS), "asset": WALLET, "day_ms": DAY_MS}
    )
    return [DayResult(account, day, amount) for account, day, amount in found]


async def _moves(connection: AsyncConnection) -> dict[str, list[Move]]:
    moves: dict[str, list[Move]] = {}
    for symbol, at, account, side, quantity in await connection.execute(_MOVES):
        moves.setdefault(symbol, []).append(Move(at, account, quantity, side))
    return moves


async def _fill_keys(connection: AsyncConnection, horizon: int) -> set[tuple[str, int, int]]:
    found = await connection.execute(_FILL_KEYS, {"horizon": horizon})
    return {(symbol, order_id, trade_id) for symbol, order_id, trade_id in found}
