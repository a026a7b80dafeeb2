"""The layers of a scalper: what each holds, what it cost, and the round that it is in.

A layer is two slots, an entry and an exit, and holds what the one has filled less what the other has. Their
targets say how far each may go:

    entry.target = exited when the round began + the layer's size    so it never holds more than its size
    exit.target  = what the entry has filled                         so it never gives more than it holds

Both only grow: the entry's by what was exited, once a round, and the exit's with each fill of the entry.
So `filled + live + unknown + next <= target` of the slots is the bound of the layer, whatever comes late.

Trap: how a round began is written down, for slots only know of all rounds; the rest is worked out.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pms.contract.names import LONG, SHORT
from pms.domain.algos.algo import ZERO, Algo, Slot, SlotState
from pms.domain.checks import touch
from pms.domain.desk import Top
from pms.domain.instrument import Instrument

SIDES = (LONG, SHORT)

TRIES = 2
"""So often what is worth less than the least order is tried to be closed; then it is left, and told."""


def leg_name(side: str) -> str:
    """How a leg is called in commands and in memory."""
    return side.lower()


@dataclass(slots=True)
class Layer:
    """One layer of one leg."""

    sign: int
    #: 1 where it enters by buying
    number: int
    entry: Slot
    exit: Slot
    round: dict[str, Any]
    #: how it began, in the algo's memory

    @property
    def size(self) -> Decimal:
        """The most that it may hold."""
        return self.entry.target - Decimal(self.round["exited"])

    @property
    def held(self) -> Decimal:
        """What it has entered and not exited; never negative, though a late fill may have taken too much."""
        return max(self.entry.filled - self.exit.filled, ZERO)

    @property
    def average(self) -> Decimal | None:
        """The average price of what it entered in this round; None before the first fill."""
        entered = self.entry.filled - Decimal(self.round["exited"])
        return (self.entry.quote - Decimal(self.round["cost"])) / entered if entered > 0 else None

    @property
    def stopped(self) -> bool:
        """Its loss was too large: it is closed at market, come what may."""
        return bool(self.round["stopped"])

    @property
    def realized(self) -> Decimal:
        """What all its exits brought against what they had cost."""
        kept = self.held * self.average if self.average is not None else ZERO
        return self.sign * (self.exit.quote - self.entry.quote + kept)

    @property
    def realized_now(self) -> Decimal:
        """The same of this round alone."""
        left = self.exit.filled - Decimal(self.round["exited"])
        if self.average is None:
            return ZERO
        return self.sign * (self.exit.quote - Decimal(self.round["brought"]) - self.average * left)

    def hurry(self) -> None:
        """Let its exit wait for nothing that a resting order's refusals earned: it goes at market now."""
        self.exit.tries = self.exit.resume_at = 0

    def tradable(self, instrument: Instrument) -> Decimal:
        """What an exit may be for, on the symbol's grid."""
        return instrument.floor_quantity(self.held, market=self.stopped)

    def may_stop(self, instrument: Instrument) -> bool:
        """Whether it holds what an order at market could be for, and more than a stop has left already.

        Trap: that depends on nothing that its own order changes, or stop and round would alternate for ever.
        """
        left = Decimal(self.round.get("left", ZERO))
        return (
            not self.stopped and self.held > left and bool(instrument.floor_quantity(self.held, market=True))
        )

    def over(self, instrument: Instrument, top: Top, *, there: Decimal) -> bool:
        """Whether the round is over: it gave what it held, up to what is too little for an order.

        What a stop has to close is tried first, however little: the exchange may take it, as it reduces.
        """
        if self.exit.filled <= Decimal(self.round["exited"]) and not self.stopped:
            return False
        if not self.tradable(instrument):
            return True
        if self.exit.order_id is not None:
            return False
        if self.stopped:
            return self.given_up(instrument, top, there=there)
        return self.held * top.mid < instrument.min_notional

    def given_up(self, instrument: Instrument, top: Top, *, there: Decimal) -> bool:
        """Whether the exchange takes no order for what it holds; known once some were tried.

        Trap: what it holds may be much, and what others have left of its position, `there`, too little. An
        order refused as too little says neither: it may have been small for another reason, and for a moment.
        """
        little = min(self.held, there) * touch(top, self.exit.side) < instrument.min_notional
        return little and self.exit.tries >= TRIES

    def begin_round(self, *, size: Decimal) -> None:
        """Let it enter again, as far as its size: what is left of the last round counts."""
        if self.stopped:
            self.round["left"] = self.held
        cost = self.entry.quote - (self.held * self.average if self.average is not None else ZERO)
        self.round.update(exited=self.exit.filled, cost=cost, brought=self.exit.quote, stopped=False)
        self.entry.target = self.exit.filled + size
        if self.entry.order_id is None:
            self.entry.state = SlotState.WAITING


@dataclass(slots=True)
class Leg:
    """One leg: its layers, the nearest first."""

    side: str
    layers: list[Layer]
    memory: dict[str, Any]

    @property
    def sign(self) -> int:
        """1 where it enters by buying."""
        return 1 if self.side == LONG else -1

    @property
    def held(self) -> Decimal:
        """What all its layers hold."""
        return sum((layer.held for layer in self.layers), ZERO)

    @property
    def anchor(self) -> Decimal | None:
        """What its layers' distances are from."""
        return None if self.memory["anchor"] is None else Decimal(self.memory["anchor"])

    @property
    def stopped(self) -> bool:
        """One of its layers is being closed at a loss."""
        return any(layer.stopped for layer in self.layers)


def first_memory() -> dict[str, Any]:
    """What a leg keeps in mind, as it begins."""
    return {"anchor": None, "coolUntil": 0, "trips": 0, "won": 0}


def first_round() -> dict[str, Any]:
    """A round before which nothing was."""
    return {"exited": ZERO, "cost": ZERO, "brought": ZERO, "stopped": False, "left": ZERO}


def slot_number(side: str, layer: int, *, layers: int, exits: bool) -> int:
    """Where a layer's entry or exit lives: the long leg's layers first, each entry before its exit."""
    return 2 * (SIDES.index(side) * layers + layer) + exits


def legs_of(algo: Algo, *, layers: int) -> tuple[Leg, Leg]:
    """Both legs of a scalper as it stands."""
    long, short = (_leg(algo, side, layers=layers) for side in SIDES)
    return long, short


def _leg(algo: Algo, side: str, *, layers: int) -> Leg:
    found = []
    for number in range(layers):
        entry = slot_number(side, number, layers=layers, exits=False)
        found.append(
            Layer(
                1 if side == LONG else -1,
                number,
                algo.slots[entry],
                algo.slots[entry + 1],
                algo.memory["rounds"][str(entry)],
            )
        )
    return Leg(side, found, algo.memory[leg_name(side)])
