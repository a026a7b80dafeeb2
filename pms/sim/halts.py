"""Halts: who halts trading and lifts it again in one seed, and what no order may do meanwhile.

Drawn before anything runs. From the moment when the halt is answered until its lifting is asked for, no
right to send is given to what it stops, whatever dies or is lost; a Redis that forgot it is forgiven only
what PostgreSQL never had.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from pms.contract.journal import OrderRow
from pms.contract.names import EVERYTHING, HOUSE, Task
from pms.sim.books import Fold
from pms.sim.gateway import Gateway
from pms.sim.workload import ACCOUNTS

SHARE = 0.2
BEGIN_MS, LENGTH_MS = 800, 2600
LASTS_MS = (150, 500, 1500, 3000)
HALTED = "nothing is sent under a halt"
LIQUIDATION = "LIQUIDATION"
"""Of orders that are never stopped, for they take risk away."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One halt, and how long it is to last."""

    at_ms: int
    scope: str
    mode: str
    lasts_ms: int


def draw(seed: int, *, exposed: Sequence[str] = ()) -> list[Wish]:
    """The halts of a seed, each of a scope of its own; none in most."""
    rng = Random(f"{seed}:halts")
    if rng.random() >= SHARE:
        return []
    scopes = rng.sample((EVERYTHING, *ACCOUNTS, *exposed), rng.randrange(1, 3))
    return [
        Wish(
            at_ms=BEGIN_MS + rng.randrange(LENGTH_MS),
            scope=scope,
            mode=rng.choice(("HALTED", "HALTED", "REDUCE_ONLY")),
            lasts_ms=rng.choice(LASTS_MS),
        )
        for scope in scopes
    ]


@dataclass(slots=True)
class Halts:
    """Those in force as whoever asked for them may believe."""

    fail: Callable[..., None]
    checked: Callable[[str], None]
    _modes: dict[str, str] = field(default_factory=dict)

    async def play(self, wishes: Sequence[Wish], gateway: Gateway) -> None:
        """Halt and lift all that is wished for, each at its time."""
        gateway.waiting += len(wishes)
        async with asyncio.TaskGroup() as group:
            for wish in wishes:
                group.create_task(self._play(wish, gateway))

    async def _play(self, wish: Wish, gateway: Gateway) -> None:
        try:
            await asyncio.sleep(wish.at_ms / 1000)
            scope = {} if wish.scope == EVERYTHING else {"subAccountId": wish.scope}
            words = {**scope, "actor": "an operator", "reason": "to see that it holds"}
            answer = await gateway.insist(Task.HALT, {**words, "mode": wish.mode})
            if answer["success"]:
                self.begin(wish.scope, wish.mode)
            await asyncio.sleep(wish.lasts_ms / 1000)
            self.end(wish.scope)
            await gateway.insist(Task.RESUME, words)
        finally:
            gateway.waiting -= 1

    def begin(self, scope: str, mode: str) -> None:
        """Somebody knows that a scope is halted."""
        self._modes[scope] = mode

    def end(self, scope: str) -> None:
        """He is about to lift it."""
        self._modes.pop(scope, None)

    def stands(self, scope: str) -> bool:
        """Whether it still holds, for all that is known."""
        return scope in self._modes

    def permitted(self, order: OrderRow, owner: str) -> None:
        """A right to send is given for an order that is `owner`'s now."""
        if not self._modes or owner == HOUSE or order.origin == LIQUIDATION:
            return
        self.checked(HALTED)
        for scope in (EVERYTHING, owner):
            mode = self._modes.get(scope)
            if mode is not None and not (mode == "REDUCE_ONLY" and order.reduce_only):
                told = f"{order.client_order_id} of {owner} was given a right while {scope} is {mode}"
                self.fail(HALTED, told, order.client_order_id)

    def forgotten(self, books: Fold) -> None:
        """Redis lost its tail: what is in force is what the books still have."""
        kept = {name for (name,), row in books.tables["halts"].items() if row.mode != "RESUMED"}
        self._modes = {scope: mode for scope, mode in self._modes.items() if scope in kept}
