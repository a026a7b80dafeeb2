"""One price of one side, and the rule by which its orders share what is taken there.

The rule is the one thing that makes a book first-in-first-out or something else: a book is given a kind of
level, and knows nothing of queues itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol

from pms.venue.matching.events import Event
from pms.venue.matching.orders import BookOrder, SelfTrade


class Registry(Protocol):
    """Where a level tells what becomes of its orders."""

    def traded(self, maker: BookOrder, quantity: int, taker: BookOrder, events: list[Event]) -> None:
        """Lots of a maker went to a taker: take note of positions, and of a maker that is filled."""

    def expire_maker(self, maker: BookOrder, events: list[Event]) -> None:
        """Take a maker out that must not trade with its own account."""


class Level(ABC):
    """Everything at one price: accounts' orders, and an anonymous quantity that is the rest of the market.

    `total` is what is shown, `reserve` what icebergs hold back. An empty level may stay for a while.
    """

    __slots__ = ("price", "reserve", "total")

    def __init__(self, price: int) -> None:
        self.price = price
        self.total = 0
        self.reserve = 0

    @property
    @abstractmethod
    def anonymous(self) -> int:
        """Lots of the anonymous market."""

    @property
    def owned(self) -> int:
        """Lots that accounts show."""
        return self.total - self.anonymous

    @abstractmethod
    def __iter__(self) -> Iterator[BookOrder]:
        """Accounts' orders, those first that trade first."""

    @abstractmethod
    def first(self) -> BookOrder | None:
        """The order that trades before all others here."""

    @abstractmethod
    def ahead_of(self, order: BookOrder) -> int:
        """Anonymous lots that trade before this order does."""

    @abstractmethod
    def append(self, order: BookOrder) -> None:
        """Take in an order that arrives now."""

    @abstractmethod
    def withdraw(self, order: BookOrder) -> None:
        """Let an order go that does not rest any more, wherever it stands."""

    @abstractmethod
    def trade(self, taker: BookOrder, mode: SelfTrade, registry: Registry, events: list[Event]) -> bool:
        """Give a taker what it wants, as far as it is here; True where a self-trade ended the taker."""

    @abstractmethod
    def take_order(self, order: BookOrder, quantity: int) -> None:
        """Lots of the first order went to somebody, whatever anonymous quantity stands in front of it."""

    @abstractmethod
    def set_anonymous(self, quantity: int) -> None:
        """Set the lots of the anonymous market."""

    @abstractmethod
    def print_trade(self, quantity: int, taker: BookOrder, registry: Registry, events: list[Event]) -> int:
        """Let a recorded trade of so many lots pass over the queue; returns how many it has left."""
