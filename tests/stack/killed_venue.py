"""What the venue itself wrote down of an account's orders: each transaction, and what was bound to hold then.

None of the engine's code, and none of the venue's: its journal is read as JSON, one transaction a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

ZERO = Decimal(0)
OPEN = frozenset({"NEW", "PARTIALLY_FILLED"})
SIDES = {1: "BUY", -1: "SELL"}


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it stood behind one transaction."""

    id: int
    name: str
    side: str
    at: int
    quantity: Decimal
    executed: Decimal
    status: str
    amendments: int

    @property
    def live(self) -> Decimal:
        """What it may still trade."""
        return self.quantity - self.executed if self.status in OPEN else ZERO

    @property
    def letter(self) -> str:
        """Of which kind of algo it is; M where it is a trader's."""
        return self.name.split("_", 3)[2][:1]

    @property
    def slot(self) -> int:
        """The place of an algo that it is in."""
        return int(self.name.split("_", 3)[2][1:], 36)


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade of an order."""

    order: int
    name: str
    side: str
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one change at the venue made of an account's orders."""

    orders: tuple[Order, ...]
    trades: tuple[Trade, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """What may be entered at most; nothing may be left that was not entered."""

    enters: str
    most: Decimal
    again: bool = False
    #: what was left may be entered once more


def read(path: Path, account: str, grid: tuple[Decimal, Decimal]) -> list[Transaction]:
    """All transactions of the orders that bear an account's name; `grid` is the symbol's tick and lot."""
    return list(_transactions(path.read_bytes().splitlines(), f"PMS_{account}_", grid))


def _transactions(
    lines: Iterable[bytes], prefix: str, grid: tuple[Decimal, Decimal]
) -> Iterator[Transaction]:
    mark = prefix.encode()
    for line in lines:
        if mark not in line:
            continue
        facts = [fact for fact in json.loads(line) if fact.get("client_order_id", "").startswith(prefix)]
        orders = tuple(_order(fact, grid) for fact in facts if fact["k"] == "order")
        trades = tuple(_trade(fact, grid) for fact in facts if fact["k"] == "trade")
        yield Transaction(orders, trades)


def _order(fact: dict[str, Any], grid: tuple[Decimal, Decimal]) -> Order:
    return Order(
        id=fact["order_id"],
        name=fact["client_order_id"],
        side=SIDES[fact["side"]],
        at=fact["updated"],
        quantity=fact["quantity"] * grid[1],
        executed=fact["executed"] * grid[1],
        status=fact["status"],
        amendments=fact["amendments"],
    )


def _trade(fact: dict[str, Any], grid: tuple[Decimal, Decimal]) -> Trade:
    tick, lot = grid
    return Trade(
        order=fact["order_id"],
        name=fact["client_order_id"],
        side=SIDES[fact["side"]],
        quantity=fact["quantity"] * lot,
        price=fact["price"] * tick,
    )


def final(history: Sequence[Transaction]) -> dict[int, Order]:
    """The orders as they stand in the end."""
    return {order.id: order for each in history for order in each.orders}


def traded(history: Sequence[Transaction]) -> list[Trade]:
    """All trades."""
    return [trade for each in history for trade in each.trades]


def faults_of(history: Sequence[Transaction], bound: Bound) -> Iterator[str]:
    """Orders made twice, more at the exchange than was to be, and sums that are not those of the trades."""
    known: dict[int, Order] = {}
    sums: dict[int, Decimal] = {}
    names: dict[str, int] = {}
    for each in history:
        for trade in each.trades:
            sums[trade.order] = sums.get(trade.order, ZERO) + trade.quantity
        for order in each.orders:
            if names.setdefault(order.name, order.id) != order.id:
                yield f"{order.name} stands twice at the venue: {names[order.name]} and {order.id}"
            known[order.id] = order
        yield from _beyond(known.values(), bound)
    for order in known.values():
        if order.executed != sums.get(order.id, ZERO):
            yield f"{order.name} executed {order.executed}, its trades make {sums.get(order.id, ZERO)}"


def _beyond(orders: Iterable[Order], bound: Bound) -> Iterator[str]:
    entered = left = entering = leaving = ZERO
    for order in orders:
        if order.side == bound.enters:
            entered, entering = entered + order.executed, entering + order.live
        else:
            left, leaving = left + order.executed, leaving + order.live
    most = bound.most + (left if bound.again else ZERO)
    if entered + entering > most:
        yield f"{entered} entered and {entering} live, of {most}"
    if left + leaving > entered:
        yield f"{left} left and {leaving} live, of {entered} entered"


@dataclass(frozen=True, slots=True)
class Acts:
    """What came of an account's orders behind a moment: not what others filled of them."""

    placed: int
    moved: int
    cancelled: int
    first_at: int | None


def acts_since(history: Sequence[Transaction], at: int) -> Acts:
    """Count the orders that were placed, amended and cancelled after a moment, ms."""
    known: dict[int, Order] = {}
    placed = moved = cancelled = 0
    first: int | None = None
    for each in history:
        for order in each.orders:
            before = known.get(order.id)
            known[order.id] = order
            new = before is None
            amended = before is not None and order.amendments > before.amendments
            gone = before is not None and order.status == "CANCELED" != before.status
            if order.at < at or not (new or amended or gone):
                continue
            placed, moved, cancelled = placed + new, moved + amended, cancelled + gone
            first = order.at if first is None else min(first, order.at)
    return Acts(placed, moved, cancelled, first)
