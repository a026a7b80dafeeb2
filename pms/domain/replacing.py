"""Replacing an order: cancel, hear that it is over, then place what REMAINS.

For whoever keeps a target by one child order at a time. The rule at every instant:

    filled + live + unknown + next child <= target

Trap: an acknowledged cancel proves nothing, for a fill may be on its way. Only an order that is over,
with every trade that the exchange counts booked, says how much remains.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from pms.domain.orders import ZERO, Order


@dataclass(frozen=True, slots=True)
class Cancel:
    """Want the child cancelled; the wish stands until it is over."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class Wait:
    """A child may still trade: only the feed or a query ends it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Place this quantity; nothing else is live."""

    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Done:
    """The target is filled, up to what cannot be ordered any more."""

    unfilled: Decimal


Step = Cancel | Wait | Place | Done


def exposed(children: Iterable[Order]) -> Decimal:
    """What the children have traded or may still trade, those of unknown outcome included."""
    return sum((max(order.venue_filled, order.filled_qty) + _may_trade(order) for order in children), ZERO)


def room(target: Decimal, children: Iterable[Order]) -> Decimal:
    """How much the next child may be for; never below zero, even if a child was overfilled."""
    return max(target - exposed(children), ZERO)


def replace(
    target: Decimal, children: Iterable[Order], *, step: Decimal, least: Decimal, most: Decimal | None = None
) -> Step:
    """The next step towards a target with a new child in place of whatever lives.

    `step`, `least` and `most` are the symbol's quantity step and bounds; rounds down.
    """
    every = list(children)
    alive = [order for order in every if not order.state.terminal]
    for order in alive:
        if not order.cancel_wanted:
            return Cancel(order.spec.client_order_id)
    if alive:
        return Wait()
    remaining = room(target, every)
    quantity = remaining if most is None else min(remaining, most)
    quantity -= quantity % step
    return Place(quantity) if quantity >= least and quantity > 0 else Done(remaining)


def _may_trade(order: Order) -> Decimal:
    """What an order may still trade beyond what the exchange counts already."""
    if order.state.terminal:
        return ZERO
    return max(order.total - max(order.venue_filled, order.filled_qty), ZERO)
