"""An algo and its slots: what was asked for, how far it is, and which order lives where.

An algo works in slots, and in each of them one order at a time. A slot's `target` is the most that may
ever be filled in it: `filled + what lives or is unknown + the next order` never exceeds that, nor the
algo's own target over all slots.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pms.contract.algo_commands import AlgoStart
from pms.contract.journal import AlgoRow, AlgoSlotRow
from pms.contract.money import decode_object, encode
from pms.contract.reading import command_from
from pms.domain.algos.ids import MOST_SLOTS

ZERO = Decimal(0)


class Status(StrEnum):
    """Where an algo stands."""

    RUNNING = "running"
    PAUSED = "paused"
    """No order at the exchange, or none for long; goes on when it is told to."""
    ENDING = "ending"
    """Only waits for its last orders to be over."""
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """It does nothing any more but count late fills."""
        return self in {Status.FINISHED, Status.CANCELLED, Status.FAILED}


class SlotState(StrEnum):
    """Where a slot stands."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    SKIPPED = "skipped"


@dataclass(slots=True)
class Slot:
    """One place of an algo."""

    number: int
    symbol: str
    side: str
    target: Decimal
    filled: Decimal = ZERO
    quote: Decimal = ZERO
    steps: int = 0
    order_id: str | None = None
    price: Decimal | None = None
    sent_price: Decimal | None = None
    cancelling: bool = False
    tries: int = 0
    resume_at: int = 0
    moved_at: int = 0
    due_at: int | None = None
    state: SlotState = SlotState.WAITING
    note: str | None = None
    fees: Decimal = ZERO
    maker_qty: Decimal = ZERO
    reprices: int = 0

    @property
    def remaining(self) -> Decimal:
        """What is not filled; never negative, though a late fill may go beyond."""
        return max(self.target - self.filled, ZERO)

    def mark(self) -> tuple[object, ...]:
        """All that is journaled of it, to tell whether anything changed."""
        return (
            self.target, self.filled, self.steps, self.order_id, self.price, self.sent_price, self.cancelling,
            self.tries, self.resume_at, self.moved_at, self.due_at, self.state, self.note,
            self.fees, self.maker_qty, self.reprices,
        )  # fmt: skip


