"""A life ends even where a task swallows the word that it is over."""

from __future__ import annotations

import asyncio

import pytest

from pms.streamer.life import Life


class Fault(Exception):
    pass


async def deaf(times: int, heard: list[int]) -> None:
    """A service whose library turns cancellations into errors, which it catches and goes on."""
    for turn in range(times):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard.append(turn)
    await asyncio.Event().wait()


async def failing() -> None:
    await asyncio.sleep(0)
    raise Fault


async def test_the_word_is_said_until_it_is_heard() -> None:
    heard: list[int] = []

    async def whole() -> None:
        async with asyncio.timeout(10), Life() as life:
            life.create_task(deaf(2, heard))
            life.create_task(failing())

    with pytest.raises(ExceptionGroup) as ended:
        await whole()
    assert isinstance(ended.value.exceptions[0], Fault)
    assert heard == [0, 1]


async def test_it_ends_when_it_is_cancelled_from_outside() -> None:
    heard: list[int] = []

    async def whole() -> None:
        async with Life() as life:
            life.create_task(deaf(1, heard))
            await asyncio.Event().wait()

    running = asyncio.create_task(whole())
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            await running
    assert heard == [0]


async def test_without_a_fault_it_waits_for_all() -> None:
    async with Life() as life:
        done = [life.create_task(asyncio.sleep(0.01, turn)) for turn in range(3)]
    assert [task.result() for task in done] == [0, 1, 2]
