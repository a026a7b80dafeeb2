"""A book of one symbol: accounts' orders and the anonymous market, never crossed between calls.

A command returns what it did as a list of events; one that is refused raises and has changed nothing. The
book has no clock: who gives it orders that expire tells it the time.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from pms.venue.matching.deadlines import Deadlines
from pms.venue.matching.events import Amended, Cancelled, Event, Expired, Rested, Why
from pms.venue.matching.fifo import FirstInFirstOut
from pms.venue.matching.level import Level
from pms.venue.matching.orders import (
    BUY,
    SELL,
    BookOrder,
    CannotFill,
    DuplicateName,
    Seat,
    SelfTrade,
    TimeInForce,
    UnknownOrder,
    WouldTake,
)
from pms.venue.matching.side import BookSide

# A name of the module is found faster than a member of an enum
GTC, IOC, FOK, GTX = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTX
NO_PREVENTION = SelfTrade.NONE
UNFILLED, OUT_OF_TIME, REDUCE_ONLY, SELF_TRADE = (
    Why.UNFILLED,
    Why.OUT_OF_TIME,
    Why.REDUCE_ONLY,
    Why.SELF_TRADE,
)


class Book:
    """Both sides in integer ticks and lots. `sharing` is how a level's orders share what is taken there.

    Every change of a level is noted for the depth feed, see BookSide.drain_changes.
    """

    __slots__ = ("_deadlines", "asks", "bids", "closing", "orders")

    def __init__(self, sharing: Callable[[int], Level] = FirstInFirstOut) -> None:
        self.bids = BookSide(BUY, sharing)
        self.asks = BookSide(SELL, sharing)
        #: What rests here, by id
        self.orders: dict[int, BookOrder] = {}
        #: Those of them that may only reduce
        self.closing: dict[int, BookOrder] = {}
        self._deadlines = Deadlines(self.orders)

    def own_side(self, side: int) -> BookSide:
        """The side on which an order of `side` rests."""
        return self.bids if side > 0 else self.asks

    def opposite(self, side: int) -> BookSide:
        """The side that an order of `side` takes from."""
        return self.asks if side > 0 else self.bids

    # Commands

    def place(self, order: BookOrder) -> list[Event]:
        """Match an order and rest what it may leave; `order.left` is what has not traded.

        Trap: each order is a new object, since one that has left may be in its queue for a while.
        """
        seat, side = order.seat, order.side
        if order.client_id in seat.names:
            raise DuplicateName
        if order.reduce_only:
            seat.check_reduces(side, order.left)
        in_force = order.time_in_force
        if order.price * side + (self.asks if side > 0 else self.bids).touch >= 0:
            if in_force is GTX:
                raise WouldTake
            if in_force is FOK and not self._can_fill(order):
                raise CannotFill
            return self._take(order, [])
        if in_force is FOK:
            raise CannotFill
        if in_force is IOC:
            return [Expired(order, UNFILLED)]
        self.rest(order)
        return [Rested(order)]

    def cancel(self, order_id: int) -> list[Event]:
        """Take a resting order out."""
        order = self.orders.get(order_id)
        if order is None:
            raise UnknownOrder
        self._leave(order)
        return [Cancelled(order)]

    def amend(self, order_id: int, *, price: int, left: int) -> list[Event]:
        """Give a resting order another price and quantity to trade; it goes to the back of the queue.

        It is a new object from then on, and cancelled instead where nothing would be left or a post-only
        order would take. Its self-trade prevention ends (Binance: Modify Order; Self Trade Prevention FAQ).
        """
        order = self.orders.get(order_id)
        if order is None:
            raise UnknownOrder
        crosses = self.would_take(order.side, price)
        if left <= 0 or (crosses and order.time_in_force is GTX):
            return self.cancel(order_id)
        if order.reduce_only:
            order.seat.check_reduces(order.side, left, replaced=order)
        self._leave(order)
        # The one that was here may still be in its old queue, and must not come to life there
        order = replace(order, price=price, left=left, self_trade=NO_PREVENTION)
        events: list[Event] = [Amended(order)]
        if crosses:
            return self._take(order, events)
        self.rest(order)
        events.append(Rested(order))
        return events

    def expire(self, now: int) -> list[Event]:
        """Expire the orders whose good-till date has come, the earliest first."""
        events: list[Event] = []
        while (order := self._deadlines.due(now)) is not None:
            self._leave(order)
            events.append(Expired(order, OUT_OF_TIME))
        return events

    def hold(self, seat: Seat, position: int) -> list[Event]:
        """Take note of a position that changed outside this book."""
        seat.position = position
        events: list[Event] = []
        if seat.closing:
            self._trim(seat, events)
        return events

    @property
    def next_deadline(self) -> int | None:
        """When the next order expires."""
        return self._deadlines.next

    # Questions

    def would_take(self, side: int, price: int) -> bool:
        """Whether a limit order at this price would trade on arrival."""
        return price * side + self.opposite(side).touch >= 0

    def _can_fill(self, order: BookOrder) -> bool:
        """Whether a fill-or-kill order gets all it wants.

        Trap: another's reduce-only order may expire on the way, when other orders of that account trade
        before it. Such an order is not counted, so that nothing is filled in part.
        """
        found = 0
        levels = []
        for level in self.opposite(order.side).within(order.price):
            found += level.total + level.reserve
            levels.append(level)
            if found >= order.left and not self.closing:
                return True
        if found < order.left:
            return False
        reachable = [each for level in levels for each in level]
        opening = {id(each.seat) for each in reachable if not each.reduce_only}
        doubtful = sum(each.left for each in reachable if each.reduce_only and id(each.seat) in opening)
        return found - doubtful >= order.left

    # Inside a command

    def rest(self, order: BookOrder) -> None:
        """Queue an order at its price. Trap: it is neither matched nor checked; a restart does this."""
        seat, side, price = order.seat, self.bids if order.side > 0 else self.asks, order.price
        level = side.levels.get(price)
        if level is None or not level.total:
            level = side.open(price)
        level.append(order)
        side.changed.add(price)
        self.orders[order.id] = order
        seat.names[order.client_id] = order
        order.resting = True
        if order.reduce_only:
            seat.closing[order.id] = self.closing[order.id] = order
            seat.reducing[order.side] += order.left
        if order.good_till:
            self._deadlines.add(order)

    def _take(self, order: BookOrder, events: list[Event]) -> list[Event]:
        seat, side, in_force = order.seat, self.opposite(order.side), order.time_in_force
        # The protocol gives self-trade prevention to GTC, IOC and GTD only.
        mode = NO_PREVENTION if in_force is FOK else order.self_trade
        reach = order.price * order.side
        ended = False
        while order.left and not ended and reach + side.touch >= 0:
            level = side.best
            assert level is not None
            side.changed.add(level.price)
            ended = level.trade(order, mode, self, events)
            if level is side.best and not level.total:
                side.emptied(level)
        if order.left and not ended:
            if in_force is IOC or in_force is FOK:
                events.append(Expired(order, UNFILLED))
            else:
                self.rest(order)
                events.append(Rested(order))
        if seat.closing:
            self._trim(seat, events)
        return events

    def _leave(self, order: BookOrder) -> None:
        """Take an order out that is filled or ends otherwise."""
        price, seat = order.price, order.seat
        side = self.bids if order.side > 0 else self.asks
        order.resting = False
        del self.orders[order.id]
        del seat.names[order.client_id]
        if order.reduce_only:
            del seat.closing[order.id], self.closing[order.id]
            seat.reducing[order.side] -= order.left
        side.changed.add(price)
        level = side.levels[price]
        level.withdraw(order)
        if not level.total:
            side.emptied(level)

    def _trim(self, seat: Seat, events: list[Event]) -> None:
        """Expire reduce-only orders that a shrunken position leaves without anything to reduce.

        At once, also between two fills of one command: none of them may turn the position around.
        """
        for order in seat.excess():
            self._leave(order)
            events.append(Expired(order, REDUCE_ONLY))

    # What a level tells (see level.Registry)

    def traded(self, maker: BookOrder, quantity: int, taker: BookOrder, events: list[Event]) -> None:
        """Lots of a maker went to a taker."""
        seat, signed = maker.seat, quantity * maker.side
        seat.position += signed
        taker.seat.position -= signed
        if maker.reduce_only:
            seat.reducing[maker.side] -= quantity
        if not maker.left:
            self._leave(maker)
        if seat.closing:
            self._trim(seat, events)

    def expire_maker(self, maker: BookOrder, events: list[Event]) -> None:
        """A maker gives way, so that it does not trade with its own account."""
        self._leave(maker)
        events.append(Expired(maker, SELF_TRADE))
