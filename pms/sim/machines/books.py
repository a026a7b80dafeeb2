"""PostgreSQL, simulated: the fold's own statements over tables that are dicts.

It stands in for SQLAlchemy's engine, so the fold itself, its chain and its transaction, is the real one.
A commit is all or nothing; it can fail before or after, and the server can be away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from math import inf
from types import TracebackType
from typing import Any

import msgspec
from sqlalchemy.exc import OperationalError

from pms.contract.journal import Entry
from pms.contract.names import HOUSE
from pms.db.errors import Unreachable
from pms.db.fold import _LOCK, _MOVE
from pms.db.load import FILLS_MS, HOUR_MS, MOST_INCIDENTS, RECENT_MS, LoadedState
from pms.db.models import ROW_TABLES, RowTable
from pms.db.upsert import Batch, Contradiction, differing_sql, gather, insert_sql
from pms.domain.day_results import DAYS_KEPT, RESULTS, DayResult, day_of
from pms.domain.orders import State
from pms.domain.treasury import INCOME, WALLET, Move
from pms.sim.machines.loop import Loop
from pms.sim.machines.network import Network
from pms.streamer.books import LOCK_WITHIN_S

LEAST_S, MOST_S = 0.001, 0.004
Key = tuple[Any, ...]
Tables = dict[str, dict[Key, Any]]
_INSERTS = {insert_sql(table): table for table in ROW_TABLES}
_DIFFERING = {differing_sql(table): table for table in ROW_TABLES}
_DECODERS = {table.field: msgspec.json.Decoder(list[table.row]) for table in ROW_TABLES}  # type: ignore[name-defined]
_TERMINAL = {state.value for state in State if state.terminal}


@dataclass(slots=True)
class Fold:
    """Rows by table and key: the newest of a key wins. Memory, journal and database are all such a fold."""

    applied: int = 0
    entry_at: int = 0
    tables: Tables = field(default_factory=lambda: {table.field: {} for table in ROW_TABLES})

    def take(self, entry: Entry) -> None:
        """Lay one entry over what is there. Raises Contradiction."""
        batch: Batch = {}
        gather(batch, entry.rows)
        for table, rows in batch.items():
            self.write(table, rows)
        self.applied, self.entry_at = entry.seq, entry.at

    def write(self, table: RowTable, rows: dict[Key, Any]) -> None:
        """Write rows; what is written once must not differ."""
        kept = self.tables[table.field]
        for key, row in rows.items():
            if table.once and kept.get(key, row) != row:
                raise Contradiction(table, key)
            kept[key] = row

    def copy(self) -> Fold:
        """The same rows once more."""
        return Fold(self.applied, self.entry_at, {name: dict(rows) for name, rows in self.tables.items()})

    def loaded(self) -> LoadedState:
        """What the streamer starts from, by the same rules as the database's query."""
        tables, recent = self.tables, self.entry_at - RECENT_MS
        fills = list(tables["fills"].values())
        cursors = list(tables["cursors"].values())
        proven = {row.symbol: self._venue_time(fills, row) for row in cursors}
        horizon = self.entry_at - FILLS_MS
        unfinished = {key for key, row in tables["orders"].items() if row.state not in _TERMINAL}
        running = [row for row in tables["algos"].values() if row.ended_at is None]
        alive = {row.id for row in running}
        return LoadedState(
            applied=self.applied,
            entry_at=self.entry_at,
            sub_accounts=list(tables["sub_accounts"].values()),
            positions=[row for row in tables["positions"].values() if row.quantity or row.leverage_set],
            orders=[
                row
                for row in tables["orders"].values()
                if row.state not in _TERMINAL or row.updated_at >= recent
            ],
            fill_keys={
                (row.symbol, row.exchange_order_id, row.trade_id)
                for row in fills
                if row.venue_time >= min(horizon, proven.get(row.symbol, 0))
                or (row.client_order_id,) in unfinished
            },
            commands=sorted(
                (row for row in tables["commands"].values() if row.decided_at >= recent),
                key=lambda row: row.decided_at,
            ),
            cursors=cursors,
            incidents=sorted(
                (row for row in tables["incidents"].values() if row.state != "resolved"),
                key=lambda row: row.seq,
            )[-MOST_INCIDENTS:],
            assets=list(tables["assets"].values()),
            progress=list(tables["progress"].values()),
            incomes=[row for row in tables["incomes"].values() if row.at >= self._read_to(INCOME)],
            fees=[row for row in tables["fees"].values() if row.price is None],
            fundings=[
                row
                for row in tables["fundings"].values()
                if row.sub_account_id == HOUSE and row.at >= horizon
            ],
            moves=self._moves(),
            halts=[row for row in tables["halts"].values() if row.mode != "RESUMED"],
            limits=[row for row in tables["limits"].values() if row.value is not None],
            results=self.results(),
            unwinds=[row for row in tables["unwinds"].values() if row.quantity],
            algos=running,
            algo_slots=[row for row in tables["algo_slots"].values() if row.algo_id in alive],
        )

    def results(self) -> list[DayResult]:
        """The ledger's results by account and day, of the last days."""
        since = day_of(self.entry_at) - DAYS_KEPT + 1
        sums: dict[tuple[str, int], Decimal] = {}
        for row in self.tables["ledger"].values():
            if row.asset == WALLET and row.reason in RESULTS and day_of(row.at) >= since:
                key = row.sub_account_id, day_of(row.at)
                sums[key] = sums.get(key, Decimal(0)) + row.amount
        return [DayResult(account, day, amount) for (account, day), amount in sums.items()]

    def _read_to(self, history: str) -> float:
        """How far a history of the exchange has been read; nothing of one that never was."""
        row = self.tables["progress"].get((history,))
        return inf if row is None else row.at

    def _moves(self) -> dict[str, list[Move]]:
        """Every change of a position since its symbol's last funding, where that has been read."""
        changes = [
            (
                row.symbol,
                row.venue_time,
                row.sub_account_id,
                row.position_side,
                row.quantity if row.side == "BUY" else -row.quantity,
            )
            for row in self.tables["fills"].values()
        ]
        changes += [
            (row.symbol, row.at, row.sub_account_id, row.position_side, row.quantity)
            for row in self.tables["moves"].values()
        ]
        moves: dict[str, list[Move]] = {}
        for symbol, at, account, side, quantity in changes:
            if at > self._read_to(f"funding:{symbol}"):
                moves.setdefault(symbol, []).append(Move(at, account, quantity, side))
        return moves

    @staticmethod
    def _venue_time(fills: list[Any], cursor: Any) -> int:
        times = [
            row.venue_time for row in fills if row.symbol == cursor.symbol and row.trade_id <= cursor.trade_id
        ]
        return max(times) - HOUR_MS if times else 0


