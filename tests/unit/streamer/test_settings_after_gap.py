"""The exchange account's settings are read anew behind a gap: what the feed told of them in it is lost."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from pms.binance.answers import SymbolConfig
from pms.binance.errors import ExchangeError
from pms.binance.user_messages import AccountConfigUpdate
from pms.domain.desk import Desk
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox
from pms.streamer.outside import SETTINGS_AGAIN_S, Outside


@dataclass
class Account:
    """An exchange account that somebody may set up anew; `asked` tells that the answer is made."""

    multi_assets: bool = False
    margin_type: str = "CROSSED"
    reads: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    fails: bool = False
    clock: float = 0.0
    asked: list[Any] = field(default_factory=list)

    async def multi_assets_mode(self) -> bool:
        answer = self.multi_assets
        for meanwhile in self.asked:
            meanwhile()
        self.asked.clear()
        if self.fails:
            raise ExchangeError("nobody answers")
        return answer

    async def symbol_configs(self) -> list[SymbolConfig]:
        self.reads.put_nowait(None)
        return [SymbolConfig(symbol="BTCUSDT", margin_type=self.margin_type, leverage=20)]

    def exchange_now_ms(self) -> int:
        return 1


@dataclass
class Made:
    """The loop at work; its other duties are not due."""

    account: Account
    outside: Outside
    engine: Engine

    async def read_again(self) -> None:
        async with asyncio.timeout(60):
            await self.account.reads.get()

    def told(self) -> list[str]:
        return [row.kind for row in self.engine.desk.incidents.rows()]


def made() -> Made:
    nothing: Any = None
    account, desk = Account(), Desk(epoch="e1")
    desk.cursors["BTCUSDT"] = 0
    outbox = Outbox(nothing, withdraw=lambda _: None, sleep=asyncio.sleep)
    engine = Engine(desk, outbox, gate=Gate(), redis_now_ms=lambda: 1)
    client: Any = account
    outside = Outside(engine, client, nothing, lambda: account.clock, lambda: True, lambda _: None)
    duties: Any = outside
    # The other duties have nothing to do here.
    duties._income_at = duties._margin_at = float("inf")
    duties.fundings = Nothing()
    return Made(account, outside, engine)


class Nothing:
    """No funding is due."""

    async def poll(self, *, everything: bool) -> None:
        """Read nothing."""


async def served(world: Made) -> asyncio.Task[None]:
    task = asyncio.create_task(world.outside.run())
    await world.read_again()
    return task


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_what_was_set_while_the_stream_was_away_is_seen_when_the_gap_is_closed() -> None:
    world = made()
    task = await served(world)
    assert world.engine.desk.headroom.closed_because("BTCUSDT") is None
    world.account.margin_type, world.account.multi_assets = "ISOLATED", True
    world.account.clock += SETTINGS_AGAIN_S[0]
    world.outside.gap_closed()
    await world.read_again()
    assert world.engine.desk.headroom.closed_because("BTCUSDT") is not None
    assert world.engine.gate.multi_assets is True
    assert sorted(world.told()) == ["account_mode", "exchange_setting", "symbol_closed"]
    world.account.multi_assets = False
    world.account.clock += SETTINGS_AGAIN_S[0]
    world.outside.gap_closed()
    await world.read_again()
    assert world.engine.gate.multi_assets is False, "switched back in a gap as well"
    await ended(task)


async def test_an_answer_from_before_the_feeds_word_is_not_taken_for_newer() -> None:
    world = made()
    switched = AccountConfigUpdate(time=1, event_time=1, multi_assets=True)

    def switch() -> None:
        world.account.multi_assets = True
        world.engine.account_config(switched)

    world.account.asked.append(switch)
    await world.outside.read_settings()
    assert world.engine.gate.multi_assets is True
    await world.read_again()
    world.account.clock += SETTINGS_AGAIN_S[0]
    task = asyncio.create_task(world.outside.run())
    await world.read_again()
    assert world.engine.gate.multi_assets is True
    assert world.told() == ["account_mode"]
    await ended(task)


async def test_settings_that_could_not_be_read_are_read_with_the_next_beat() -> None:
    world = made()
    world.account.fails = True
    with pytest.raises(ExchangeError):
        await world.outside.read_settings()
    world.account.fails = False
    task = await served(world)
    assert world.engine.desk.headroom.settings["BTCUSDT"].leverage == 20
    await ended(task)


@pytest.mark.parametrize("fails", [True, False], ids=["nobody answers", "changed all the time"])
async def test_settings_are_not_asked_for_with_every_beat(
    monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """Both answers weigh 35: once a second they would use up the room in which orders are asked for."""
    monkeypatch.setattr("pms.streamer.outside.BEAT_S", 0)
    world = made()
    world.account.fails = fails
    asked = []

    async def multi_assets_mode() -> bool:
        asked.append(world.account.clock)
        world.outside.reconfigured()
        if fails:
            raise ExchangeError("nobody answers")
        return False

    monkeypatch.setattr(world.account, "multi_assets_mode", multi_assets_mode)
    task = asyncio.create_task(world.outside.run())
    while world.account.clock < 300:
        world.account.clock += 0.1
        world.outside.reconfigured()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await ended(task)
    pauses = [round(b - a) for a, b in itertools.pairwise(asked)]
    assert (pauses[:3], set(pauses[3:])) == (([5, 15, 60], {60}) if fails else ([2] * 3, {2}))
