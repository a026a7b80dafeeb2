"""The switch at work: withheld while the engine is unwell, left armed at an orderly end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from pms.binance.errors import Throttled, Unknown
from pms.contract import names
from pms.domain.dead_man import DeadManSwitch, Fuse
from pms.sim.machines.loop import Loop
from pms.streamer.dead_man import LEAVE_S, DeadMan


class Exchange:
    """Notes the countdowns it was asked for; the one call that the switch makes."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.lost = False

    async def countdown_cancel_all(self, symbol: str, countdown_ms: int) -> None:
        self.calls.append((symbol, countdown_ms))
        if self.lost:
            raise Unknown("no answer")


class Trial:
    def __init__(self, exchange: Exchange | None = None) -> None:
        self.exchange: Any = exchange or Exchange()
        self.symbols, self.over = {"BTCUSDT"}, dict[str, int]()
        self.now_s = 0.0
        self.reason: str | None = None
        self.alarms: list[str] = []
        self.man = DeadMan(
            DeadManSwitch(),
            self.exchange,
            resting=lambda: self.symbols,
            ended=lambda: self.over,
            unwell=lambda: self.reason,
            alarm=self.alarms.append,
            monotonic=lambda: self.now_s,
            sleep=self.one_beat,
        )

    async def one_beat(self, _: float) -> None:
        """End the first of it: the loop has renewed once."""
        raise asyncio.CancelledError

    def renew_at(self, second: float) -> list[tuple[str, int]]:
        self.now_s = second
        self.exchange.calls.clear()
        asyncio.run(self.man.renew())
        return list(self.exchange.calls)


def test_an_engine_that_is_unwell_renews_nothing_and_says_so_before_orders_are_lost() -> None:
    trial = Trial()
    assert trial.renew_at(0) == [("BTCUSDT", 120_000)]
    assert trial.man.state() == "armed"
    trial.reason = "Redis is unreachable"
    assert trial.renew_at(60) == []
    assert (trial.man.state(), trial.alarms) == ("withheld", [])
    assert trial.renew_at(119) == []
    trial.renew_at(121)
    trial.renew_at(150)
    assert len(trial.alarms) == 1
    trial.reason = None
    assert trial.renew_at(151) == [("BTCUSDT", 120_000)], "it ran out: armed anew"
    assert trial.man.state() == "armed"


def test_a_lost_answer_is_asked_again() -> None:
    trial = Trial()
    trial.exchange.lost = True
    assert len(trial.renew_at(0)) == 1
    trial.exchange.lost = False
    assert trial.renew_at(1) == []
    assert len(trial.renew_at(6)) == 1
    assert trial.man.state() == "armed"


def test_a_start_whose_answer_was_lost_is_stopped_with_the_others_where_orders_are_to_be_kept() -> None:
    trial = Trial()
    trial.exchange.lost = True
    trial.renew_at(0)
    trial.exchange.lost = False
    asyncio.run(trial.man.leave(keep_orders=True))
    assert trial.exchange.calls[1:] == [("BTCUSDT", 0)]
    assert not trial.man.switch.fuses


def test_a_start_whose_answer_was_lost_is_stopped_once_nothing_rests_there() -> None:
    trial = Trial()
    trial.exchange.lost = True
    trial.renew_at(0)
    trial.exchange.lost, trial.symbols = False, set()
    assert trial.renew_at(6) == [("BTCUSDT", 0)]


def test_an_orderly_end_leaves_the_countdowns_running_unless_the_orders_are_to_be_kept() -> None:
    trial = Trial()
    trial.renew_at(0)
    asyncio.run(trial.man.leave(keep_orders=False))
    assert trial.exchange.calls == [("BTCUSDT", 120_000)]
    asyncio.run(trial.man.leave(keep_orders=True))
    assert trial.exchange.calls[1:] == [("BTCUSDT", 0)]


def test_a_life_stops_what_the_one_before_left_running_where_nothing_rests_any_more() -> None:
    first = Trial()
    first.renew_at(0)
    second = Trial(first.exchange)
    second.now_s, second.symbols = 30.0, set()
    second.over = {"BTCUSDT": 20_000, "ETHUSDT": 120_000}
    with suppress(asyncio.CancelledError):
        asyncio.run(second.man.run())
    assert first.exchange.calls[1:] == [("BTCUSDT", 0)], "what ended long ago has run out"
    assert second.man.state() == "idle"


def test_what_is_off_touches_no_countdown() -> None:
    trial = Trial()
    trial.man.on, trial.over = False, {"BTCUSDT": 0}
    with suppress(asyncio.CancelledError):
        asyncio.run(trial.man.run())
    assert (trial.exchange.calls, trial.man.switch.fuses) == ([], {})


class Slow(Exchange):
    """Each call takes a while; some are refused at first, some are never answered."""

    def __init__(self, *, takes_s: float = 0.12, refused: int = 0, hangs: str = "") -> None:
        super().__init__()
        self.takes_s, self.refused, self.hangs = takes_s, refused, hangs

    async def countdown_cancel_all(self, symbol: str, countdown_ms: int) -> None:
        await super().countdown_cancel_all(symbol, countdown_ms)
        await asyncio.sleep(3600 if symbol == self.hangs else self.takes_s)
        if self.refused:
            self.refused -= 1
            raise Throttled("no room")


def kept(exchange: Slow, *, symbols: int) -> tuple[DeadManSwitch, list[Any]]:
    """End with the orders kept; the countdowns that are left, and what was said loudly."""
    switch = DeadManSwitch()
    for number in range(symbols):
        switch.fuses[f"S{number:02d}USDT"] = Fuse(0, 120_000)
    client: Any = exchange

    async def leave() -> None:
        man = DeadMan(
            switch,
            client,
            resting=lambda: list(switch.fuses),
            ended=dict,
            unwell=lambda: None,
            alarm=lambda _: None,
            monotonic=asyncio.get_running_loop().time,
            sleep=asyncio.sleep,
            inherited=True,
        )
        async with asyncio.timeout(LEAVE_S + 0.5):
            await man.leave(keep_orders=True)

    with capture_logs() as said:
        Loop().run(leave(), until=60)  # type: ignore[abstract]
    return switch, [line["symbols"] for line in said if line["event"] == names.LEFT_ARMED]


@pytest.mark.parametrize("exchange", [Slow(), Slow(refused=12)], ids=["slow", "refuses some at first"])
def test_orders_that_are_kept_are_kept_in_all_symbols(exchange: Slow) -> None:
    switch, told = kept(exchange, symbols=30)
    assert (switch.fuses, told) == ({}, [])
    assert {ms for _, ms in exchange.calls} == {0}


def test_symbols_that_stay_armed_are_named() -> None:
    switch, told = kept(Slow(hangs="S07USDT"), symbols=30)
    assert list(switch.fuses) == ["S07USDT"]
    assert told == [["S07USDT"]]


def said_at_the_end(trial: Trial) -> list[tuple[str, list[str]]]:
    with capture_logs() as said:
        asyncio.run(trial.man.leave(keep_orders=True))
    return [(line["event"], line["symbols"]) for line in said]


def test_that_no_countdown_is_left_is_said_only_by_a_life_that_knows_of_all() -> None:
    trial = Trial()
    assert said_at_the_end(trial) == [(names.LEFT_ARMED, [])], "what the life before left is not known yet"
    with suppress(asyncio.CancelledError):
        asyncio.run(trial.man.run())
    assert said_at_the_end(trial) == [(names.DEAD_MAN_STOPPED, ["BTCUSDT"])]
    assert said_at_the_end(trial) == [(names.DEAD_MAN_STOPPED, [])]
