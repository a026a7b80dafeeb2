"""The simulated loop: time jumps, the dead stay dead, the paused wait."""

from __future__ import annotations

import asyncio
import gc

import pytest

from pms.sim.machines.loop import Loop, Process, Stuck


def new_loop() -> Loop:
    return Loop()  # type: ignore[abstract]


def test_an_hour_of_sleep_takes_no_time() -> None:
    loop = new_loop()

    async def sleeper() -> float:
        await asyncio.sleep(3600)
        return loop.time()

    assert loop.run(sleeper(), until=4000) == 3600


def test_the_tools_of_asyncio_work_on_virtual_time() -> None:
    async def work() -> list[str]:
        told: list[str] = []
        event = asyncio.Event()

        async def late() -> None:
            await event.wait()
            told.append("late")

        async with asyncio.TaskGroup() as group:
            group.create_task(late())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await asyncio.Event().wait()
            told.append("timed out")
            event.set()
        return told

    assert new_loop().run(work(), until=60) == ["timed out", "late"]


def test_nothing_of_a_killed_process_is_ever_run_again() -> None:
    """Not at the kill, not when its timers are due, not when the collector finds its coroutines."""
    loop, told = new_loop(), []
    victim = Process("victim")
    loop.admit(victim)

    async def doomed() -> None:
        try:
            told.append("began")
            await asyncio.sleep(1)
            told.append("went on")
        finally:
            if not loop.over:
                told.append("finally")

    async def world() -> None:
        loop.run_in(victim, doomed())
        await asyncio.sleep(0.5)
        loop.kill(victim)
        gc.collect()
        await asyncio.sleep(10)
        gc.collect()

    loop.run(world(), until=60)
    assert told == ["began"]


def test_a_process_can_die_at_any_of_its_steps() -> None:
    ends = set()
    for steps in range(1, 5):
        loop, reached = new_loop(), []
        victim = Process("victim")
        loop.admit(victim)

        async def walk(reached: list[int] = reached) -> None:
            for step in range(10):
                reached.append(step)
                await asyncio.sleep(0)

        async def world(loop: Loop = loop, victim: Process = victim, steps: int = steps) -> None:
            loop.run_in(victim, walk())
            victim.doom = steps
            await asyncio.sleep(1)

        loop.run(world(), until=60)
        ends.add(len(reached))
    assert len(ends) == 4


def test_a_paused_process_goes_on_with_what_has_gathered() -> None:
    loop, told = new_loop(), []
    sleeper = Process("sleeper")
    loop.admit(sleeper)

    async def work() -> None:
        await asyncio.sleep(1)
        told.append(loop.time())

    async def world() -> None:
        loop.run_in(sleeper, work())
        await asyncio.sleep(0.5)
        loop.pause(sleeper)
        await asyncio.sleep(9.5)
        assert told == []
        loop.resume(sleeper)
        await asyncio.sleep(0.1)

    loop.run(world(), until=60)
    assert told == [10.0]


def test_a_world_in_which_nothing_can_happen_says_so() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck):
        new_loop().run(forever(), until=60)
