"""The algos in the streamer: whoever is concerned by what happened is asked, once a turn of the loop.

Ticks are not queued: an algo that has not been asked yet since the last tick is asked with the newest. If the
process dies:

    before an algo's entry is journaled    nothing was sent; the next life asks it anew
    before its workers are woken           the streamer sends, amends or cancels by itself
    after that                             its orders are orders like any other
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

import structlog

from pms.contract import names
from pms.domain.algos.algo import Algo, Status
from pms.domain.algos.conduct import conduct, end, tell_late
from pms.domain.algos.machines import MACHINES, TIMED
from pms.domain.algos.reducing import works_on
from pms.domain.algos.throttle import Throttle
from pms.domain.algos.together import Foreseeing
from pms.domain.decisions import Asked
from pms.domain.orders import Order
from pms.domain.posting import Posting
from pms.streamer.agenda import Agenda
from pms.streamer.engine import Engine
from pms.streamer.queues import queue_of
from pms.streamer.wake_ups import WakeUps

log = structlog.get_logger()
LIVES_MS = 5_000
"""The deadline of a child: what was not sent by then is void, and the algo is asked again."""

AT_ONCE = 50
"""Algos asked before the loop may turn to its other work: about two milliseconds."""

REST, LONGEST_REST_S = 2.0, 0.02
"""Behind them so many times as long as they took: in a flood of ticks asking has a third of the loop, so that
neither prices nor the journal wait for it. What happens meanwhile is answered by the next asking."""


@dataclass(slots=True)
class Algos:
    """Conducts all algos that run."""

    engine: Engine
    wake_ups: WakeUps
    monotonic: Callable[[], float]
    throttle: Throttle = field(default_factory=Throttle)
    asked: int = 0
    #: how often any was asked
    _due: dict[str, None] = field(default_factory=dict)
    _something: asyncio.Event = field(default_factory=asyncio.Event)
    _timers: Agenda = field(init=False)
    _on: bool = False
    _faulty: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._timers = Agenda(self._time, clock=self.monotonic)

    def begin(self) -> None:
        """Conduct from here on: the books are complete, and each algo is asked once."""
        self._on = True
        for algo in self.engine.desk.algos.running():
            self.ask(algo.id)

    def ticked(self, symbol: str) -> None:
        """Ask those who watch a symbol, whose best bid or ask is another than before."""
        for algo_id in self.engine.desk.algos.by_symbol.get(symbol, ()):
            self.ask(algo_id)

    def moved(self, order: Order) -> None:
        """Ask the algo whose order moved, and those that work on what the order may have taken from."""
        desk, spec = self.engine.desk, order.spec
        if spec.parent_id in desk.algos.every:
            self.ask(spec.parent_id)
        for algo in desk.algos.by_account.get(spec.sub_account_id, {}).values():
            if works_on(algo, spec.symbol):
                self.ask(algo.id)
        for reducing in desk.reducing.get(spec.place, {}).values():
            if reducing.spec.parent_id in desk.algos.every:
                self.ask(reducing.spec.parent_id)

    def ask(self, algo_id: str) -> None:
        """Ask an algo with the next turn."""
        self._due[algo_id] = None
        self._something.set()

    def begun(self, algo_id: str) -> None:
        """Ask one that was judged whole in the very step that admitted it: nobody's order comes between.

        What was judged is reserved so; only a death between both entries leaves it to the next life.
        """
        algo = self.engine.desk.algos.every[algo_id]
        if self._on and isinstance(MACHINES[algo.kind], Foreseeing):
            self._conduct(algo_id)

    async def run(self) -> None:
        """Ask for ever; the newest state answers for all that happened since."""
        while True:
            await self._something.wait()
            self._something.clear()
            if not self._on:
                continue
            while self._due:
                began = self.monotonic()
                for algo_id in list(islice(self._due, AT_ONCE)):
                    del self._due[algo_id]
                    self._conduct(algo_id)
                await asyncio.sleep(min((self.monotonic() - began) * REST, LONGEST_REST_S))

    def ask_late(self) -> None:
        """Ask those whose time has come without their timer: it was lost, or their last asking failed."""
        now = self.engine.now()
        for algo in self.engine.desk.algos.running():
            if (algo.wake_at is None and algo.kind in TIMED) or (algo.wake_at or now) < now:
                self.ask(algo.id)

    async def run_timers(self) -> None:
        """Ask at the times that algos named."""
        await self._timers.run()

    async def _time(self, algo_id: str) -> float | None:
        self.ask(algo_id)
        return None

    def _conduct(self, algo_id: str) -> None:
        algo = self.engine.desk.algos.every.get(algo_id)
        if algo is not None and algo.status.over and algo.untold:
            late = tell_late(self.engine.desk, algo, MACHINES[algo.kind], at=self.engine.now())
            self.engine.outbox.add(late)
        if algo is None or algo.status.over or (algo_id in self._faulty and algo.status is not Status.ENDING):
            return
        self.asked += 1
        try:
            done = conduct(self.engine.desk, algo, MACHINES[algo.kind], self._rules(algo), self.throttle)
        except Exception as error:
            self._broken(algo, error)
            return
        if done.posting is not None:
            posting = done.posting
            self.engine.outbox.add(posting, lambda held: self._leave(posting, held=held))
        algo.wake_at = done.wake_at
        if done.wake_at is not None:
            self._timers.put(algo_id, in_s=max(done.wake_at - self.engine.now(), 1) / 1000)

    def _broken(self, algo: Algo, error: Exception) -> None:
        """A fault in one algo ends that one; a second, while it ends, leaves it alone until the next life."""
        log.exception("algo_failed", algo=algo.id, kind=algo.kind)
        again = algo.id in self._faulty
        self._faulty.add(algo.id)
        told = f"{algo.kind} {algo.id} of {algo.account}: {type(error).__name__}: {error}"
        self.engine.raise_incident("algo_failed", "critical", told, subject=algo.id)
        if not again:
            end(algo, Status.FAILED, f"a fault of ours: {type(error).__name__}")
            self.ask(algo.id)

    def _rules(self, algo: Algo) -> Asked:
        """What the algo's orders are judged by now."""
        gate, now = self.engine.gate, self.engine.now()
        closed = gate.closed_because or ("Redis is three quarters full" if gate.algos_stopped else None)
        return Asked(
            request_id=algo.id,
            command=f"pms.{algo.kind}",
            text="",
            at=now,
            deadline=now + LIVES_MS,
            now=now,
            closed_because=closed,
            live_guard=gate.live_guard,
            default_leverage=gate.default_leverage,
            exchange_now=self.engine.exchange_now(),
            certain=self.engine.complete(),
        )

    def _leave(self, posting: Posting, *, held: bool) -> None:
        """The entry is journaled: only now may its orders leave."""
        if not held:
            return
        self.engine.unwanted(posting, held=held)
        desk = self.engine.desk
        for row in posting.entry.rows.orders:
            order = desk.orders.get(row.client_order_id)
            if order is None or row.cancel_wanted:
                continue
            amended = row.amend_quantity is not None
            task = names.Task.SEND_AMEND if amended else names.Task.PLACE
            self.wake_ups.wake(task, row.client_order_id, queue=queue_of(desk, order))
