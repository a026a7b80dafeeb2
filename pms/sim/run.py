"""One seed, from its first step to its verdict."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pms.contract.names import Task
from pms.sim import faults
from pms.sim.faults import Fault
from pms.sim.injector import Injector
from pms.sim.judges import algos_settled, settled, standing
from pms.sim.judges.invariants import Invariants, Violation
from pms.sim.judges.patience import Patience
from pms.sim.judges.punctual import Punctual
from pms.sim.judges.ticks import Ticks
from pms.sim.logs import Event, Take, logs
from pms.sim.traffic import corrections, errands, halts, hands, limiting, panicking, storm, workload
from pms.sim.traffic.algo_scene import Errand
from pms.sim.traffic.algo_traders import AlgoTraders
from pms.sim.traffic.corrections import Corrector
from pms.sim.traffic.limiting import Limiting
from pms.sim.traffic.panicking import Operator
from pms.sim.world import World

BOUND_S = 90.0
"""By then a world without any more faults must be quiet.

A stop that met an empty book three times waits a minute before it tries again.
"""
EXTRA_S = 0.2
Note = Callable[[str, str], None]


@dataclass(slots=True)
class Outcome:
    """What became of a seed."""

    seed: int
    violation: Violation | None
    orders: int
    faults: Counter[str]
    checked: Counter[str]
    virtual_s: float
    steps: int
    plan: Sequence[Fault] = field(default_factory=tuple)


def run(
    seed: int,
    *,
    plan: Sequence[Fault] | None = None,
    only: str | None = None,
    storms: bool | None = None,
    algos: bool | None = None,
    note: Note | None = None,
    started: Callable[[World], None] | None = None,
    logged: Take | None = None,
) -> Outcome:
    """Run one seed; with a `plan` of its own exactly those faults happen.

    Its weather is the seed's own, and so is whether algos run; `storms` and `algos` say otherwise. Its
    log lines go to `logged`, or nowhere.
    """
    weather = storm.draw(seed) if (storm.stormy(seed) if storms is None else storms) else None
    exposed = storm.EXPOSED if weather else ()
    wishes = errands.draw(seed, exposed=exposed) if (errands.works(seed) if algos is None else algos) else []
    steps = workload.draw(seed, exposed=exposed)
    shaken = [shock.at_ms for shock in weather.shocks] if weather else []
    faulty = list(faults.draw(seed, only=only, shaken=shaken) if plan is None else plan)
    if plan is None and only is None:
        faulty = sorted([*faulty, *faults.beside(seed)], key=lambda fault: fault.at_ms)
    if wishes and plan is None:
        faulty = errands.retarget(seed, faulty)
    if plan is None and any(step.number >= workload.MORE_FROM for step in steps):
        faulty = faults.spread(seed, faulty)
    panic = panicking.draw(seed)
    if panic is not None and plan is None:
        faulty = panicking.retarget(seed, faulty)
    spare = faults.reserves(seed, only=only) if plan is None else []
    world = World(
        seed, note=note or _nobody, storm=weather, algos=bool(wishes), hands=() if panic else hands.draw(seed)
    )
    invariants = Invariants(world.server, world.exchange, world.opening, now=lambda: world.loop.now)
    ticks = Ticks(invariants)
    world.before_tick, world.after_tick = ticks.before, ticks.after
    invariants.reads_books(lambda: world.books.fold)
    world.books.committed = invariants.committed
    injector = Injector(world, invariants, faulty, spare)
    if started is not None:
        started(world)
    wanted = Wanted(
        steps,
        wishes,
        [] if panic else halts.draw(seed, exposed=exposed),
        panic,
        [] if panic else corrections.draw(seed, exposed=exposed),
        [] if panic else limiting.draw(seed, exposed=exposed),
    )

    def failed(level: str, event: Event) -> None:
        # What falls over as the world ends is nobody's.
        if not world.loop.over:
            invariants.own_faults.look(level, event)

    try:
        with logs(failed, logged):
            world.loop.run(_play(world, invariants, injector, wanted), until=BOUND_S + 5)
    except _Stopped:
        pass
    except TimeoutError as error:
        invariants.fail("all comes to rest", str(error))
    except Exception as error:
        invariants.fail("the simulator", f"{type(error).__name__}: {error}")
    for fault in world.loop.faults:
        invariants.fail("no service dies unnoticed", f"{type(fault).__name__}: {fault}")
    return Outcome(
        seed=seed,
        violation=invariants.violation,
        orders=sum(asked.command in (Task.TRADE, Task.CLOSE) for asked in world.gateway.asked.values()),
        faults=injector.kinds(),
        checked=invariants.checked,
        virtual_s=world.loop.now,
        steps=world.loop.steps,
        plan=tuple(injector.used),
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What people want of a world: commands, algos, halts, an end of all, corrections and limits."""

    steps: list[workload.Step]
    errands: list[Errand]
    halts: list[halts.Wish]
    panic: panicking.Wish | None
    corrections: list[corrections.Wish]
    limits: list[limiting.Wish]


class _Stopped(Exception):
    """A violation was found: nothing that follows matters."""


async def _play(
    world: World,
    invariants: Invariants,
    injector: Injector,
    wanted: Wanted,
) -> None:
    loop = asyncio.get_running_loop()
    limits = Limiting(lambda: invariants.journal)
    serving = [
        loop.create_task(world.run_exchange()),
        loop.create_task(invariants.halts.keep_lifted(world.gateway)),
        loop.create_task(limits.keep_lifted(world.gateway)),
    ]
    world.start_all(lists=any(step.door == "list" for step in wanted.steps))
    traders = AlgoTraders(
        world.gateway,
        world.exchange,
        ended=invariants.bounds.ended,
        paused=invariants.paused,
        fired=lambda algo_id: algos_settled.fired(invariants, algo_id),
        lost=lambda: invariants.tail_lost,
        away=lambda: not world.server.up,
    )
    playing = [
        loop.create_task(world.gateway.play(wanted.steps)),
        loop.create_task(traders.play(wanted.errands)),
        loop.create_task(invariants.halts.play(wanted.halts, world.gateway)),
        loop.create_task(Operator(world, invariants.halts).play(wanted.panic)),
        loop.create_task(Corrector(world).play(wanted.corrections)),
        loop.create_task(limits.play(wanted.limits, world.gateway)),
    ]
    calm_s = faults.CALM_MS / 1000 if injector.planned else 0.0
    patience, punctual = Patience(calm_s), Punctual(world, invariants)
    while True:
        await asyncio.sleep(EXTRA_S)
        if invariants.violation is not None:
            raise _Stopped
        for task in (*serving, *playing):
            if task.done():
                task.result()
        punctual.look(disturbed_until_s=injector.disturbed_until_s)
        why = (
            settled.unquiet(world, invariants)
            or standing.unwinding(world)
            or (world.loop.now < calm_s and "the plan is not over")
            or None
        )
        wrong = None
        if why is None:
            settled.check(world, invariants)
            standing.check(world, invariants)
            wrong = invariants.retract()
            if wrong is None:
                break
        elif world.loop.now > BOUND_S:
            invariants.fail("all comes to rest", why)
        if patience.over(wrong, now=loop.time()):
            invariants.violation = wrong
            raise _Stopped
    await asyncio.gather(*playing)
    for task in serving:
        task.cancel()


def _nobody(kind: str, text: str) -> None:
    """Nobody takes notes."""
