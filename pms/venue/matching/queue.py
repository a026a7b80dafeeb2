"""One price level's queue: accounts' orders in time order, and an anonymous quantity between them.

Anonymous quantity is the rest of the market, known only as an aggregate per level. An order remembers
how much of it stood in front on arrival. Queue model, the cautious one:

* anonymous quantity added later stands behind every order already there;
* a trade eats from the front, so it moves every order up;
* anonymous quantity that is withdrawn leaves from the back, so it moves an order up only when less
  is left in all than stood in front of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

BUY: Final = 1
SELL: Final = -1


class RestingOrder:
    """An account's order as the book sees it: `remaining` lots at `price` ticks.

    `key` is the caller's own name for it; the book never looks inside.
    """

    __slots__ = ("ahead", "following", "key", "level", "owner", "preceding", "price", "remaining", "side")

    def __init__(self, *, key: object, owner: int, side: int, price: int, remaining: int) -> None:
        self.key = key
        self.owner = owner
        self.side = side
        self.price = price
        self.remaining = remaining
        self.ahead = 0
        self.level: Level | None = None
        self.preceding: RestingOrder | None = None
        self.following: RestingOrder | None = None


class Fill(NamedTuple):
    """One trade at the maker's price; `maker` None is the anonymous market."""

    maker: RestingOrder | None
    price: int
    quantity: int
    taker_side: int


class Level:
    """Everything at one price of one side, oldest first."""

    __slots__ = ("anonymous", "eaten", "head", "owned", "price", "tail")

    def __init__(self, price: int) -> None:
        self.price = price
        self.anonymous = 0
        # Anonymous lots that ever left from the front. RestingOrder.ahead counts from the same origin, so
        # eating from the front moves every order up without touching any of them.
        self.eaten = 0
        self.owned = 0
        self.head: RestingOrder | None = None
        self.tail: RestingOrder | None = None

    @property
    def total(self) -> int:
        """Visible quantity in lots."""
        return self.anonymous + self.owned

    @property
    def empty(self) -> bool:
        """Nothing rests here: the book drops the level."""
        return self.anonymous == 0 and self.head is None

    def __iter__(self) -> Iterator[RestingOrder]:
        order = self.head
        while order is not None:
            yield order
            order = order.following

    def append(self, order: RestingOrder) -> None:
        """Queue an order behind all that stands here."""
        order.level = self
        order.ahead = self.eaten + self.anonymous
        order.following = None
        tail = self.tail
        order.preceding = tail
        if tail is None:
            self.head = order
        else:
            tail.following = order
        self.tail = order
        self.owned += order.remaining

    def unlink(self, order: RestingOrder) -> None:
        """Take an order out of the queue, wherever it stands."""
        before, after = order.preceding, order.following
        if before is None:
            self.head = after
        else:
            before.following = after
        if after is None:
            self.tail = before
        else:
            after.preceding = before
        self.owned -= order.remaining
        order.level = order.preceding = order.following = None

    def fill_head(self, order: RestingOrder, quantity: int) -> None:
        """Trade `quantity` lots of the order at the front; a filled one leaves."""
        order.remaining -= quantity
        self.owned -= quantity
        if order.remaining == 0:
            self.unlink(order)

    def ahead_of(self, order: RestingOrder) -> int:
        """Anonymous lots that trade before this order does."""
        return max(0, order.ahead - self.eaten)

    def set_anonymous(self, quantity: int) -> None:
        """Set the anonymous quantity; a decrease leaves from the back of the queue."""
        self.anonymous = quantity
        limit = self.eaten + quantity
        order = self.tail
        while order is not None and order.ahead > limit:
            order.ahead = limit
            order = order.preceding

    def eat(self, quantity: int) -> None:
        """Anonymous lots at the front have traded."""
        self.anonymous -= quantity
        self.eaten += quantity
