"""What an algo's machine reads and what it says. Pure: all it knows is in the view.

A machine is asked again whenever anything happened: a tick, a fill, an order's end, a command, the time.
It does not say what to do but what should be: so a fact that came twice, late or not at all cannot make it
do a thing twice, and after a restart the first question finds out what is still to be done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, Protocol, runtime_checkable

from pms.contract.algo_commands import AlgoStart
from pms.contract.commands import Command
from pms.contract.events import BasketFigures, ScalperFigures
from pms.contract.names import BOTH
from pms.domain.algos.algo import ZERO, Algo, Slot, Status
from pms.domain.algos.volumes import DayVolumes, TradedVolumes
from pms.domain.desk import Top
from pms.domain.instrument import Instrument
from pms.domain.orders import Order
from pms.domain.positions import Place, Position


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
    follows: bool = False
    #: its size follows a position: that it would not only reduce passes, and ends nothing
    urgent: bool = False
    #: it closes at market what must be closed: what rests of others makes way for it
    inherits: bool = False
    #: an own order rests in its place, and is being cancelled: who is in the way of both makes way meanwhile


@dataclass(slots=True)
class Plan:
    """What should be. A slot without a want should have no order; one that is kept is left as it is."""

    wants: dict[int, Want] = field(default_factory=dict)
    kept: frozenset[int] = frozenset()
    wake_at: int | None = None
    #: when to ask again although nothing happened, ms
    end: tuple[Status, str] | None = None
    #: what it comes to, and why: its orders are cancelled first
    wrote: set[int] = field(default_factory=set)
    #: slots that it changed, whether they have an order or not: they are journaled


AGAIN_MS = 500
"""When what is not certain is looked at again; nobody tells when it is."""


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
    certain: bool = True
    #: no trade of it can have been missed; else it may be more than is known
    position: Position | None = None
    #: the one that its terms name by id; None as soon as that is closed or turned
    elsewhere: Decimal = ZERO
    #: what orders of others may still take from the position, for an algo that follows it
    leaves: Mapping[int, Decimal] = field(default_factory=dict)
    #: by slot, what its order may still trade: an end that is not proven yet does not count
    sides: tuple[str, ...] = (BOTH,)
    #: the position sides of its account
    volumes: Mapping[tuple[str, int], DayVolumes] = field(default_factory=dict)
    #: by symbol and days, for those who asked for them
    traded: Mapping[str, TradedVolumes] = field(default_factory=dict)
    positions: Mapping[Place, Position] = field(default_factory=dict)
    #: all there are, for an algo that is for several
    beside: Mapping[tuple[Place, str], Decimal] = field(default_factory=dict)
    #: by position and side, what other algos' orders may still take, for one that only reduces


class Whole(NamedTuple):
    """What an algo comes to as a whole, where its slots' quantities cannot be added up."""

    target: Decimal
    filled: Decimal
    average_price: Decimal | None
    arrival_price: Decimal | None
    slippage_bps: Decimal | None
    maker_share: Decimal | None


@runtime_checkable
class Composed(Protocol):
    """A machine that says what its algos come to."""

    def whole(self, algo: Algo) -> Whole:
        """The sum, in a unit that all of it has."""
        ...


@runtime_checkable
class Figured(Protocol):
    """A machine with numbers of its own to be drawn."""

    def figures(self, algo: Algo, *, now: int) -> BasketFigures | ScalperFigures | dict[str, Decimal]:
        """Prices and quantities by name."""
        ...


@runtime_checkable
class Sparing(Protocol):
    """A machine that need not pause when one of its orders is cancelled from outside."""

    def spared(self, algo: Algo, slot: Slot) -> bool:
        """Note that a slot lost its order that way; False: the algo is paused."""
        ...


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
        """What should be now. May write to `algo.memory` and `seen`, to targets and slots' plan only."""
        ...

    def amend(self, algo: Algo, command: Command, view: View) -> None:
        """Take other terms; raises Refusal, and then nothing has changed."""
        ...


@runtime_checkable
class Parted(Protocol):
    """A machine whose algos have parts: each with its own bound, and its own failure."""

    def part_of(self, algo: Algo, slot: Slot) -> tuple[Collection[int], Decimal]:
        """The slots of the part that a slot is of, and the most that may ever be filled in them."""
        ...

    def hopeless(self, algo: Algo, slot: Slot, reason: str) -> None:
        """Note a refusal that time does not cure: it ends the slot's part, and nothing else."""
        ...

    def timed(self, algo: Algo, slot: int) -> bool:
        """Whether a slot's orders have moments of their own."""
        ...


@runtime_checkable
class Closing(Protocol):
    """A machine whose algos close by themselves what their entries opened."""

    def adds(self, algo: Algo, slot: Slot) -> bool:
        """Whether a slot's order only adds to what the algo holds, or may come to hold, and closes.

        To fail for its refusal would take the exits from what is held.
        """
        ...


@runtime_checkable
class Looking(Protocol):
    """A machine whose algos have to know what happens while they are paused."""

    def look(self, algo: Algo, view: View) -> None:
        """Note what is so while it is paused and wants nothing. May write to `algo.memory` and its target."""
        ...


@runtime_checkable
class WindsDown(Protocol):
    """A machine whose algos have something to do before they end."""

    def wind_down(self, algo: Algo, reason: str) -> bool:
        """Begin to end, as a command asks; False where it ends at once."""
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
