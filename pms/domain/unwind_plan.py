"""How the house's next order is to be sent, and whether a resting one is still wanted: policies in sums.

Nothing is remembered here. What a policy goes by is in the symbol's journaled row: since when there is
something to close, what the mark price was then, how much is closed. So a restart goes on in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pms.contract.journal import UnwindRow
from pms.contract.unwind_policy import Passive, Timed, UnwindPolicy
from pms.domain.desk import Top
from pms.domain.orders import Order

RESTS_MS = 1_000
"""A resting order is not moved earlier: a touch that flickers costs two requests a second and symbol."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is so now in a symbol."""

    now: int
    top: Top
    worth: Decimal | None
    #: the mark price; mid where none was heard
    torn: bool = False
    #: the best bid and ask are far from the mark: they are not gone by


@dataclass(frozen=True, slots=True)
class Way:
    """How much may be sent now, and how: at a price, post-only; at None, to the market."""

    most: Decimal
    price: Decimal | None = None


def way(policy: UnwindPolicy, row: UnwindRow, moment: Moment) -> Way | None:
    """How the next order is to be sent; None while none is due."""
    left = abs(row.quantity)
    match policy:
        case Passive() if not _must_cross(policy, row, moment):
            return None if moment.torn else Way(left, touch(row, moment.top))
        case Timed():
            due = left - _later(policy, row, moment.now)
            return Way(due) if due > 0 else None
        case _:
            return Way(left)


def unwanted(order: Order, policy: UnwindPolicy, row: UnwindRow | None, moment: Moment | None) -> bool:
    """Whether a resting order is to be cancelled: for what is not left any more, or where it waits in vain.

    Without a moment, that is without a price, only by what is left.
    """
    if (
        row is None
        or (order.spec.side == "SELL") is not (row.quantity > 0)
        or order.leaves > abs(row.quantity)
    ):
        return True
    if not isinstance(policy, Passive):
        return True
    if moment is None or order.price is None:
        return False
    if _must_cross(policy, row, moment):
        return True
    if moment.torn or moment.now - order.spec.admitted_at < RESTS_MS:
        return False
    better = touch(row, moment.top)
    return better < order.price if row.quantity > 0 else better > order.price


def touch(row: UnwindRow, top: Top) -> Decimal:
    """Where an order that closes can rest first in line: the ask to sell, the bid to buy."""
    return top.ask if row.quantity > 0 else top.bid


def _must_cross(policy: Passive, row: UnwindRow, moment: Moment) -> bool:
    """Whether there was time enough, or the price runs away."""
    if moment.now - row.began_at >= policy.seconds * 1000:
        return True
    if row.began_price is None or moment.worth is None or moment.torn:
        return False
    lost = row.began_price - moment.worth if row.quantity > 0 else moment.worth - row.began_price
    return lost * 100 > policy.adverse * row.began_price


def _later(policy: Timed, row: UnwindRow, now: int) -> Decimal:
    """What is for later slices: parts of all there was, so what one could not send the next makes up.

    More that is taken over meanwhile is spread over the same time: nothing is put off for ever.
    """
    each_ms = policy.seconds * 1000 / policy.slices
    begun = min(int(max(now - row.began_at, 0) / each_ms) + 1, policy.slices)
    return (abs(row.quantity) + row.closed) * (policy.slices - begun) / policy.slices
