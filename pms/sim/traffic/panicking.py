"""Panic in one seed: an operator takes everything off the exchange while all else goes on.

Nothing that he does goes through the streamer: he halts at the door and speaks to the exchange alone. Once he
is told that nothing is left, there is nothing, until he lets trading go on.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from pydantic import SecretStr

from pms.binance.alone import Alone
from pms.binance.client import ExchangeClient
from pms.contract.names import EVERYTHING, HALT
from pms.flows.panic import Door, Panic, stop_everything
from pms.sim.faults import Fault
from pms.sim.machines.exchange import KEY, SECRET, SYMBOLS
from pms.sim.machines.loop import Process
from pms.sim.traffic.halts import Halts

if TYPE_CHECKING:
    from pms.sim.world import World

SHARE = 0.06
BEGIN_MS, LENGTH_MS = 900, 2500
NAME = "operator"
TARGETED = 0.4
"""So many of the faults at the exchange's door befall him."""
TOLD = "trading is halted"
"""What he believes as soon as he reads it."""
TRIES = 4
NOTHING_LEFT = "panic leaves nothing"


@dataclass(frozen=True, slots=True)
class Wish:
    """One panic."""

    at_ms: int
    flat: bool
    stays_ms: int


def draw(seed: int) -> Wish | None:
    """The panic of a seed; none in nearly all."""
    rng = Random(f"{seed}:panic")
    if rng.random() >= SHARE:
        return None
    return Wish(
        BEGIN_MS + rng.randrange(LENGTH_MS), flat=rng.random() < 0.7, stays_ms=rng.choice((300, 2000, 4000))
    )


def retarget(seed: int, plan: list[Fault]) -> list[Fault]:
    """Let some of what goes wrong at the exchange's door befall the operator's requests."""
    rng = Random(f"{seed}:panicked")
    return [
        replace(fault, target=NAME, word="")
        if fault.kind.startswith("rest_") and rng.random() < TARGETED
        else fault
        for fault in plan
    ]


class Operator:
    """Plays a panic, and looks at what it leaves."""

    def __init__(self, world: World, halts: Halts) -> None:
        self._world, self._halts = world, halts
        self._process = Process(NAME)
        world.loop.admit(self._process)

    async def play(self, wish: Wish | None) -> None:
        """Panic until nothing is left; then let trading go on."""
        if wish is None:
            return
        world = self._world
        world.gateway.waiting += 1
        try:
            await asyncio.sleep(wish.at_ms / 1000)
            for _ in range(TRIES):
                if gone := await world.loop.run_in(self._process, self._panic(wish)):
                    break
            if gone:
                self._halted()
                self._nothing_left(wish)
            await asyncio.sleep(wish.stays_ms / 1000)
            if gone:
                self._nothing_left(wish)
            await self._halts.lift(EVERYTHING, {"actor": NAME, "reason": "it is over"}, world.gateway)
        finally:
            world.gateway.waiting -= 1

    async def _panic(self, wish: Wish) -> bool:
        """Do what `pms panic` does, as a process of its own; whether nothing is left."""
        world, process = self._world, self._process
        client = ExchangeClient(
            base_url=world.settings.binance_rest_url or "",
            api_key=SecretStr(KEY),
            api_secret=SecretStr(SECRET),
            session=world.session(process),
            clock_ms=self._clock,
            budget=Alone(clock_ms=self._clock),
        )
        deps = Panic(client=client, sleep=asyncio.sleep, new_id=self._new_id, say=self._say)
        redis = world.redis(process, timeout_s=1.0)
        door = Door(redis, new_id=world.new_id, say=self._say, actor=NAME, reason="panic")
        return await stop_everything(deps, door, SYMBOLS, flat=wish.flat)

    def _halted(self) -> None:
        """Whoever is told that nothing is left leaves a system that is halted, if there is a Redis."""
        server = self._world.server
        if server.up and not server.paused and server.keys.get(HALT.encode()) is None:
            self._halts.fail(NOTHING_LEFT, "panic is over, and trading is not halted")

    def _nothing_left(self, wish: Wish) -> None:
        """No order rests and, after flattening, nothing is held; but the house goes on in a storm.

        Where Redis was away, or forgot the halt once more, trading goes on as well.
        """
        if self._world.storm is not None or not self._halts.stands(EVERYTHING):
            return
        self._halts.checked(NOTHING_LEFT)
        account = self._world.exchange.account
        resting = [each.client_order_id for orders in account.open.values() for each in orders.values()]
        held = {name: account.position(name).lots for name in SYMBOLS}
        if resting:
            self._halts.fail(NOTHING_LEFT, f"{resting} rest", *resting)
        if wish.flat and any(held.values()):
            self._halts.fail(NOTHING_LEFT, f"{held} is held")

    def _clock(self) -> int:
        return self._world.now_ms(self._process)

    def _new_id(self) -> str:
        return self._world.new_id().replace("-", "")[:24]

    def _say(self, text: str) -> None:
        if text.startswith(TOLD):
            self._halts.begin(EVERYTHING, "HALTED")
        self._world.note("panic", text)
