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
from pms.sim.machines.books import Fold
from pms.sim.traffic.gateway import Gateway
from pms.sim.traffic.workload import ACCOUNTS

SHARE = 0.2
BEGIN_MS, LENGTH_MS = 800, 2600
LASTS_MS = (150, 500, 1500, 3000)
HALTED = "nothing is sent under a halt"
LOOK_S = 0.3
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
    books: Callable[[], Fold]
    #: the fold of the journal
    _modes: dict[str, str] = field(default_factory=dict)
    _lifted: dict[str, dict[str, str]] = field(default_factory=dict)
    #: by scope, in whose words

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
            await self.lift(wish.scope, words, gateway)
        finally:
            gateway.waiting -= 1

    def begin(self, scope: str, mode: str) -> None:
        """Somebody knows that a scope is halted."""
        self._modes[scope] = mode

    async def lift(self, scope: str, words: dict[str, str], gateway: Gateway) -> None:
        """Lift a halt; from now on it is lifted again whenever it is found in force."""
        self._modes.pop(scope, None)
        self._lifted[scope] = words
        await gateway.insist(Task.RESUME, words)

    async def keep_lifted(self, gateway: Gateway) -> None:
        """For ever: lift what was lifted already, and is in force again.

        A Redis that forgot the lifting, or was asked for it in vain, halts: in doubt nothing is sent.
        """
        while True:
            await asyncio.sleep(LOOK_S)
            for scope, words in list(self._lifted.items()):
                if _halted(self.books(), scope):
                    gateway.waiting += 1
                    await gateway.insist(Task.RESUME, words)
                    gateway.waiting -= 1

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
        self._modes = {scope: mode for scope, mode in self._modes.items() if _halted(books, scope)}


def _halted(books: Fold, scope: str) -> bool:
    row = books.tables["halts"].get((scope,))
    return row is not None and row.mode != "RESUMED"
