"""The legs of a basket: each an algo of its own kind, worked by that kind's machine on slots lent to it.

A leg's slots stand together in the basket, its machine's first and the one that would unwind it last. They
are all there from the start: so an order that only the exchange remembers always finds its slot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from pms.contract.algo_commands import Chase, Twap
from pms.contract.basket import Basket, OneOrder
from pms.domain.algos.algo import ZERO, Algo, Slot, Status
from pms.domain.algos.chase import ChaseMachine, resting_price
from pms.domain.algos.exits import opposite
from pms.domain.algos.machine import Beginning, Machine, Plan, View
from pms.domain.algos.one_order import OneOrderMachine
from pms.domain.algos.targets import too_little
from pms.domain.algos.twap import TwapMachine, lowest_price
from pms.domain.desk import Top
from pms.domain.instrument import Instrument
from pms.domain.positions import Place

WAITING, RUNNING, ENDING, DONE, FAILED = "waiting", "running", "ending", "done", "failed"
OVER = frozenset({DONE, FAILED})
_MACHINES: dict[type, Machine] = {
    OneOrder: OneOrderMachine(),
    Chase: ChaseMachine(),
    Twap: TwapMachine(),
}


def machine_of(terms: OneOrder | Chase | Twap) -> Machine:
    """The machine that works a leg."""
    return _MACHINES[type(terms)]


def capacity(terms: OneOrder | Chase | Twap) -> int:
    """How many slots a leg's machine may come to need."""
    if not isinstance(terms, Twap):
        return 1
    if terms.on_missed == "skip":
        return terms.lots
    # Each slice behind the end takes an interval of the overtime
    return terms.lots + int(terms.lots * terms.overtime / 100) + 2


def first_memory(beginning: Beginning, *, first: int, slots: int, mid: Decimal) -> dict[str, Any]:
    """What a basket keeps in mind of a leg that waits."""
    return {
        "state": WAITING,
        "reason": None,
        "first": first,
        "slots": slots,
        "target": beginning.target,
        "mid": mid,
        "from": None,
        "since": None,
        "until": None,
        "memory": {},
    }


