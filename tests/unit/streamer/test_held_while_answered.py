"""Frames behind a gap wait for as long as the exchange answers: many symbols are read one after the other."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import desk_at

from pms.sim.machines.loop import Loop
from pms.streamer.catch_up import CatchUp
from pms.streamer.engine import Engine, Gate
from pms.streamer.user_feed import CATCH_UP_EVERY_S, HELD_S, MOST_HELD_S, UserFeed

CALL = b'{"e":"MARGIN_CALL","E":1,"cw":"1","p":[{"s":"N1"}]}'
SYMBOLS = 20


class Exchange:
    """Takes its time for each symbol."""

    def __init__(self, took: float) -> None:
        self.took, self.log = took, list[str]()

    def exchange_now_ms(self) -> int:
        return 60_000

    async def open_orders(self, *_: object, **__: object) -> list[Any]:
        return []

    async def position_risk(self) -> list[Any]:
        return []

    async def balances(self) -> list[Any]:
        return []

    async def user_trades(self, *, symbol: str, **_: object) -> list[Any]:
        await asyncio.sleep(self.took)
        self.log.append(symbol)
        return []


class World:
    """A feed over it, and a desk with many proven symbols."""

    def __init__(self, took: float) -> None:
        self.exchange = Exchange(took)
        desk = desk_at()
        desk.cursors = {f"S{number:02}USDT": 1 for number in range(SYMBOLS)}
        outbox = SimpleNamespace(add=lambda *_: None)
        engine = Engine(desk, cast(Any, outbox), gate=Gate(), redis_now_ms=lambda: 60_000)
        engine.margin_call = lambda _: self.exchange.log.append("frame")  # type: ignore[method-assign]
        catch_up = CatchUp(engine, cast(Any, self.exchange))
        self.desk, self.feed = desk, UserFeed(engine, catch_up, failed=print)
        self.feed.lifeline = cast(Any, SimpleNamespace(caught_up=lambda _: None))
        self.feed.held = None

    async def gap(self) -> None:
        self.feed.is_down()
        await self.feed.is_up(first=False)
        self.feed.frame(CALL)


def play(world: World, script: Callable[[], Any], *, seconds: float) -> None:
    loop = Loop()  # type: ignore[abstract]

    async def run() -> None:
        running = loop.create_task(world.feed.run())
        await script()
        await asyncio.sleep(seconds)
        running.cancel()

    loop.run(run(), until=3600)


@pytest.mark.parametrize("took", [0.2, 0.4])
def test_what_a_gap_hid_is_read_before_what_came_behind_it(took: float) -> None:
    world = World(took)
    assert SYMBOLS * took > HELD_S
    play(world, world.gap, seconds=20)
    assert world.exchange.log.index("frame") == SYMBOLS


def test_however_much_is_to_be_read_nothing_waits_for_ever() -> None:
    world = World(1.9)
    play(world, world.gap, seconds=50)
    assert world.exchange.log.index("frame") == MOST_HELD_S // 1.9


def test_cursors_are_not_proven_while_frames_wait() -> None:
    world = World(0.2)
    world.desk.newest_trades = dict.fromkeys(world.desk.cursors, 5)

    async def script() -> None:
        await asyncio.sleep(CATCH_UP_EVERY_S + 0.3)
        await world.gap()

    play(world, script, seconds=20)
    # Two symbols when the gap came, and then all of them.
    assert world.exchange.log.index("frame") == SYMBOLS + 2
