"""Limits: what an operator sets in some seeds while people and algos trade, and lifts again.

Drawn before anything runs. Whatever is in force, or was a moment ago, an order is admitted or refused by what
the journal says at that moment. One that Redis forgot to have lifted is lifted again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pms.contract.names import EVERYTHING, Task
from pms.sim.machines.books import Fold
from pms.sim.machines.exchange import SYMBOLS
from pms.sim.traffic.gateway import Gateway
from pms.sim.traffic.workload import ACCOUNTS

SHARE = 0.2
MOST = 4
BEGIN_MS, LENGTH_MS = 400, 3000
LASTS_MS = (150, 500, 1500, 3000)
LOOK_S = 0.3
SETTINGS = (
    ("trading.state", "HALTED"),
    ("trading.state", "REDUCE_ONLY"),
    ("trading.symbols", SYMBOLS[0]),
    ("trading.sides", "BUY"),
    ("trading.sides", "SELL"),
    ("leverage", "5"),
    ("order.quantity", "0.05"),
    ("order.notional", "500"),
    ("position.quantity", "0.1"),
    ("position.notional", "1000"),
    ("exposure", "3000"),
    ("concentration.equity", "5"),
    ("loss.daily", "0.01"),
    ("orders.open", "2"),
    ("orders.open_symbol", "1"),
    ("orders.rate", "2"),
    ("orders.duplicate", "2000"),
    ("price.collar", "0.02"),
    ("orders.siblings", "APART"),
)
OF_ALL_SYMBOLS = frozenset(
    ("trading.symbols", "exposure", "loss.daily", "orders.open", "orders.rate", "price.collar")
)
WHO = {"actor": "an operator", "reason": "to see what it does"}


@dataclass(frozen=True, slots=True)
class Wish:
    """One setting, and how long it is to last."""

    at_ms: int
    scope: str
    limit: str
    value: str
    symbol: str
    lasts_ms: int


def draw(seed: int, *, exposed: Sequence[str] = ()) -> list[Wish]:
    """The limits of a seed, no two in each other's place; none in most."""
    rng = Random(f"{seed}:limits")
    if rng.random() >= SHARE:
        return []
    wishes: dict[tuple[str, str, str], Wish] = {}
    for _ in range(rng.randrange(1, MOST + 1)):
        limit, value = rng.choice(SETTINGS)
        scope = rng.choice((EVERYTHING, *ACCOUNTS, *exposed))
        symbol = "" if limit in OF_ALL_SYMBOLS else rng.choice(("", "", *SYMBOLS))
        at_ms, lasts_ms = BEGIN_MS + rng.randrange(LENGTH_MS), rng.choice(LASTS_MS)
        wishes[scope, limit, symbol] = Wish(at_ms, scope, limit, value, symbol, lasts_ms)
    return list(wishes.values())


@dataclass(slots=True)
class Limiting:
    """Whoever sets limits."""

    books: Callable[[], Fold]
    #: the fold of the journal
    _lifted: list[Wish] = field(default_factory=list)

    async def play(self, wishes: Sequence[Wish], gateway: Gateway) -> None:
        """Set and lift all that is wished for, each at its time."""
        gateway.waiting += len(wishes)
        async with asyncio.TaskGroup() as group:
            for wish in wishes:
                group.create_task(self._play(wish, gateway))

    async def _play(self, wish: Wish, gateway: Gateway) -> None:
        try:
            await asyncio.sleep(wish.at_ms / 1000)
            await gateway.insist(Task.LIMITS, {**_words(wish), "action": "set", "value": wish.value})
            await asyncio.sleep(wish.lasts_ms / 1000)
            self._lifted.append(wish)
            await self._lift(wish, gateway)
        finally:
            gateway.waiting -= 1

    async def _lift(self, wish: Wish, gateway: Gateway) -> None:
        await gateway.insist(Task.LIMITS, {**_words(wish), "action": "unset"})

    async def keep_lifted(self, gateway: Gateway) -> None:
        """For ever: lift what was lifted already, and holds again behind a Redis that forgot."""
        while True:
            await asyncio.sleep(LOOK_S)
            for wish in list(self._lifted):
                row = self.books().tables["limits"].get((wish.scope, wish.limit, wish.symbol))
                if row is not None and row.value is not None:
                    gateway.waiting += 1
                    await self._lift(wish, gateway)
                    gateway.waiting -= 1


def _words(wish: Wish) -> dict[str, Any]:
    of = {"symbol": wish.symbol} if wish.symbol else {}
    return {"scope": wish.scope, "limit": wish.limit, **of, **WHO}