class LentSlot(Slot):
    """A slot of the basket under the number that it has in its leg; notes when it is written to.

    Trap: it has nothing of its own but that number: all else is read from and written to the basket's slot.
    """

    __slots__ = ("_own", "_touched")

    def __init__(self, own: Slot, number: int, touched: set[int]) -> None:
        for name, value in (("_own", own), ("_touched", touched), ("number", number)):
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        # Asked for whatever was never set here: the fields that it inherits
        return getattr(self._own, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(self._own, name) != value:
            setattr(self._own, name, value)
            self._touched.add(self._own.number)


@dataclass(slots=True)
class Leg:
    """One leg of one basket."""

    algo: Algo
    number: int
    memory: dict[str, Any]
    terms: OneOrder | Chase | Twap
    #: what it would have been started with alone
    numbers: range
    #: its machine's slots
    touched: set[int] = field(default_factory=set)
    #: the basket's slots that its machine wrote to
    _own: Algo | None = None

    @property
    def name(self) -> str:
        return f"legs[{self.number}]"

    @property
    def state(self) -> str:
        return str(self.memory["state"])

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def first(self) -> int:
        return self.numbers.start

    @property
    def undo(self) -> Slot:
        """The slot that unwinds it."""
        return self.algo.slots[self.numbers.stop]

    @property
    def slots(self) -> list[Slot]:
        return [self.algo.slots[number] for number in self.numbers]

    @property
    def target(self) -> Decimal:
        return Decimal(self.memory["target"])

    @property
    def mid(self) -> Decimal:
        """Where the market was when the basket began."""
        return Decimal(self.memory["mid"])

    @property
    def filled(self) -> Decimal:
        return sum((slot.filled for slot in self.slots), ZERO)

    @property
    def busy(self) -> set[int]:
        """Its machine's slots with an order, known, unknown or not proven to be over."""
        own = self.numbers
        return {number for number in self.algo.busy if number in own}

    @property
    def place(self) -> Place:
        return self.terms.place

    def complete(self, view: View) -> bool:
        """Whether nothing is left that an order could be for, neither now nor when the basket began.

        Trap: a market that falls may make all of it too little, and what could be an order is no leftover.
        """
        instrument, top = view.instruments.get(self.terms.symbol), view.tops.get(self.terms.symbol)
        left = max(self.target - self.filled, ZERO)
        if instrument is None or not self.filled:
            return not left
        tops = [Top(self.mid, ZERO, self.mid, ZERO, 0), *([] if top is None else [top])]
        price = max(_order_price(self.terms, instrument, each) for each in tops)
        reduces, note = self.terms.reduce_only, self.algo.slots[self.first].note
        return too_little(
            instrument, left, price=price, reduce_only=reduces, market=_at_market(self.terms), note=note
        )

    def begin(self, view: View, wrote: set[int]) -> None:
        """Start it; raises Refusal, and then nothing has changed."""
        beginning = machine_of(self.terms).begin(self.terms, seen_by(self.terms, view))
        take_slots(self.algo, self.first, beginning.slots)
        wrote |= {self.first + slot.number for slot in beginning.slots}
        self.memory.update(state=RUNNING, since=view.now, memory=beginning.memory)
        self.memory["from"] = beginning.arrival

    def plan(self, view: View, wrote: set[int]) -> Plan:
        """What its machine wants, by the basket's slots."""
        plan = machine_of(self.terms).plan(self._lent(), self._seen(view))
        wrote |= self.touched
        self.touched.clear()
        return Plan(
            wants={self.first + number: want for number, want in plan.wants.items()},
            kept=frozenset(self.first + number for number in plan.kept),
            wake_at=plan.wake_at,
            end=plan.end,
        )

    def _lent(self) -> Algo:
        """The leg as an algo of its own kind, on the basket's slots."""
        busy = {number - self.first for number in self.busy}
        if self._own is not None:
            self._own.busy = busy
            return self._own
        terms = self.terms
        slots: dict[int, Slot] = {
            number: LentSlot(slot, number, self.touched) for number, slot in enumerate(self.slots)
        }
        self._own = Algo(
            id=self.algo.id,
            kind=machine_of(terms).kind,
            terms=terms,
            symbol=terms.symbol,
            side=terms.side,
            target=self.target,
            arrival=Decimal(self.memory["from"]),
            started_at=int(self.memory["since"]),
            status=Status.RUNNING,
            memory=self.memory["memory"],
            slots=slots,
            busy=busy,
            most_slots=len(slots),
        )
        return self._own

    def _seen(self, view: View) -> View:
        """What the basket is shown, as the leg's machine may know it."""
        busy, first = self.busy, self.first
        return replace(
            view,
            held=_held(self.terms, view),
            orders={number - first: view.orders[number] for number in busy if number in view.orders},
            leaves={number - first: view.leaves[number] for number in busy},
            beside=self._beside(view),
        )

    def _beside(self, view: View) -> dict[tuple[Place, str], Decimal]:
        """What other algos and the basket's other legs may still take from the leg's position."""
        key = self.place, self.terms.side
        taken = view.beside.get(key, ZERO)
        for number in view.leaves.keys() - self.busy if self.terms.reduce_only else ():
            if (leg_at(self.algo, number).place, self.algo.slots[number].side) == key:
                taken += view.leaves[number]
        return {key: taken}


def _at_market(terms: OneOrder | Chase | Twap) -> bool:
    """Whether a leg's orders have no price."""
    if isinstance(terms, Twap):
        return terms.limit_price is None
    return isinstance(terms, OneOrder) and terms.price is None


def _order_price(terms: OneOrder | Chase | Twap, instrument: Instrument, top: Top) -> Decimal:
    """What an order of a leg would be worth by."""
    if isinstance(terms, Chase):
        return resting_price(terms, instrument, top)
    if isinstance(terms, Twap):
        return lowest_price(terms, top)
    return terms.price or top.mid


def seen_by(terms: OneOrder | Chase | Twap, view: View) -> View:
    """A view by the position that a leg is for."""
    return replace(view, held=_held(terms, view))


def _held(terms: OneOrder | Chase | Twap, view: View) -> Decimal:
    position = view.positions.get(terms.place)
    return ZERO if position is None else position.quantity


def kept_slots(terms: OneOrder | Chase | Twap, first: int) -> list[Slot]:
    """All slots of a leg, for nothing yet; the last takes the other side."""
    count = capacity(terms)
    slots = [Slot(first + number, terms.symbol, terms.side, target=ZERO) for number in range(count)]
    return [*slots, Slot(first + count, terms.symbol, opposite(terms.side), target=ZERO)]


def take_slots(algo: Algo, first: int, slots: Iterable[Slot]) -> None:
    """Give a leg's slots the plan that its machine begins with."""
    for slot in slots:
        own = algo.slots[first + slot.number]
        own.target, own.due_at = slot.target, slot.due_at


def legs_of(algo: Algo) -> list[Leg]:
    """The legs of a basket, in their order."""
    if not algo.parts:
        assert isinstance(algo.terms, Basket)
        algo.parts = [
            Leg(
                algo,
                number,
                memory,
                algo.terms.start_of(number),
                range(int(memory["first"]), int(memory["first"]) + int(memory["slots"])),
            )
            for number, memory in enumerate(algo.memory["legs"])
        ]
    return algo.parts


def leg_at(algo: Algo, slot: int) -> Leg:
    """The leg that a slot is of."""
    return next(leg for leg in legs_of(algo) if leg.first <= slot <= leg.numbers.stop)
