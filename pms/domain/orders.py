"""The order state machine: facts in, state derived, wishes out.

Facts are monotone. The order keeps the strongest word of the exchange, the largest cumulative
quantity and the set of booked trades; its state is *derived* from those by rank and never assigned
from the latest message. So every interleaving of REST answer, acknowledgement, fills, cancel, query
and replay, with repeats and losses, ends in the same state.

    exchange's word      booked trades    other evidence      state
    ------------------   --------------   -----------------   -----------------
    FILLED               = z              any                 filled
    CANCELED             = z              any                 cancelled
    EXPIRED*             = z              any                 expired
    any of those         < z              any                 as if still open: trades are missing
    NEW or trades        > 0              any                 partially_filled
    NEW                  0                any                 active
    none                 0                refused             rejected
    none                 0                never sent          void
    none                 0                outcome unknown     unknown
    none                 0                none                placing

Trap: a fill is legal in every row. A refused or void order that trades is alive, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

ZERO = Decimal(0)


class State(StrEnum):
    """Where an order stands, in the words that the gateway knows."""

    PLACING = "placing"
    ACTIVE = "active"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    VOID = "void"
    UNKNOWN = "unknown"

    @property
    def terminal(self) -> bool:
        """Nothing more is expected of the order; a fill would still be booked."""
        return self in _TERMINAL


_TERMINAL = {State.FILLED, State.CANCELLED, State.EXPIRED, State.REJECTED, State.VOID}

WORD_RANK = {
    "NEW": 1,
    "PARTIALLY_FILLED": 1,
    "REJECTED": 2,
    "EXPIRED_IN_MATCH": 3,
    "EXPIRED": 3,
    "CANCELED": 4,
    "FILLED": 5,
}
"""The exchange's words by strength; a weaker one never replaces a stronger (Binance order statuses)."""

_ENDING = {
    "FILLED": State.FILLED,
    "CANCELED": State.CANCELLED,
    "EXPIRED": State.EXPIRED,
    "EXPIRED_IN_MATCH": State.EXPIRED,
    "REJECTED": State.REJECTED,
}


@dataclass(frozen=True, slots=True)
class OrderSpec:
    """What was decided at admission; never changes."""

    client_order_id: str
    sub_account_id: str
    symbol: str
    side: str
    type: str
    quantity: Decimal
    price: Decimal | None
    time_in_force: str | None
    reduce_only: bool
    leverage: int
    origin: str
    parent_id: str | None
    request_id: str | None
    epoch: str
    deadline: int
    #: Redis time, ms: no send right after it
    admitted_at: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """REST answered with an exchange id; proves nothing about the state."""

    exchange_order_id: int


@dataclass(frozen=True, slots=True)
class Refused:
    """REST answered with a business refusal, or the bytes provably never left."""

    reason: str


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Sent, and no answer that proves anything."""


@dataclass(frozen=True, slots=True)
class Voided:
    """Proven: no send right was given, and none will be."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotExecuted:
    """Proven: what was signed at `signed_at` never reached the exchange's engine, and never will."""

    reason: str
    signed_at: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The exchange's word on the order, from the feed or a query."""

    exchange_order_id: int
    word: str
    filled: Decimal
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Amended:
    """The exchange's word that price and total quantity changed."""

    exchange_order_id: int
    quantity: Decimal
    price: Decimal
    at: int


@dataclass(frozen=True, slots=True)
class Filled:
    """One trade of the order; the caller has made sure that it is counted once."""

    exchange_order_id: int
    quantity: Decimal
    price: Decimal


Fact = Accepted | Refused | Doubtful | Voided | NotExecuted | Seen | Amended | Filled


