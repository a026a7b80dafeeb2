"""A task that fails is seen, costs the others nothing, and runs again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pms.bus.lead import NotLeading
from pms.streamer.agenda import Agenda
from pms.streamer.supervision import TOLD_EVERY_S, Supervision


class Trial:
    def __init__(self) -> None:
        self.now = 0.0
        self.alarms: list[str] = []
        self.pauses: list[float] = []
        self.tasks = Supervision(monotonic=lambda: self.now, sleep=self.sleep, alarm=self.alarms.append)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def failing(*, times: int, then: Callable[[], object]) -> Callable[[], object]:
    """A service that fails so often and then goes on."""
    left = [times]

    async def work() -> None:
        if left[0]:
            left[0] -= 1
            raise ValueError("a bug in a handler")
        then()
        await asyncio.Event().wait()

    return work


async def turns(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it is so."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("it never came")


async def test_a_service_that_fails_is_run_again_and_told_once_a_minute() -> None:
    trial, up = Trial(), asyncio.Event()
    task = asyncio.create_task(trial.tasks.kept("feed", failing(times=30, then=up.set)))  # type: ignore[arg-type]
    await up.wait()
    task.cancel()
    assert trial.tasks.failures == {"feed": 30}
    assert trial.pauses[:3] == [0.1, 0.2, 0.4]
    assert max(trial.pauses) == 5.0
    assert len(trial.alarms) == 1 + int(sum(trial.pauses) // TOLD_EVERY_S)
    assert "a bug in a handler" in trial.alarms[0]


async def test_a_service_that_ends_is_run_again_and_told() -> None:
    trial, runs = Trial(), []

    async def work() -> None:
        runs.append(1)
        if len(runs) > 2:
            await asyncio.Event().wait()

    task = asyncio.create_task(trial.tasks.kept("feed", work))
    await turns(lambda: len(runs) == 3)
    task.cancel()
    assert trial.alarms == ["feed: it ended by itself"]


async def test_stepping_down_is_not_kept_back() -> None:
    async def work() -> None:
        raise NotLeading("another's")

    with pytest.raises(NotLeading):
        await Trial().tasks.kept("feed", work)


async def test_a_life_ends_whole_with_the_fault_that_ended_it() -> None:
    tasks, ended = Trial().tasks, []

    async def stubborn() -> None:
        """Loses its first cancel, as a task that sends to Redis may."""
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append(1)

    async def begin() -> None:
        tasks.keep("stubborn", stubborn)
        tasks.spawn("once", asyncio.Event().wait())
        tasks.start("lease", lost())

    async def lost() -> None:
        await asyncio.sleep(0)
        raise NotLeading("another's")

    with pytest.raises(NotLeading):
        await tasks.live(begin())
    assert len(ended) >= 2
    assert len(asyncio.all_tasks()) == 1, "this test alone"


async def test_a_life_that_is_cancelled_ends_whole() -> None:
    tasks = Trial().tasks

    async def begin() -> None:
        tasks.start("for ever", for_ever())

    async def for_ever() -> None:
        await asyncio.Event().wait()

    life = asyncio.create_task(tasks.live(begin()))
    await turns(lambda: len(asyncio.all_tasks()) == 3)
    life.cancel()
    with pytest.raises(asyncio.CancelledError):
        await life
    assert len(asyncio.all_tasks()) == 1


async def test_background_work_that_fails_is_seen() -> None:
    trial = Trial()

    async def work() -> None:
        raise ValueError("lost")

    task = trial.tasks.spawn("answer", work())
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert trial.alarms == ["answer: ValueError('lost')"]


async def test_a_counter_of_failures_is_watched() -> None:
    trial, failed = Trial(), [0]
    trial.tasks.count("frames", lambda: failed[0])
    task = asyncio.create_task(trial.tasks.run())
    await asyncio.sleep(0)
    failed[0] = 7
    await turns(lambda: bool(trial.alarms))
    task.cancel()
    assert trial.alarms == ["frames: 7 in the last second, 7 in all"]


async def test_a_subject_that_cannot_be_attended_does_not_keep_the_agenda() -> None:
    told: list[Exception] = []
    served = asyncio.Event()

    async def attend(subject: str) -> float | None:
        if subject == "bad":
            raise ValueError(subject)
        served.set()
        return None

    agenda = Agenda(attend, clock=asyncio.get_running_loop().time, failed=told.append)
    task = asyncio.create_task(agenda.run())
    agenda.put("bad", in_s=0)
    agenda.put("good", in_s=0)
    await served.wait()
    task.cancel()
    assert [str(error) for error in told] == ["bad"]
    assert len(agenda) == 1, "the bad one is due again"
