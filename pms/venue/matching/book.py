"""A book of one symbol: accounts' orders and the anonymous market, never crossed between calls."""

from __future__ import annotations

from collections.abc import Iterable

from pms.venue.matching.queue import BUY, SELL, Fill, Level, RestingOrder
from pms.venue.matching.side import BookSide


class Book:
    """Both sides in integer ticks and lots. Every change of a level is noted for the depth feed."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = BookSide(BUY)
        self.asks = BookSide(SELL)

    def own_side(self, side: int) -> BookSide:
        """The side on which an order of `side` rests."""
        return self.bids if side == BUY else self.asks

    def opposite(self, side: int) -> BookSide:
        """The side that an order of `side` takes from."""
        return self.asks if side == BUY else self.bids

    def would_take(self, side: int, price: int) -> bool:
        """Whether a limit order at this price would trade on arrival."""
        best = self.opposite(side).best
        return best is not None and (price - best.price) * side >= 0

    def available(self, side: int, limit: int | None, wanted: int) -> int:
        """Lots an aggressor could take up to `limit`, counted no further than `wanted`."""
        found = 0
        for level in self.opposite(side):
            if limit is not None and (limit - level.price) * side < 0:
                break
            found += level.total
            if found >= wanted:
                break
        return min(found, wanted)

    def rest(self, order: RestingOrder) -> None:
        """Queue an order at its price. Trap: the caller has matched it first, nothing is checked here."""
        side = self.own_side(order.side)
        side.level(order.price).append(order)
        side.changed.add(order.price)

    def remove(self, order: RestingOrder) -> None:
        """Take a resting order out."""
        level = order.level
        if level is None:
            raise ValueError("order does not rest in this book")
        side = self.own_side(order.side)
        level.unlink(order)
        side.drop_if_empty(level)
        side.changed.add(order.price)

    def set_anonymous(self, side: int, price: int, quantity: int) -> None:
        """Set the anonymous lots of one level. Trap: call `uncross` after a batch of these."""
        book_side = self.own_side(side)
        book_side.changed.add(price)
        if quantity == 0 and price not in book_side.levels:
            return
        level = book_side.level(price)
        level.set_anonymous(quantity)
        book_side.drop_if_empty(level)

    def replace_anonymous(
        self, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]
    ) -> list[Fill]:
        """Forget the anonymous market and take these (price, lots) levels for it."""
        for book_side in (self.bids, self.asks):
            for level in list(book_side):
                if level.anonymous:
                    self.set_anonymous(book_side.sign, level.price, 0)
        return self.apply_anonymous(bids, asks)

    def apply_anonymous(self, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> list[Fill]:
        """Set levels as one recorded diff does, then trade the accounts' orders it went through."""
        fresh_bids = set()
        for price, quantity in bids:
            self.set_anonymous(BUY, price, quantity)
            fresh_bids.add(price)
        for price, quantity in asks:
            self.set_anonymous(SELL, price, quantity)
        return self._uncross(fresh_bids)

    def _uncross(self, fresh_bids: set[int]) -> list[Fill]:
        """Trade accounts' orders against anonymous levels that crossed them; orders are the makers.

        Two anonymous levels cross only if the feed contradicts itself: what it said last stands.
        """
        fills: list[Fill] = []
        while True:
            bid, ask = self.bids.best, self.asks.best
            if bid is None or ask is None or bid.price < ask.price:
                return fills
            if bid.head is not None and ask.anonymous:
                fills.append(self._trade_through(maker=bid.head, taker=ask))
            elif ask.head is not None and bid.anonymous:
                fills.append(self._trade_through(maker=ask.head, taker=bid))
            elif bid.price in fresh_bids:
                self.set_anonymous(SELL, ask.price, 0)
            else:
                self.set_anonymous(BUY, bid.price, 0)

    def _trade_through(self, *, maker: RestingOrder, taker: Level) -> Fill:
        quantity = min(maker.remaining, taker.anonymous)
        fill = Fill(maker, maker.price, quantity, -maker.side)
        self._fill_resting(maker, quantity)
        self.set_anonymous(-maker.side, taker.price, taker.anonymous - quantity)
        return fill

    def _fill_resting(self, order: RestingOrder, quantity: int) -> None:
        side = self.own_side(order.side)
        level = order.level
        assert level is not None
        level.fill_head(order, quantity)
        side.drop_if_empty(level)
        side.changed.add(order.price)

    def aggress(self, *, side: int, quantity: int, limit: int | None) -> list[Fill]:
        """Let the anonymous market take up to `quantity` lots; what it cannot get is forgotten."""
        fills: list[Fill] = []
        opposite = self.opposite(side)
        while quantity:
            level = opposite.best
            if level is None or (limit is not None and (limit - level.price) * side < 0):
                break
            fill = self.take_front(opposite, level, quantity)
            quantity -= fill.quantity
            fills.append(fill)
        return fills

    def take_front(self, side: BookSide, level: Level, quantity: int) -> Fill:
        """Trade up to `quantity` lots with whatever stands first at this level."""
        side.changed.add(level.price)
        head = level.head
        ahead = level.anonymous if head is None else head.ahead - level.eaten
        if ahead > 0:
            taken = min(quantity, ahead)
            level.eat(taken)
            maker = None
        else:
            assert head is not None
            taken = min(quantity, head.remaining)
            level.fill_head(head, taken)
            maker = head
        side.drop_if_empty(level)
        return Fill(maker, level.price, taken, -side.sign)

    def print_trade(self, *, side: int, price: int, quantity: int) -> list[Fill]:
        """Replay one recorded trade: it fills the accounts' orders it would have met.

        Anonymous quantities stay as they are, since the recorded diffs already hold what the trade took;
        only places in the queue move up. Orders at a better price than the recorded one trade first and
        without waiting: the recording shows that nobody else stood there.
        """
        left = quantity
        fills: list[Fill] = []
        for level in list(self.opposite(side).within(price)):
            while left and (head := level.head) is not None:
                waiting = level.ahead_of(head) if level.price == price else 0
                if waiting:
                    passed = min(left, waiting)
                    level.eaten += passed
                    left -= passed
                    fills.append(Fill(None, price, passed, side))
                    continue
                taken = min(left, head.remaining)
                left -= taken
                self._fill_resting(head, taken)
                fills.append(Fill(head, head.price, taken, side))
        if left:
            fills.append(Fill(None, price, left, side))
        return fills
