"""A posting: one journal entry with everything that must leave together with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pms.contract.account import Account
from pms.contract.events import AlgoEvent, LiquidationEvent, OrderEvent, PositionEvent, RiskEvent
from pms.contract.journal import (
    FORMAT,
    AlgoRow,
    AlgoSlotRow,
    AssetRow,
    CommandRow,
    CursorRow,
    Entry,
    FeeRow,
    FillRow,
    FundingRow,
    HaltRow,
    IncidentRow,
    IncomeRow,
    LedgerRow,
    LimitRow,
    LiquidationRow,
    MoveRow,
    OrderRow,
    PositionRow,
    ProgressRow,
    Rows,
    SubAccountRow,
    UnwindRow,
)
from pms.contract.results import Result
from pms.domain.open_incidents import OpenIncidents
from pms.domain.positions import Place

Event = OrderEvent | PositionEvent | LiquidationEvent | RiskEvent | AlgoEvent


@dataclass(frozen=True, slots=True)
class Undecided:
    """The entry stands only if the command has no decision and its deadline is not over."""

    request_id: str
    deadline: int


@dataclass(frozen=True, slots=True)
class Posting:
    """One entry, the events it tells and the answers it gives.

    If the guard fails, `otherwise` is journaled in its place and `otherwise_results` are given; the
    desk must then `withdraw` what it had changed in memory.
    """

    entry: Entry
    events: tuple[Event, ...] = ()
    results: tuple[Result, ...] = ()
    so_far: tuple[Result, ...] = ()
    #: what is known of commands of several orders, should their deadline come before the last is proven
    guard: Undecided | None = None
    snapshots: tuple[tuple[str, Account], ...] = ()
    #: of accounts that changed without an event that would carry them
    otherwise: Entry | None = None
    otherwise_results: tuple[Result, ...] = ()
    standing: tuple[HaltRow, ...] = ()
    #: of a refused halt: what stands in its scope, and is in force again
    leverages_were: Mapping[Place, int] = field(default_factory=dict)
    #: of the positions that a command's orders gave another leverage


@dataclass(slots=True)
class Draft:
    """A posting being written: rows by key, events with their own seqs.

    Seqs go on behind `base`, which is `prev` but for the first entry of an epoch: that one jumps ahead
    by time, so that no seq is given twice even if Redis lost its tail.
    """

    prev: int
    base: int
    at: int
    kind: str
    events: list[Event] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    so_far: list[Result] = field(default_factory=list)
    note: dict[str, object] = field(default_factory=dict)
    sub_accounts: dict[str, SubAccountRow] = field(default_factory=dict)
    orders: dict[str, OrderRow] = field(default_factory=dict)
    fills: list[FillRow] = field(default_factory=list)
    positions: dict[Place, PositionRow] = field(default_factory=dict)
    ledger: list[LedgerRow] = field(default_factory=list)
    commands: list[CommandRow] = field(default_factory=list)
    cursors: list[CursorRow] = field(default_factory=list)
    incidents: list[IncidentRow] = field(default_factory=list)
    open_incidents: OpenIncidents = field(default_factory=OpenIncidents)
    #: the desk's; what is noted here is known there at once
    assets: dict[str, AssetRow] = field(default_factory=dict)
    incomes: list[IncomeRow] = field(default_factory=list)
    fundings: list[FundingRow] = field(default_factory=list)
    fees: list[FeeRow] = field(default_factory=list)
    moves: list[MoveRow] = field(default_factory=list)
    progress: list[ProgressRow] = field(default_factory=list)
    halts: dict[str, HaltRow] = field(default_factory=dict)
    limits: dict[tuple[str, str, str], LimitRow] = field(default_factory=dict)
    liquidations: list[LiquidationRow] = field(default_factory=list)
    unwinds: dict[str, UnwindRow] = field(default_factory=dict)
    algos: dict[str, AlgoRow] = field(default_factory=dict)
    algo_slots: dict[tuple[str, int], AlgoSlotRow] = field(default_factory=dict)
    leverages_were: dict[Place, int] = field(default_factory=dict)
    #: not journaled

    @property
    def first_seq(self) -> int:
        """The seq by which this entry's rows are named, whatever number of events follows."""
        return self.base + 1

    @property
    def event_seq(self) -> int:
        """The seq of the next event."""
        return self.base + 1 + len(self.events)

    @property
    def seq(self) -> int:
        """The entry's seq: one for each event or incident it tells, and one at least."""
        return self.base + max(1, len(self.events), len(self.incidents))

    def entry(self, *, seq: int | None = None) -> Entry:
        """The finished entry; an alternative takes the seq of the entry it stands in for."""
        return Entry(
            v=FORMAT,
            seq=self.seq if seq is None else seq,
            prev=self.prev,
            at=self.at,
            kind=self.kind,
            note=self.note,
            rows=Rows(
                sub_accounts=tuple(self.sub_accounts.values()),
                orders=tuple(self.orders.values()),
                fills=tuple(self.fills),
                positions=tuple(self.positions.values()),
                ledger=tuple(self.ledger),
                commands=tuple(self.commands),
                cursors=tuple(self.cursors),
                incidents=tuple(self.incidents),
                assets=tuple(self.assets.values()),
                incomes=tuple(self.incomes),
                fundings=tuple(self.fundings),
                fees=tuple(self.fees),
                moves=tuple(self.moves),
                progress=tuple(self.progress),
                halts=tuple(self.halts.values()),
                limits=tuple(self.limits.values()),
                liquidations=tuple(self.liquidations),
                unwinds=tuple(self.unwinds.values()),
                algos=tuple(self.algos.values()),
                algo_slots=tuple(self.algo_slots.values()),
            ),
        )
