"""The order state machine: facts in, state derived, wishes out.

Facts are monotone. The order keeps the strongest word of the exchange, the largest cumulative
quantity, the newest terms and the set of booked trades; its state is *derived* from those by `RULES`
and never assigned from the latest message. So every interleaving of REST answer, acknowledgement,
fills, cancel, amendment, query and replay, with repeats and losses, ends in the same state.

Cancelling and amending are overlays, not states: an order that is being amended is still active or
partially filled, and trades like any other. `OVERLAYS` says what ends an amendment.

Trap: a fill is legal in every state. A refused or void order that trades is alive, and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from pms.domain.facts import (
    Accepted,
    Amended,
    AmendFailed,
    Amendment,
    Doubtful,
    Fact,
    Filled,
    NotExecuted,
    OrderSpec,
    Refused,
    Seen,
    Voided,
)

__all__ = [
    "OVERLAYS",
    "RULES",
    "WORD_RANK",
    "Accepted",
    "AmendEnd",
    "AmendFailed",
    "Amended",
    "Amendment",
    "Doubtful",
    "Fact",
    "Filled",
    "NotExecuted",
    "Order",
    "OrderSpec",
    "Refused",
    "Seen",
    "State",
    "Voided",
    "known_word",
]

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


def known_word(status: str) -> str:
    """The exchange's word as we reckon with it. Trap: new ones come unannounced; each is taken for `NEW`.

    So its order is alive, and asked about again.
    """
    return status if status in WORD_RANK else "NEW"


class AmendEnd(StrEnum):
    """How the wish to amend an order ended."""

    AMENDED = "amended"
    CLOSED = "closed"
    FAILED = "failed"


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
    fees: Decimal = ZERO
    #: of its trades, in USDT
    maker_qty: Decimal = ZERO
    doubt: bool = False
    refused: str | None = None
    voided: str | None = None
    absent: str | None = None
    reason: str | None = None
    cancel_wanted: bool = False
    cancel_asked: str | None = None
    #: the request of a cancel that is decided and not known to stand yet, or an adoption
    amend: Amendment | None = None
    #: in flight; until it is over the order may trade on the old terms and on the new
    amends: int = 0
    amend_refused: AmendFailed | None = None
    #: the exchange's own no; a query must still show that the old terms stand
    amend_failed: AmendFailed | None = None
    amend_end: AmendEnd | None = None
    #: of the wish before
    terms_at: int = 0
    state: State = field(default=State.PLACING)
    updated_at: int = 0
    unwanted_at: int = field(default=0, compare=False)
    #: our clock, ms: its cancel was last wanted; memory's alone, for behind a restart it is asked for anyway
    answered: bool = field(default=False, compare=False)
    #: its command has its result; memory's alone, for the record keeps the first one for a day
    _before_wish: tuple[AmendFailed | None, AmendFailed | None, AmendEnd | None, int] = field(
        default=(None, None, None, 0), repr=False, compare=False
    )
    #: what the newest wish has overwritten

    def receive(self, fact: Fact) -> bool:
        """Take in a fact; returns whether anything about the order changed."""
        before = self._evidence()
        match fact:
            case Accepted(exchange_order_id):
                self.exchange_order_id = exchange_order_id
                self.doubt = False
            case Refused(reason):
                # What was told as proven stays why it ended; a sender's word may come behind it.
                self.refused = self.refused or (reason if self.absent is None else None)
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
            case AmendFailed():
                self.amend_failed = fact
        self._settle()
        return self._evidence() != before

    def want_cancelled(self, *, at: int) -> None:
        """Note the wish that it be gone; it is cancelled until it is."""
        self.cancel_wanted, self.unwanted_at = True, at

    def want_amended(self, wish: Amendment) -> None:
        """Note a wish for other terms; there must be none in flight."""
        self._before_wish = self.amend_refused, self.amend_failed, self.amend_end, self.updated_at
        self.amend, self.amends, self.updated_at = wish, wish.number, wish.asked_at
        self.amend_refused = self.amend_failed = self.amend_end = None

    def withdraw_amend(self) -> None:
        """Take back a wish that was never journaled: the order is as the journal has it."""
        self.amend = None
        self.amends -= 1
        self.amend_refused, self.amend_failed, self.amend_end, self.updated_at = self._before_wish
        # With the larger total of the wish it may have been partly filled by what filled it.
        self.state = _derived(self)

    @property
    def leaves(self) -> Decimal:
        """What may still trade, by the larger of both terms: zero once the exchange said its last word."""
        return ZERO if self.state.terminal else max(self.total - self.filled_qty, ZERO)

    @property
    def total(self) -> Decimal:
        """The most that the order can be for, as long as an amendment is in flight."""
        return self.quantity if self.amend is None else max(self.quantity, self.amend.quantity)

    def notional(self, assumed_price: Decimal) -> Decimal:
        """What is at stake in what may still trade: the larger of the old terms and of the wished."""
        if self.state.terminal:
            return ZERO
        worst = max(self.quantity - self.filled_qty, ZERO) * (self.price or assumed_price)
        if self.amend is not None:
            worst = max(worst, max(self.amend.quantity - self.filled_qty, ZERO) * self.amend.price)
        return worst

    def as_wished(self, quantity: Decimal, price: Decimal | None) -> bool:
        """Whether these are the terms of the amendment in flight."""
        return self.amend is not None and (quantity, price) == (self.amend.quantity, self.amend.price)

    def total_for(self, remaining: Decimal) -> Decimal:
        """The quantity an amend must carry so that `remaining` may still trade.

        Trap: Binance's PUT takes the TOTAL, and cancels an order whose total is not above what is filled.
        """
        return max(self.venue_filled, self.filled_qty) + remaining

    @property
    def exchange_text(self) -> str | None:
        """The exchange's id as it goes out: as a text, for it may be beyond 2^53."""
        return None if self.exchange_order_id is None else str(self.exchange_order_id)

    @property
    def momentary(self) -> bool:
        """It cannot rest: a word that it is over follows at once, or was lost."""
        return self.spec.type == "MARKET" or self.spec.time_in_force in {"IOC", "FOK"}

    @property
    def trades_missing(self) -> bool:
        """The exchange counts more than we have booked: userTrades must be read."""
        return self.venue_filled > self.filled_qty

    @property
    def said_over(self) -> bool:
        """The exchange has said its last word, whether or not every trade that it counts is booked."""
        return WORD_RANK.get(self.word or "", 0) > WORD_RANK["NEW"]

    @property
    def why(self) -> str | None:
        """Why it ended without a trade, in the words of whoever proved it.

        The exchange's id refutes whoever says that it was never there.
        """
        if self.exchange_order_id is not None:
            return self.reason
        return self.reason or self.refused or self.absent or self.voided

    @property
    def failed(self) -> bool:
        """It came to nothing: refused, or never sent."""
        return self.state in {State.REJECTED, State.VOID}

    @property
    def answerable(self) -> bool:
        """Its outcome is proven: for what cannot rest, `active` would be true for a moment only."""
        return self.state.terminal if self.momentary else not self.unproven

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
        if fact.quantity is not None and fact.price is not None:
            # A word of the same millisecond may have been said before the amendment.
            wished = self.as_wished(fact.quantity, fact.price)
            if fact.at > self.terms_at or (fact.at == self.terms_at and wished):
                self._take_terms(fact.quantity, fact.price, fact.at)

    def _amend(self, fact: Amended) -> None:
        self.exchange_order_id = fact.exchange_order_id
        self.doubt = False
        if fact.at >= self.terms_at:
            self._take_terms(fact.quantity, fact.price, fact.at)
        if self.word is None:
            self.word = "NEW"

    def _take_terms(self, quantity: Decimal, price: Decimal, at: int) -> None:
        self.terms_at = at
        if self.price is not None:
            self.quantity, self.price = quantity, price

    def _fill(self, fact: Filled) -> None:
        self.exchange_order_id = fact.exchange_order_id
        self.doubt = False
        self.filled_qty += fact.quantity
        self.filled_quote += fact.quantity * fact.price
        self.fees += fact.fee
        self.maker_qty += fact.quantity if fact.maker else ZERO
        self.venue_filled = max(self.venue_filled, self.filled_qty)

    def _settle(self) -> None:
        """Derive the state, and end the amendment if it is over."""
        self.state = _derived(self)
        if self.amend is None:
            return
        end = next((rule.end for rule in OVERLAYS if rule.holds(self)), None)
        if end is not None:
            self.amend, self.amend_end = None, end
            # What the order can be for is certain again: it may be filled by that.
            self.state = _derived(self)

    def _evidence(self) -> tuple[object, ...]:
        return (
            self.state,
            self.exchange_order_id,
            self.word,
            self.venue_filled,
            self.filled_qty,
            self.quantity,
            self.price,
            self.amend,
        )


