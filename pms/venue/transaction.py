"""What one change of the venue produces; it becomes visible all at once, after it is journaled."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol

from pms.venue.state import Fact, Order


class UserEvent(NamedTuple):
    """One message for one account's user stream."""

    account: str
    type: str
    payload: dict[str, Any]


PrintKind = Literal["MARKET", "ADL", "INSURANCE_FUND", "SETTLEMENT"]
"""How a trade came about. Only MARKET is one of the book's and makes a price."""


class Print(NamedTuple):
    """One trade as everybody may see it. Trap: unless its kind is MARKET its price is nobody's quote."""

    symbol: str
    trade_id: int
    price: int
    quantity: int
    buyer_is_maker: bool
    time: int
    kind: PrintKind = "MARKET"


class Transaction:
    """Facts to journal, then messages to send, in the order they happened; all share one time."""

    __slots__ = ("events", "facts", "forced", "liquidated", "prints", "time", "touched")

    def __init__(self, time: int) -> None:
        self.time = time
        self.facts: dict[int, Fact] = {}
        self.events: list[UserEvent] = []
        self.prints: list[Print] = []
        self.touched: set[str] = set()
        # A recorded diff is sent even if it changed nothing: one diff in, one diff out
        self.forced = False
        # Orders by which the exchange has closed positions of accounts that could not carry them
        self.liquidated: list[Order] = []

    def record(self, fact: Fact) -> None:
        """Journal a fact as it stands at the end of the transaction, once."""
        self.facts[id(fact)] = fact

    def tell(self, account: str, type_: str, payload: dict[str, Any]) -> None:
        """Send an event to an account's user stream."""
        self.events.append(UserEvent(account, type_, payload))


class Journal(Protocol):
    """Where facts become durable."""

    def append(self, facts: list[Fact]) -> None:
        """Return once the facts outlive this process."""


class Publisher(Protocol):
    """Who carries messages to connections."""

    def publish(self, transaction: Transaction) -> None:
        """Send everything of one transaction; never blocks."""


class Watcher(Protocol):
    """Who has a say in what other changes bring about."""

    def closing(self, transaction: Transaction) -> None:
        """Add what belongs to this very change; it is not journaled yet. Must not refuse."""

    def closed(self) -> bool:
        """The change is whole, journaled and sent: do one piece of work of one's own, if there is any.

        Whether there was. Trap: what it changes is closed before anybody, oneself included, is asked again.
        """
