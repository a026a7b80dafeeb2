"""A tape for matching engines: 60 % passive orders, 35 % cancels, 5 % sweeps, drawn from one seed.

What rests is known while the tape is written, so that nineteen cancels of twenty and more find their order,
and that a sweep never leaves anything: every engine, whatever it offers, must make the same trades of it.
Those who sweep never rest orders, so that preventing self-trades changes nothing either.
"""

from __future__ import annotations

from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

MIDDLE = 100_000
SPREAD = 60
"""Mean distance of a passive order from the touch, in ticks."""

MAKERS, TAKERS = 100, 20
MISSED = 0.02
"""Cancels of an order that has just gone, as they happen everywhere."""


class Command(NamedTuple):
    """An order, or with quantity 0 the cancel of one."""

    id: int
    owner: int
    side: int
    price: int
    quantity: int


class _Side:
    """What rests on one side while the tape is written."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.lots: dict[int, int] = {}
        self.queue: list[tuple[int, int]] = []
        self.total = 0

    def rest(self, order: Command) -> None:
        self.lots[order.id] = order.quantity
        heappush(self.queue, (-order.price * self.sign, order.id))
        self.total += order.quantity

    def cancel(self, order_id: int) -> None:
        self.total -= self.lots.pop(order_id, 0)

    def sweep(self, quantity: int) -> None:
        self.total -= quantity
        while quantity:
            order_id = self.queue[0][1]
            held = self.lots.get(order_id, 0)
            taken = min(held, quantity)
            quantity -= taken
            if taken < held:
                self.lots[order_id] = held - taken
            else:
                self.lots.pop(order_id, None)
                heappop(self.queue)


class Tape:
    """Writes commands; what it has written rests until it cancels or sweeps it."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self._sides = {1: _Side(1), -1: _Side(-1)}
        self._ids: list[int] = []
        self._where: dict[int, int] = {}
        self._last = 0
        self._gone = 0

    def fill(self, orders: int, *, spread: int = SPREAD) -> list[Command]:
        """So many passive orders."""
        return [self._passive(spread) for _ in range(orders)]

    def write(self, commands: int, *, spread: int = SPREAD) -> list[Command]:
        """So many commands of the mix."""
        written = []
        for _ in range(commands):
            chance = self._rng.random()
            if chance < 0.35:
                written.append(self._cancel() or self._passive(spread))
            elif chance < 0.40:
                written.append(self._sweep() or self._passive(spread))
            else:
                written.append(self._passive(spread))
        return written

    def resting(self) -> int:
        """How many orders rest now."""
        return sum(len(side.lots) for side in self._sides.values())

    def _passive(self, spread: int) -> Command:
        rng, side = self._rng, self._rng.choice((1, -1))
        self._last += 1
        price = MIDDLE - side * (1 + int(rng.expovariate(1 / spread)))
        order = Command(self._last, rng.randrange(MAKERS), side, max(1, price), rng.randint(1, 9))
        self._sides[side].rest(order)
        self._ids.append(order.id)
        self._where[order.id] = side
        return order

    def _cancel(self) -> Command | None:
        rng, ids = self._rng, self._ids
        if self._gone and rng.random() < MISSED:
            return Command(self._gone, 0, 0, 0, 0)
        while ids:
            place = rng.randrange(len(ids))
            ids[place], ids[-1] = ids[-1], ids[place]
            order_id = ids.pop()
            side = self._sides[self._where.pop(order_id)]
            if order_id in side.lots:
                side.cancel(order_id)
                self._gone = order_id
                return Command(order_id, 0, 0, 0, 0)
        return None

    def _sweep(self) -> Command | None:
        rng, side = self._rng, self._rng.choice((1, -1))
        against = self._sides[-side]
        quantity = min(rng.randint(10, 40), against.total)
        if not quantity:
            return None
        against.sweep(quantity)
        self._last += 1
        price = max(1, MIDDLE + side * 100 * SPREAD)
        return Command(self._last, MAKERS + rng.randrange(TAKERS), side, price, quantity)
