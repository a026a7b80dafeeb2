"""The traders who start algos: each errand from its first order to the algo's end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random
from typing import Any

from pms.contract.names import Task
from pms.domain.decisions import kind_of
from pms.sim.faults import CALM_MS
from pms.sim.machines.exchange import SimExchange
from pms.sim.traffic.algo_kinds import KINDS
from pms.sim.traffic.algo_scene import GUARDED, Errand, Fields, Scene, Side, opening
from pms.sim.traffic.gateway import Gateway

LOOKS, LOOK_S = 8, 0.15
"""How often, and how far apart, a trader looks for the position that he has opened."""

PATIENCE_S, LONG_PATIENCE_S = 5.0, 40.0
"""Longer than any basket is to last: then its trader asks himself what it waits for."""

SEE_OUT_S = 0.5

BESIDE_SHARE, BESIDE_LEVELS = 0.7, (4, 20, 60)
"""How often an order rests beside a stop, and how far from the market."""

STOPS = frozenset({"callbackPct", "stopLoss"})
"""Whoever has none of these may have nothing to do as long as another order closes all of his position."""

PRICES = ("price", "takeProfit", "stopLoss", "activationPrice")
BY_HAND = ("M", "B", "C")
"""The kinds of orders that a command placed: one, a batch, a closing."""

BEYOND_LEVELS, PUSH_S = 60, 0.5
"""Further than any callback of these worlds, and long enough to be heard of."""


class Patience:
    """A trader's, which is over again and again."""

    def __init__(self, span_s: float = PATIENCE_S) -> None:
        self._span_s = span_s
        self._until = asyncio.get_running_loop().time() + span_s

    def over(self) -> bool:
        """Whether it is over; then it begins anew."""
        over = asyncio.get_running_loop().time() > self._until
        self._until += self._span_s if over else 0.0
        return over


