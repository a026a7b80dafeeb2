"""What the anonymous market does to a book: set its quantities, take, pass by as recorded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pms.venue.matching.book import Book
from pms.venue.matching.events import Event, Fill
from pms.venue.matching.level import Level
from pms.venue.matching.orders import BUY, SELL, BookOrder, Seat, SelfTrade, TimeInForce

Levels = Iterable[tuple[int, int]]
HIGHEST: Final = 1 << 61


def set_level(book: Book, side: int, price: int, quantity: int) -> None:
    """Set the anonymous lots of one level. Trap: nothing is uncrossed, see apply_levels."""
    book_side = book.own_side(side)
    book_side.changed.add(price)
    if quantity:
        book_side.open(price).set_anonymous(quantity)
        return
    level = book_side.levels.get(price)
    if level is not None and level.total:
        level.set_anonymous(0)
        if not level.total:
            book_side.emptied(level)


def replace_levels(book: Book, bids: Levels, asks: Levels) -> list[Event]:
    """Forget the anonymous market and take these (price, lots) levels for it."""
    for book_side in (book.bids, book.asks):
        for level in list(book_side):
            if level.anonymous:
                set_level(book, book_side.sign, level.price, 0)
    return apply_levels(book, bids, asks)


def apply_levels(book: Book, bids: Levels, asks: Levels) -> list[Event]:
    """Set levels as one recorded diff does, then trade the accounts' orders it went through."""
    fresh_bids = set()
    for price, quantity in bids:
        set_level(book, BUY, price, quantity)
        fresh_bids.add(price)
    for price, quantity in asks:
        set_level(book, SELL, price, quantity)
    return _uncross(book, fresh_bids)


def take(book: Book, *, side: int, quantity: int, limit: int | None) -> list[Event]:
    """Let the anonymous market take up to `quantity` lots; what it cannot get is forgotten."""
    if limit is None:
        limit = HIGHEST if side > 0 else 0
    taker = _somebody(side, limit, quantity)
    return [event for event in book.place(taker) if getattr(event, "order", None) is not taker]


def print_trade(book: Book, *, side: int, price: int, quantity: int) -> list[Event]:
    """Replay one recorded trade: it fills the accounts' orders it would have met.

    Anonymous quantities stay as they are, since the recorded diffs already hold what the trade took;
    only places in the queue move up. Orders at a better price than the recorded one trade first and
    without waiting: the recording shows that nobody else stood there.
    """
    events: list[Event] = []
    taker = _somebody(side, price, quantity)
    for level in list(book.opposite(side).within(price)):
        before = level.total
        if level.price == price:
            taker.left = level.print_trade(taker.left, taker, book, events)
        else:
            while taker.left and (order := level.first()) is not None:
                _fill(book, level, order, taker, events)
        if level.total != before:
            book.opposite(side).changed.add(level.price)
    if taker.left:
        events.append(Fill(None, price, taker.left, side))
    return events


def _uncross(book: Book, fresh_bids: set[int]) -> list[Event]:
    """Trade accounts' orders against anonymous levels that crossed them; orders are the makers.

    Two anonymous levels cross only if the feed contradicts itself: what it said last stands.
    """
    events: list[Event] = []
    while True:
        bid, ask = book.bids.best, book.asks.best
        if bid is None or ask is None or bid.price < ask.price:
            return events
        if ask.anonymous and (maker := bid.first()) is not None:
            _trade_through(book, maker, bid, ask, events)
        elif bid.anonymous and (maker := ask.first()) is not None:
            _trade_through(book, maker, ask, bid, events)
        elif bid.price in fresh_bids:
            set_level(book, SELL, ask.price, 0)
        else:
            set_level(book, BUY, bid.price, 0)


def _trade_through(book: Book, maker: BookOrder, level: Level, crossing: Level, events: list[Event]) -> None:
    lots, side = crossing.anonymous, -maker.side
    taker = _somebody(side, crossing.price, lots)
    _fill(book, level, maker, taker, events)
    book.own_side(maker.side).changed.add(level.price)
    set_level(book, side, crossing.price, taker.left)


def _fill(book: Book, level: Level, maker: BookOrder, taker: BookOrder, events: list[Event]) -> None:
    quantity = min(maker.left - maker.hidden, taker.left)
    taker.left -= quantity
    level.take_order(maker, quantity)
    events.append(Fill(maker, level.price, quantity, taker.side))
    book.traded(maker, quantity, taker, events)


def _somebody(side: int, limit: int, quantity: int) -> BookOrder:
    """An aggressor that no account sent."""
    return BookOrder(0, Seat(), "", side, limit, quantity, TimeInForce.IOC, SelfTrade.NONE)
