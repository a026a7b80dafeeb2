"""A streamer that starts while the rate budget is spent waits; it does not end, to spend it again."""

from __future__ import annotations

import asyncio

import pytest

from pms.binance.errors import Throttled, Unknown
from pms.stack.children import READY_WITHIN_S
from pms.streamer.start import MOST_WAIT_S, given_room


async def asked(left: list[Exception], slept: list[float], monkeypatch: pytest.MonkeyPatch) -> str:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def ask() -> str:
        if left:
            raise left.pop(0)
        return "books"

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return await given_room(ask)


async def test_it_waits_for_as_long_as_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    left = [Throttled("full", retry_after=20.7), Throttled("still full")]
    assert await asked(left, slept, monkeypatch) == "books"
    assert slept == [20.7, 0.5]


async def test_in_a_long_ban_it_asks_often_enough_to_show_that_it_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    left: list[Exception] = [Throttled("banned", retry_after=3600)]
    assert await asked(left, slept, monkeypatch) == "books"
    assert slept == [MOST_WAIT_S]
    assert MOST_WAIT_S < READY_WITHIN_S / 2


async def test_another_fault_is_its_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    with pytest.raises(Unknown):
        await asked([Unknown("no answer")], slept, monkeypatch)
    assert slept == []
