"""What arrives at a book: one order with its time in force and self-trade mode, executed at once."""

from __future__ import annotations

from enum import StrEnum

from pms.venue.matching.book import Book
from pms.venue.matching.queue import Fill, RestingOrder


class TimeInForce(StrEnum):
    """How long an order lives; a market order is matched as IOC."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"


class SelfTrade(StrEnum):
    """Who gives way when an order meets one of its own account; the taker's mode decides."""

    NONE = "NONE"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"


class WouldTake(Exception):
    """A post-only order would trade on arrival; nothing was changed."""


class CannotFill(Exception):
    """A fill-or-kill order finds too little; nothing was changed."""


class Execution:
    """What one arrival did: trades in order, makers expired to prevent a self-trade, the taker's end."""

    __slots__ = ("expired_makers", "fills", "rested", "self_trade")

    def __init__(self) -> None:
        self.fills: list[Fill] = []
        self.expired_makers: list[RestingOrder] = []
        self.rested = False
        self.self_trade = False


def execute(
    book: Book,
    order: RestingOrder,
    *,
    limit: int | None,
    time_in_force: TimeInForce,
    self_trade: SelfTrade = SelfTrade.EXPIRE_MAKER,
) -> Execution:
    """Match an order and rest what a GTC or GTX leaves; `order.remaining` is what did not trade.

    `limit` None is a market order. Raises WouldTake (GTX) or CannotFill (FOK) before any change.
    """
    done = Execution()
    if time_in_force is TimeInForce.GTX:
        if book.would_take(order.side, order.price):
            raise WouldTake
    elif time_in_force is TimeInForce.FOK:
        # The protocol gives self-trade prevention to GTC, IOC and GTD only.
        self_trade = SelfTrade.NONE
        if book.available(order.side, limit, order.remaining) < order.remaining:
            raise CannotFill
    _take(book, order, limit=limit, self_trade=self_trade, done=done)
    if order.remaining and not done.self_trade and time_in_force in (TimeInForce.GTC, TimeInForce.GTX):
        book.rest(order)
        done.rested = True
    return done


def _take(
    book: Book, order: RestingOrder, *, limit: int | None, self_trade: SelfTrade, done: Execution
) -> None:
    side, owner = order.side, order.owner
    opposite = book.opposite(side)
    while order.remaining:
        level = opposite.best
        if level is None or (limit is not None and (limit - level.price) * side < 0):
            return
        head = level.head
        if (
            self_trade is not SelfTrade.NONE
            and head is not None
            and head.owner == owner
            and head.ahead <= level.eaten
        ):
            if self_trade is not SelfTrade.EXPIRE_TAKER:
                book.remove(head)
                done.expired_makers.append(head)
            if self_trade is not SelfTrade.EXPIRE_MAKER:
                done.self_trade = True
                return
            continue
        fill = book.take_front(opposite, level, order.remaining)
        order.remaining -= fill.quantity
        done.fills.append(fill)