@dataclass(slots=True)
class Order:
    """One order and everything proven about it."""

    spec: OrderSpec
    quantity: Decimal
    price: Decimal | None
    exchange_order_id: int | None = None
    word: str | None = None
    venue_filled: Decimal = ZERO
    filled_qty: Decimal = ZERO
    filled_quote: Decimal = ZERO
    doubt: bool = False
    refused: str | None = None
    voided: str | None = None
    absent: str | None = None
    reason: str | None = None
    cancel_wanted: bool = False
    amended_at: int = 0
    state: State = field(default=State.PLACING)
    updated_at: int = 0

    def receive(self, fact: Fact) -> bool:
        """Take in a fact; returns whether anything about the order changed."""
        before = self._evidence()
        match fact:
            case Accepted(exchange_order_id):
                self.exchange_order_id = exchange_order_id
                self.doubt = False
            case Refused(reason):
                self.refused = self.refused or reason
            case NotExecuted(reason):
                self.absent = self.absent or reason
            case Voided(reason):
                self.voided = self.voided or reason
            case Doubtful():
                self.doubt = self.exchange_order_id is None
            case Seen():
                self._hear(fact)
            case Amended():
                self._amend(fact)
            case Filled():
                self._fill(fact)
        self.state = self._derive()
        return self._evidence() != before

    def retract_proof(self) -> None:
        """Forget a void or an absence that proved wrong before anyone was told."""
        self.voided = self.absent = None
        self.state = self._derive()

    @property
    def leaves(self) -> Decimal:
        """What may still trade: zero once the exchange has said its last word."""
        return ZERO if self.state.terminal else max(self.quantity - self.filled_qty, ZERO)

    def total_for(self, remaining: Decimal) -> Decimal:
        """The quantity an amend must carry so that `remaining` may still trade.

        Trap: Binance's PUT takes the TOTAL, and cancels an order whose total is not above what is filled.
        """
        return max(self.venue_filled, self.filled_qty) + remaining

    @property
    def momentary(self) -> bool:
        """It cannot rest: a word that it is over follows at once, or was lost."""
        return self.spec.type == "MARKET" or self.spec.time_in_force in {"IOC", "FOK"}

    @property
    def trades_missing(self) -> bool:
        """The exchange counts more than we have booked: userTrades must be read."""
        return self.venue_filled > self.filled_qty

    @property
    def why(self) -> str | None:
        """Why it ended without a trade, in the words of whoever proved it."""
        return self.reason or self.refused or self.absent or self.voided

    @property
    def unproven(self) -> bool:
        """No word of the exchange yet, nor a proof of its absence."""
        return self.state in {State.PLACING, State.UNKNOWN}

    @property
    def average_price(self) -> Decimal | None:
        """The booked trades' volume-weighted price, rounded to eight decimals; None before the first."""
        if not self.filled_qty:
            return None
        return (self.filled_quote / self.filled_qty).quantize(Decimal("0.00000001"))

    def _hear(self, fact: Seen) -> None:
        self.exchange_order_id = fact.exchange_order_id
        self.doubt = False
        self.venue_filled = max(self.venue_filled, fact.filled)
        if WORD_RANK[fact.word] > WORD_RANK.get(self.word or "", 0):
            self.word = fact.word
            self.reason = fact.reason or self.reason

    def _amend(self, fact: Amended) -> None:
        self.exchange_order_id = fact.exchange_order_id
        self.doubt = False
        if fact.at >= self.amended_at:
            self.quantity, self.price, self.amended_at = fact.quantity, fact.price, fact.at
        if self.word is None:
            self.word = "NEW"

    def _fill(self, fact: Filled) -> None:
        self.exchange_order_id = fact.exchange_order_id
        self.doubt = False
        self.filled_qty += fact.quantity
        self.filled_quote += fact.quantity * fact.price
        self.venue_filled = max(self.venue_filled, self.filled_qty)

    def _derive(self) -> State:
        if self.word in _ENDING and not self.trades_missing:
            return _ENDING[self.word]
        if self.filled_qty >= self.quantity and not self.trades_missing:
            return State.FILLED
        if self.filled_qty:
            return State.PARTIALLY_FILLED
        if self.word is not None:
            return State.ACTIVE
        if self.refused is not None or self.absent is not None:
            return State.REJECTED
        if self.voided is not None:
            return State.VOID
        return State.UNKNOWN if self.doubt else State.PLACING

    def _evidence(self) -> tuple[object, ...]:
        return (
            self.state,
            self.exchange_order_id,
            self.word,
            self.venue_filled,
            self.filled_qty,
            self.quantity,
            self.price,
        )