@dataclass(slots=True)
class Algo:
    """One algo. `terms` are those of its start command, as amended."""

    id: str
    kind: str
    terms: AlgoStart
    symbol: str
    side: str
    target: Decimal
    arrival: Decimal
    started_at: int
    status: Status = Status.RUNNING
    outcome: Status | None = None
    reason: str | None = None
    memory: dict[str, Any] = field(default_factory=dict)
    slots: dict[int, Slot] = field(default_factory=dict)
    fees: Decimal = ZERO
    maker_qty: Decimal = ZERO
    reprices: int = 0
    ended_at: int | None = None
    busy: set[int] = field(default_factory=set)
    #: slots that have an order
    seen: dict[str, Decimal] = field(default_factory=dict)
    #: what its machine saw since it last wrote to `memory`: lost with this life
    told_at: int = 0
    untold: bool = True
    #: something changed since the last progress event; none of the three is journaled
    wake_at: int | None = None
    #: when it wants to be asked again, ms; not journaled either: each life asks all of them at once
    parts: list[Any] = field(default_factory=list)
    #: what its machine made of its terms and slots: lost with this life
    most_slots: int = MOST_SLOTS
    #: a part of another has only those that were kept for it
    sentence: tuple[str, str] | None = None
    #: an end that is decided and not known to stand yet: by which request, and why
    _text: tuple[AlgoStart, str] | None = None
    #: terms as they were written last

    @property
    def account(self) -> str:
        """The sub-account that it trades for."""
        return self.terms.sub_account_id

    @property
    def filled(self) -> Decimal:
        """What its slots traded, as far as they count to its target."""
        return sum((slot.filled for slot in self.slots.values() if self.counts(slot)), ZERO)

    @property
    def quote(self) -> Decimal:
        """What that cost, or brought."""
        return sum((slot.quote for slot in self.slots.values() if self.counts(slot)), ZERO)

    def counts(self, slot: Slot) -> bool:
        """Whether a slot trades towards the algo's target: those of its own side; all if it has none."""
        return self.side not in {"BUY", "SELL"} or slot.side == self.side

    def mark(self) -> tuple[object, ...]:
        """All that is journaled of it but its slots, to tell whether anything changed."""
        return (
            self.terms, self.target, self.status, self.outcome, self.reason, self.fees, self.maker_qty,
            self.reprices, self.ended_at, encode(self.memory) if self.memory else b"",
        )  # fmt: skip

    def row(self, *, at: int) -> AlgoRow:
        """The algo as it is journaled.

        Trap: a row written behind the decision to end it says so too, or the next life would revive it.
        """
        status, outcome, reason = self.status, self.outcome, self.reason
        if self.sentence is not None:
            status, outcome, reason = Status.ENDING, Status.CANCELLED, self.sentence[1]
        return AlgoRow(
            id=self.id,
            kind=self.kind,
            sub_account_id=self.account,
            symbol=self.symbol,
            side=self.side,
            terms=self._terms_text(),
            status=status.value,
            outcome=None if outcome is None else outcome.value,
            reason=reason,
            memory=encode(self.memory).decode(),
            target=self.target,
            arrival=self.arrival,
            fees=self.fees,
            maker_qty=self.maker_qty,
            reprices=self.reprices,
            started_at=self.started_at,
            ended_at=self.ended_at,
            updated_at=at,
        )

    def _terms_text(self) -> str:
        if self._text is None or self._text[0] is not self.terms:
            self._text = self.terms, encode(self.terms).decode()
        return self._text[1]

    def slot_row(self, slot: Slot, *, at: int) -> AlgoSlotRow:
        """One of its slots as it is journaled, never before its start: such a row is an earlier algo's.

        Trap: `at` may be the exchange's time of a trade, or that of a clock that was put back.
        """
        return AlgoSlotRow(
            algo_id=self.id,
            slot=slot.number,
            symbol=slot.symbol,
            side=slot.side,
            target=slot.target,
            filled=slot.filled,
            quote=slot.quote,
            steps=slot.steps,
            order_id=slot.order_id,
            price=slot.price,
            sent_price=slot.sent_price,
            cancelling=slot.cancelling,
            tries=slot.tries,
            resume_at=slot.resume_at,
            moved_at=slot.moved_at,
            due_at=slot.due_at,
            state=slot.state.value,
            note=slot.note,
            updated_at=max(at, self.started_at),
            fees=slot.fees,
            maker_qty=slot.maker_qty,
            reprices=slot.reprices,
        )


def algo_from(row: AlgoRow, slots: dict[int, Slot]) -> Algo:
    """An algo as it was journaled; its slots come by rows of their own."""
    terms = command_from(f"pms.{row.kind}", decode_object(row.terms))
    assert isinstance(terms, AlgoStart)
    return Algo(
        id=row.id,
        kind=row.kind,
        terms=terms,
        symbol=row.symbol,
        side=row.side,
        target=row.target,
        arrival=row.arrival,
        started_at=row.started_at,
        status=Status(row.status),
        outcome=None if row.outcome is None else Status(row.outcome),
        reason=row.reason,
        memory=decode_object(row.memory),
        slots=slots,
        fees=row.fees,
        maker_qty=row.maker_qty,
        reprices=row.reprices,
        ended_at=row.ended_at,
        untold=not Status(row.status).over,
    )


def slot_from(row: AlgoSlotRow) -> Slot:
    """A slot as it was journaled."""
    return Slot(
        number=row.slot,
        symbol=row.symbol,
        side=row.side,
        target=row.target,
        filled=row.filled,
        quote=row.quote,
        steps=row.steps,
        order_id=row.order_id,
        price=row.price,
        sent_price=row.sent_price,
        cancelling=row.cancelling,
        tries=row.tries,
        resume_at=row.resume_at,
        moved_at=row.moved_at,
        due_at=row.due_at,
        state=SlotState(row.state),
        note=row.note,
        fees=row.fees,
        maker_qty=row.maker_qty,
        reprices=row.reprices,
    )