class Rule(NamedTuple):
    """One row of the derivation: the first that holds says where the order stands."""

    state: State
    evidence: str
    why: str
    holds: Callable[[Order], bool]


def _ended(*words: str) -> Callable[[Order], bool]:
    return lambda order: order.word in words and not order.trades_missing


RULES: tuple[Rule, ...] = (
    Rule(
        State.FILLED,
        "said FILLED, and every trade that it counts is booked",
        "the last word; with a trade missing the order waits for it as if it were open",
        _ended("FILLED"),
    ),
    Rule(
        State.CANCELLED,
        "said CANCELED, and every trade that it counts is booked",
        "trades before the cancel may be heard after it",
        _ended("CANCELED"),
    ),
    Rule(
        State.EXPIRED,
        "said EXPIRED or EXPIRED_IN_MATCH, and every trade that it counts is booked",
        "the same, for an end that nobody asked for",
        _ended("EXPIRED", "EXPIRED_IN_MATCH"),
    ),
    Rule(
        State.REJECTED,
        "said REJECTED, and no trade is missing",
        "a refusal told by the feed or a query",
        _ended("REJECTED"),
    ),
    Rule(
        State.FILLED,
        "as much is booked as the order is for, and no amendment is in flight",
        "nothing is left to trade, though the word of it was lost; an amendment may have made room",
        lambda order: order.amend is None and order.filled_qty >= order.quantity and not order.trades_missing,
    ),
    Rule(
        State.PARTIALLY_FILLED,
        "a trade is booked",
        "a trade outweighs every refusal and every proof of absence",
        lambda order: order.filled_qty > 0,
    ),
    Rule(
        State.ACTIVE,
        "any word of it was heard",
        "also one of its end, as long as trades are missing",
        lambda order: order.word is not None,
    ),
    Rule(
        State.REJECTED,
        "refused by REST, or proven never executed, and the exchange gave it no id",
        "evidence of absence, and none of life",
        lambda order: (
            order.exchange_order_id is None and (order.refused is not None or order.absent is not None)
        ),
    ),
    Rule(
        State.VOID,
        "proven never sent, and the exchange gave it no id",
        "its send right is closed, so nobody can send it any more; an id says that somebody could",
        lambda order: order.exchange_order_id is None and order.voided is not None,
    ),
    Rule(
        State.UNKNOWN,
        "sent, and no answer proves anything",
        "left on evidence only; no timer ends an order",
        lambda order: order.doubt,
    ),
    Rule(
        State.PLACING,
        "nothing yet",
        "an acceptance by REST proves the id, not the state",
        lambda _: True,
    ),
)
"""Where an order stands, strongest evidence first; `docs/order-states.md` shows them."""


def _derived(order: Order) -> State:
    return next(rule.state for rule in RULES if rule.holds(order))


class Overlay(NamedTuple):
    """One way in which an amendment in flight ends; nothing else ends it."""

    end: AmendEnd
    evidence: str
    why: str
    holds: Callable[[Order], bool]


OVERLAYS: tuple[Overlay, ...] = (
    Overlay(
        AmendEnd.AMENDED,
        "the feed or a query shows the order on the terms wished",
        "REST's own answer proves nothing: it may be about a moment that has passed",
        lambda order: order.as_wished(order.quantity, order.price),
    ),
    Overlay(
        AmendEnd.CLOSED,
        "the order is over on other terms",
        "it filled, was cancelled, or the exchange ended it for a total that is filled already",
        lambda order: order.state.terminal,
    ),
    Overlay(
        AmendEnd.FAILED,
        "this wish was never sent, was refused, or is proven not executed; the order shows its old terms",
        "its send right is closed or used up, so nobody can carry it out later",
        lambda order: (
            order.amend is not None
            and order.amend_failed is not None
            and order.amend_failed.number == order.amend.number
        ),
    ),
)
"""What ends an amendment, strongest evidence first."""
