"""An order as a book sees it, and the seat of the account that sent it: whole ticks and lots."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

BUY: Final = 1
SELL: Final = -1


class TimeInForce(StrEnum):
    """How long an order lives. A market order is an IOC whose price is the furthest it may go."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"
    GTD = "GTD"


class SelfTrade(StrEnum):
    """Who gives way when an order meets one of its own account; the taker's mode decides."""

    NONE = "NONE"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"


class Refused(Exception):
    """A command that a book turns down; raised before anything has changed."""


class DuplicateName(Refused):
    """An open order of the account carries this client id."""


class NotReducing(Refused):
    """A reduce-only order that would open a position, or turn one around."""


class TooMuchReducing(Refused):
    """A reduce-only order for more than the account's other reduce-only orders leave of its position."""


class WouldTake(Refused):
    """A post-only order that would trade on arrival."""


class CannotFill(Refused):
    """A fill-or-kill order that finds too little."""


class UnknownOrder(Refused):
    """No order of this id rests here."""


class Seat:
    """What a book knows of one account: its position, its reduce-only orders, the names in use.

    `names` is shared by the account's seats at all books: a client id is unique among all its open orders.
    An account with a long and a short position side by side has a seat for each at one book; that both are
    one account's is known by the names they share.
    """

    __slots__ = ("closing", "names", "position", "reducing")

    def __init__(self, names: dict[str, BookOrder] | None = None, *, position: int = 0) -> None:
        self.names: dict[str, BookOrder] = {} if names is None else names
        self.position = position
        # By id, oldest first
        self.closing: dict[int, BookOrder] = {}
        # What those want in all, by their side: asked at each fill, where their number must not count
        self.reducing = {BUY: 0, SELL: 0}

    def check_reduces(self, side: int, lots: int, *, replaced: BookOrder | None = None) -> None:
        """Refuse a reduce-only order that does more; `replaced` is the one that it takes over from."""
        held = self.position
        if held * side >= 0 or lots > abs(held):
            raise NotReducing
        others = self.reducing[side]
        if replaced is not None and replaced.side == side and self.closing.get(replaced.id) is replaced:
            others -= replaced.left
        if others + lots > abs(held):
            raise TooMuchReducing

    def excess(self) -> list[BookOrder]:
        """Reduce-only orders that would open a position or turn it around; the newest give way first."""
        held, excess = self.position, list[BookOrder]()
        if any(lots for side, lots in self.reducing.items() if side * held >= 0):
            excess = [order for order in self.closing.values() if order.side * held >= 0]
        total = self.reducing[SELL if held > 0 else BUY] if held else 0
        if total > abs(held):
            for order in reversed(self.closing.values()):
                if order.side * held < 0:
                    total -= order.left
                    excess.append(order)
                    if total <= abs(held):
                        break
        return excess


class BookOrder(msgspec.Struct, eq=False):
    """One order, before, while and after it rests. `key` is the caller's own; no book looks inside.

    A struct in C, since every arriving order is one: the same fields in a class of our own took three times
    as long to make.
    """

    id: int
    seat: Seat
    client_id: str
    side: int
    price: int
    #: Lots not traded; of a resting order those of an iceberg that are not shown, too
    left: int
    time_in_force: TimeInForce = TimeInForce.GTC
    self_trade: SelfTrade = SelfTrade.EXPIRE_MAKER
    reduce_only: bool = False
    #: Most lots of an iceberg that are shown at a time; 0 shows all
    display: int = 0
    #: When a GTD order expires, in the caller's time; 0 is never
    good_till: int = 0
    key: object = None
    # What the book keeps for itself
    hidden: int = 0
    place: int = 0
    resting: bool = False