class AlgoTraders:
    """Plays errands.

    `ended`, `paused`, `fired`: is an algo so, as the journal has it; `lost`: how often it was cut; `away`: is
    Redis away, so that it may yet prove to have been.
    """

    def __init__(
        self,
        gateway: Gateway,
        exchange: SimExchange,
        *,
        ended: Callable[[str], bool],
        paused: Callable[[str], bool],
        fired: Callable[[str], bool],
        lost: Callable[[], int],
        away: Callable[[], bool],
    ) -> None:
        self._gateway, self._exchange = gateway, exchange
        self._ended, self._paused, self._fired = ended, paused, fired
        self._lost, self._away = lost, away

    async def play(self, errands: list[Errand]) -> None:
        """Run all errands, each from its time on."""
        self._gateway.waiting += len(errands)
        async with asyncio.TaskGroup() as group:
            for errand in errands:
                group.create_task(self._play(errand))

    async def _play(self, errand: Errand) -> None:
        try:
            await _until(errand.start_ms)
            scene, kind = Scene(errand, self._exchange, Random(errand.key)), KINDS[errand.kind]
            fields: dict[str, Any] = {}
            position: dict[str, Any] | None = None
            if kind.needs_position:
                position = await self._opened(scene)
                if position is None:
                    return
                fields = {"subAccountId": errand.account, "positionId": position["id"]}
                side: Side = "BUY" if position["side"] == "LONG" else "SELL"
                scene = scene._replace(errand=errand.held(side))
            elif errand.again:
                await self._gateway.insist(Task.TRADE, opening(scene))
            fields |= kind.start(scene)
            if position is not None and STOPS & fields.keys():
                await self._let_rest(scene, Decimal(position["quantity"]))
            started = await self._gateway.insist(kind.task, fields, door=errand.door)
            if started["success"]:
                await self._live(scene, started["requestId"], fields)
        finally:
            self._gateway.waiting -= 1

    async def _opened(self, scene: Scene) -> dict[str, Any] | None:
        """Open a position, and look for it; None where others have closed it, or it was refused."""
        errand = scene.errand
        await self._gateway.insist(Task.TRADE, opening(scene))
        for _ in range(LOOKS):
            for position in await self._gateway.positions(errand.account):
                opposite = "SHORT" if errand.side == "BUY" else "LONG"
                if position["symbol"] == errand.symbol and position["positionSide"] != opposite:
                    return position
            await asyncio.sleep(LOOK_S)
        return None

    async def _let_rest(self, scene: Scene, held: Decimal) -> None:
        """Let an order rest that closes all of what is held or a part of it, and never take it back.

        It is drawn by a key of its own: the terms of what is started do not depend on it.
        """
        errand, rng = scene.errand, Random(f"{scene.errand.key}:beside")
        if rng.random() >= BESIDE_SHARE:
            return
        step = self._exchange.venue.exchange.markets[errand.symbol].symbol.step
        closes = {
            "side": "SELL" if errand.side == "BUY" else "BUY",
            "quantity": held / rng.choice((1, 1, 2, 4)) // step * step,
            "type": "LIMIT",
            "price": scene.price(rng.choice(BESIDE_LEVELS)),
            # Where no exit may open a plain one would: not all that closes is held against it.
            "reduceOnly": errand.account in GUARDED or rng.random() < 0.5,
        }
        await self._gateway.insist(Task.TRADE, opening(scene) | closes)

    async def _live(self, scene: Scene, algo_id: str, fields: Fields) -> None:
        """Amend, pause and resume an algo on its way, and see to its end."""
        errand, kind, algo = scene.errand, KINDS[scene.errand.kind], {"algoId": algo_id}
        asked, prices = self._gateway.insist, [fields[name] for name in PRICES if name in fields]
        if errand.amend:
            await self._wait(errand, 0.4)
            change = kind.amend(scene)
            prices += [change[name] for name in PRICES if name in change]
            await asked(kind.task, {**algo, "action": "amend", **change}, door=errand.door)
        if errand.pause:
            await self._wait(errand, 0.5)
            await asked(kind.task, {**algo, "action": "pause"}, door=errand.door)
            await self._wait(errand, 0.3)
            await asked(Task.ALGO, {**algo, "action": "resume"})
        await _until(errand.end_ms)
        if errand.again:
            await asked(Task.TRADE, opening(scene))
        lost = self._lost()
        if errand.leave == "cancel":
            await asked(Task.CANCEL_ALGO, algo, door=errand.door)
        if errand.leave == "cancel_all":
            await self._leave(errand, algo)
        if errand.leave in ("cancel", "cancel_all"):
            await self._see_to(algo_id, lost)
            while await self._goes_on(algo_id):
                # What it closes may go to another's stop, which pauses it: asked again, it keeps the rest.
                await asyncio.sleep(SEE_OUT_S)
                await self._cancel_paused(algo_id)
        if errand.leave == "run":
            await self._see_out(errand, algo_id)
        if errand.leave == "push":
            await self._push_out(scene, algo_id, prices)

    async def _push_out(self, scene: Scene, algo_id: str, prices: Sequence[Decimal]) -> None:
        """Let the market go through all that an algo waits for, until it is over.

        A take-profit has nothing to do while an order by hand closes all of its position: taken back then.
        A stop that has fired makes it go by itself; whoever is paused for another's stop is cancelled.
        """
        errand, first = scene.errand, 1 if scene.chance(0.5) else -1
        late, patience = errand.again, Patience()
        while await self._goes_on(algo_id):
            await self._cancel_paused(algo_id)
            await self._push(errand.symbol, prices, sign=first)
            if late and not self._ended(algo_id):
                # Once: what is opened against a resting exit expires it, and too often lets it wait a minute.
                late = False
                await self._gateway.insist(Task.TRADE, opening(scene))
            await self._push(errand.symbol, prices, sign=-first)
            if patience.over() and not (self._ended(algo_id) or self._fired(algo_id)):
                await self._take_back(errand)

    async def _leave(self, errand: Errand, algo: Fields) -> None:
        """Cancel all of the account, while somebody else there still wants the algo to go on."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._gateway.insist(Task.CANCEL_ALL, {"subAccountId": errand.account}))
            group.create_task(self._gateway.insist(Task.ALGO, {**algo, "action": "resume"}))

    async def _see_to(self, algo_id: str, lost: int) -> None:
        """Cancel an algo again whose cancel Redis has forgotten after it was answered.

        While PostgreSQL is away all of it can be forgotten: so he looks as long as anything can go wrong, and
        until a Redis that went away is there again.
        """
        looks, loop = 0, asyncio.get_running_loop()
        while looks < LOOKS or loop.time() < CALM_MS / 1000 or self._away():
            await asyncio.sleep(LOOK_S)
            looks += not self._away()
            if self._lost() > lost:
                lost = self._lost()
                await self._gateway.insist(Task.CANCEL_ALGO, {"algoId": algo_id})

    async def _see_out(self, errand: Errand, algo_id: str) -> None:
        """Let an algo run out, and see to what keeps it from that.

        It pauses where the way of a stop was cleared of its order: he has it cancelled. An order by hand
        that would close the same position keeps a basket's unwinding waiting: he takes that back.
        A scalper without margin cannot close one leg against the other: he keeps what is left.
        """
        patience, long_patience = Patience(), Patience(LONG_PATIENCE_S)
        while await self._goes_on(algo_id):
            await asyncio.sleep(SEE_OUT_S)
            if self._paused(algo_id):
                await self._cancel_paused(algo_id)
            elif KINDS[errand.kind].unwinds and patience.over():
                await self._take_back(errand)
            elif errand.kind == "scalper" and long_patience.over():
                await self._gateway.insist(Task.CANCEL_ALGO, {"algoId": algo_id})

    async def _cancel_paused(self, algo_id: str) -> None:
        """Cancel an algo that waits for its trader although he has not paused it."""
        if self._paused(algo_id):
            await self._gateway.insist(Task.CANCEL_ALGO, {"algoId": algo_id})

    async def _goes_on(self, algo_id: str) -> bool:
        """Whether an algo runs; one that has ended is looked at as long as its end can be forgotten."""
        loop = asyncio.get_running_loop()
        while self._ended(algo_id):
            if loop.time() >= CALM_MS / 1000 and not self._away():
                return False
            await asyncio.sleep(LOOK_S)
        return True

    async def _take_back(self, errand: Errand) -> None:
        """Cancel an account's orders by hand, those of batches too."""
        for order in self._exchange.resting(f"PMS_{errand.account}_"):
            if kind_of(order).startswith(BY_HAND):
                await self._gateway.insist(Task.CANCEL, {"orderId": order})

    async def _push(self, symbol: str, prices: Sequence[Decimal], *, sign: int) -> None:
        """Let the market go up, or down, through all that an algo may wait for."""
        middle, spacing = self._exchange.middle(symbol), self._exchange.spacing(symbol)
        # In levels, as the market moves: they are whole ticks, so that basis points would fall short of a
        # price that is far away.
        levels = [int(sign * (price - middle) / spacing) + BEYOND_LEVELS for price in prices]
        self._exchange.move(symbol, sign * max([BEYOND_LEVELS, *levels]))
        await asyncio.sleep(PUSH_S)

    async def _wait(self, errand: Errand, share: float) -> None:
        """Let a part of what is left of an errand's time pass."""
        left = errand.end_ms / 1000 - asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, left * share))


async def _until(at_ms: int) -> None:
    await asyncio.sleep(max(0.0, at_ms / 1000 - asyncio.get_running_loop().time()))
