"""What can become known of an order: its terms at admission, and each fact heard or proven later."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pms.contract.names import BOTH
from pms.domain.positions import Place

ZERO = Decimal(0)


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
    position_side: str = BOTH
    venue_reduce_only: bool = False
    #: said to the exchange too, where it acts on the net

    @property
    def place(self) -> Place:
        """The position that its trades move."""
        return self.sub_account_id, self.symbol, self.position_side


@dataclass(frozen=True, slots=True)
class Amendment:
    """A wish for other terms, decided at admission: the TOTAL quantity and the price."""

    number: int
    #: from 1, by order; names the wish and its send right
    quantity: Decimal
    price: Decimal
    request_id: str | None
    epoch: str
    deadline: int
    asked_at: int


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
    """Proven: no send right was given, and none will be. Trap: the right is closed before this is said."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotExecuted:
    """Proven: it never reached the exchange's engine, and never will. Trap: its right is closed before."""

    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """The exchange's word on the order, from the feed or a query, with its terms at exchange time `at`."""

    exchange_order_id: int
    word: str
    filled: Decimal
    reason: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    at: int = 0


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
    fee: Decimal = ZERO
    #: in USDT; what is paid in another asset is booked beside the order
    maker: bool = False


@dataclass(frozen=True, slots=True)
class AmendFailed:
    """Proven: this wish was not carried out, and never will be."""

    number: int
    reason: str
    code: str | None = None


Fact = Accepted | Refused | Doubtful | Voided | NotExecuted | Seen | Amended | Filled | AmendFailed