class Books:
    """The database; its face is that of an AsyncEngine."""

    def __init__(self, loop: Loop, network: Network, opening: Entry) -> None:
        self._loop = loop
        self._network = network
        self.held = False
        self.fold = Fold()
        self.fold.take(opening)
        self.up = True
        self.committed: Callable[[int], None] = _nobody

    def begin(self) -> Transaction:
        """A transaction, as `AsyncEngine.begin` gives it."""
        return Transaction(self, self._loop, self._network)

    async def read(self, forgot: bool) -> LoadedState:
        """The state that a streamer starts from; not while somebody folds: here is no archive to hold."""
        waited = 0.0
        while self.held and (forgot or waited < LOCK_WITHIN_S):
            await asyncio.sleep(LEAST_S)
            waited += LEAST_S
        try:
            await self.round_trip()
        except OperationalError as error:
            raise Unreachable(error) from None
        return self.fold.loaded()

    async def round_trip(self) -> None:
        """One statement's way; raises where the server is away."""
        await asyncio.sleep(self._network.delay(LEAST_S, MOST_S))
        if not self.up:
            raise _away("the server is away")


class Transaction:
    """One transaction, which holds the cursor's row from its first statement on."""

    def __init__(self, books: Books, loop: Loop, network: Network) -> None:
        self._books = books
        self._loop = loop
        self._network = network
        self._rows: list[tuple[RowTable, dict[Key, Any]]] = []
        self._moved: tuple[int, int] | None = None
        self._holds = False

    async def __aenter__(self) -> Transaction:
        await self._books.round_trip()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self._commit()
        finally:
            self.let_go()

    async def execute(self, statement: object, parameters: dict[str, Any] | None = None) -> Any:
        """The two statements about the cursor."""
        if statement is _LOCK:
            while self._books.held:  # noqa: ASYNC110  a dead holder lets go without telling anybody
                await asyncio.sleep(LEAST_S)
            self._holds = self._books.held = True
            self._loop.in_process().last_wishes.append(self.let_go)
            return _Scalar(self._books.fold.applied)
        assert statement is _MOVE
        assert parameters is not None
        self._moved = (parameters["applied"], parameters["entry_at"])
        return None

    async def exec_driver_sql(self, statement: str, parameters: tuple[str]) -> Any:
        """One table's rows of a batch."""
        table = _INSERTS[statement]
        rows = {
            tuple(getattr(row, name) for name in table.key): row
            for row in _DECODERS[table.field].decode(parameters[0])
        }
        kept = self._books.fold.tables[table.field]
        self._rows.append((table, rows))
        return _Written(sum(not table.once or key not in kept for key in rows))

    async def run_sync(self, work: Callable[..., None], table: RowTable, text: str) -> None:
        """Look for rows that are written once and differ."""
        work(_Differing(self._books.fold), table, text)

    def let_go(self) -> None:
        """End the transaction; a dead client's is rolled back by the server."""
        if self._holds:
            self._holds = self._books.held = False

    async def _commit(self) -> None:
        rule = self._network.strike("postgres", "COMMIT") if self._network.rules else None
        if rule is not None and rule.kind == "commit_lost_before":
            raise _away("the connection was lost")
        await self._books.round_trip()
        fold = self._books.fold
        for table, rows in self._rows:
            fold.write(table, rows)
        if self._moved is not None:
            fold.applied, fold.entry_at = self._moved
            self._books.committed(fold.applied)
        if rule is not None:
            raise _away("the connection was lost")


@dataclass(frozen=True, slots=True)
class _Scalar:
    value: int

    def scalar_one(self) -> int:
        return self.value


@dataclass(frozen=True, slots=True)
class _Written:
    rowcount: int


@dataclass(frozen=True, slots=True)
class _Differing:
    fold: Fold

    def exec_driver_sql(self, statement: str, parameters: tuple[str]) -> _Differing | _First:
        table = _DIFFERING[statement]
        kept = self.fold.tables[table.field]
        for row in _DECODERS[table.field].decode(parameters[0]):
            key = tuple(getattr(row, name) for name in table.key)
            if kept.get(key, row) != row:
                return _First(key)
        return _First(None)


@dataclass(frozen=True, slots=True)
class _First:
    key: Key | None

    def first(self) -> Key | None:
        return self.key


def _away(text: str) -> OperationalError:
    return OperationalError("statement", {}, Exception(text))


def _nobody(_: int) -> None:
    """Nobody looks on."""
