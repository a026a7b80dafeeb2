"""First in, first out: orders in time order, and an anonymous quantity between them.

Anonymous quantity is the rest of the market, known only as an aggregate per level. An order remembers
how much of it stood in front on arrival. Queue model, the cautious one:

* anonymous quantity added later stands behind every order already there;
* a trade eats from the front, so it moves every order up;
* anonymous quantity that is withdrawn leaves from the back, so it moves an order up only when less
  is left in all than stood in front of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from pms.venue.matching.events import Event, Expired, Fill, Why
from pms.venue.matching.level import Level, Registry
from pms.venue.matching.orders import BookOrder, SelfTrade

NONE, EXPIRE_MAKER, EXPIRE_TAKER = SelfTrade.NONE, SelfTrade.EXPIRE_MAKER, SelfTrade.EXPIRE_TAKER
FEW_GONE = 16


class FirstInFirstOut(Level):
    """The queue of a level.

    A withdrawn order stays in the queue until it comes to the front, or until half of the queue has gone: a
    cancel costs the same wherever the order stands, and touches none of its neighbours.
    """

    # Anonymous lots are counted from the first that ever stood here: `_front` have left from the front, the
    # others end at `_back`. An order's place is where they ended when it came, so that a trade moves every
    # order up without touching any of them.
    __slots__ = ("_back", "_front", "_gone", "_queue")

    def __init__(self, price: int) -> None:
        super().__init__(price)
        self._queue: deque[BookOrder] = deque()
        self._gone = 0
        self._front = 0
        self._back = 0

    @property
    def anonymous(self) -> int:
        """Lots of the anonymous market."""
        return self._back - self._front

    def ahead_of(self, order: BookOrder) -> int:
        """Anonymous lots that trade before this order does."""
        return max(0, order.place - self._front)

    def __iter__(self) -> Iterator[BookOrder]:
        return (order for order in self._queue if order.resting)

    def first(self) -> BookOrder | None:
        """The order that came first; those that are gone are dropped on the way."""
        queue = self._queue
        while queue:
            order = queue[0]
            if order.resting:
                return order
            queue.popleft()
            self._gone -= 1
        return None

    def append(self, order: BookOrder) -> None:
        """Queue an order behind all that stands here."""
        order.place = self._back
        self._queue.append(order)
        shown = order.left
        if order.display and order.display < shown:
            order.hidden = shown - order.display
            self.reserve += order.hidden
            shown = order.display
        self.total += shown

    def withdraw(self, order: BookOrder) -> None:
        """Forget an order that was taken out; its lots leave at once, its entry later."""
        self.total -= order.left - order.hidden
        if order.hidden:
            self.reserve -= order.hidden
            order.hidden = 0
        self._gone = gone = self._gone + 1
        if gone > FEW_GONE and gone * 2 > len(self._queue):
            resting = [each for each in self._queue if each.resting]
            # In place: a trade that is going on holds this queue
            self._queue.clear()
            self._queue.extend(resting)
            self._gone = 0

    def trade(self, taker: BookOrder, mode: SelfTrade, registry: Registry, events: list[Event]) -> bool:
        """Give a taker what stands here, the oldest first; True where a self-trade ended the taker."""
        queue, price, seat, side = self._queue, self.price, taker.seat, taker.side
        while wanted := taker.left:
            if queue and not (maker := queue[0]).resting:
                queue.popleft()
                self._gone -= 1
                continue
            ahead = (maker.place if queue else self._back) - self._front
            if ahead > 0:
                quantity = ahead if ahead < wanted else wanted
                self._front += quantity
                self.total -= quantity
                taker.left = wanted - quantity
                seat.position += quantity * side
                events.append(Fill(None, price, quantity, side))
            elif not queue:
                return False
            elif mode is not NONE and maker.seat.names is seat.names:
                if mode is not EXPIRE_TAKER:
                    registry.expire_maker(maker, events)
                if mode is not EXPIRE_MAKER:
                    events.append(Expired(taker, Why.SELF_TRADE))
                    return True
            else:
                quantity = maker.left - maker.hidden
                quantity = min(quantity, wanted)
                taker.left = wanted - quantity
                self.take_order(maker, quantity)
                events.append(Fill(maker, price, quantity, side))
                registry.traded(maker, quantity, taker, events)
        return False

    def take_order(self, order: BookOrder, quantity: int) -> None:
        """Lots of the first order went to somebody; an iceberg shows more, from the back of the queue."""
        order.left = left = order.left - quantity
        self.total -= quantity
        if left and left == order.hidden:
            self._queue.popleft()
            self.reserve -= left
            order.hidden = 0
            self.append(order)

    def set_anonymous(self, quantity: int) -> None:
        """Set the lots of the anonymous market; a decrease leaves from the back of the queue."""
        back = self._front + quantity
        self.total += back - self._back
        self._back = back
        for order in reversed(self._queue):
            if order.place <= back:
                break
            order.place = back

    def print_trade(self, quantity: int, taker: BookOrder, registry: Registry, events: list[Event]) -> int:
        """Let a recorded trade pass: the anonymous quantity stays, its places in the queue move up."""
        while quantity and (maker := self.first()) is not None:
            ahead = maker.place - self._front
            if ahead > 0:
                passed = min(quantity, ahead)
                self._front += passed
                self._back += passed
                events.append(Fill(None, self.price, passed, taker.side))
            else:
                passed = min(quantity, maker.left - maker.hidden)
                self.take_order(maker, passed)
                events.append(Fill(maker, self.price, passed, taker.side))
                registry.traded(maker, passed, taker, events)
            quantity -= passed
        return quantity
