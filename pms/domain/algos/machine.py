"""What an algo's machine reads and what it says. Pure: all it knows is in the view.

A machine is asked again whenever anything happened: a tick, a fill, an order's end, a command, the time.
It does not say what to do but what should be: so a fact that came twice, late or not at all cannot make it
do a thing twice, and after a restart the first question finds out what is still to be done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from pms.contract.algo_commands import AlgoStart
from pms.contract.commands import Command
from pms.domain.algos.algo import Algo, Slot, Status
from pms.domain.algos.volumes import DayVolumes, TradedVolumes
from pms.domain.desk import Top
from pms.domain.instrument import Instrument
from pms.domain.orders import Order


class Want(NamedTuple):
    """The order that a slot should have at the exchange now."""

    quantity: Decimal
    #: what may still trade of it
    price: Decimal | None
    #: None: at market
    time_in_force: str | None = None
    reduce_only: bool = False
    position_side: str | None = None
    leverage: int | None = None
    every_ms: int = 500
    #: least time between two moves of the order


@dataclass(slots=True)
class Plan:
    """What should be. A slot without a want should have no order; one that is kept is left as it is."""

    wants: dict[int, Want] = field(default_factory=dict)
    kept: frozenset[int] = frozenset()
    written: set[int] = field(default_factory=set)
    #: slots in whose plan the machine wrote, besides those that it wants something of: journaled
    wake_at: int | None = None
    #: when to ask again although nothing happened, ms
    end: tuple[Status, str] | None = None
    #: what it comes to, and why: its orders are cancelled first


@dataclass(frozen=True, slots=True)
class View:
    """What is so, as a machine may know it. Trap: a symbol out of sync has no top."""

    now: int
    tops: Mapping[str, Top]
    instruments: Mapping[str, Instrument]
    orders: Mapping[int, Order]
    #: by slot, those that live or are unknown
    held: Decimal
    #: the position that the algo is for, signed; zero where it is for several
    volumes: Mapping[tuple[str, int], DayVolumes] = field(default_factory=dict)
    #: by symbol and days, for those who asked for them
    traded: Mapping[str, TradedVolumes] = field(default_factory=dict)


class Machine(Protocol):
    """One kind of algo."""

    kind: str
    origin: str
    #: the word in its orders' events
    letter: str
    #: in its orders' ids

    def begin(self, terms: Any, view: View) -> Beginning:
        """Slots and memory at the start; raises Refusal for terms that cannot be."""
        ...

    def plan(self, algo: Algo, view: View) -> Plan:
        """What should be now. May write to `algo.memory` and to slots' plan; to nothing else."""
        ...

    def amend(self, algo: Algo, command: Command, view: View) -> None:
        """Take other terms; raises Refusal, and then nothing has changed."""
        ...


@dataclass(frozen=True, slots=True)
class Beginning:
    """An algo as it begins."""

    symbol: str
    side: str
    target: Decimal
    arrival: Decimal
    slots: list[Slot]
    memory: dict[str, Any] = field(default_factory=dict)
    terms: AlgoStart | None = None
    #: where they are other than was asked: on the symbol's grid
