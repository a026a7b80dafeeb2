"""Each algo on recorded frames, beside a market order of its size and a limit order at the touch.

A recording is played at its own speed in as many books as there are ways and sides, all at once. Every way is
started in the book that the recording begins with, by the one path that commands take (Celery, streamer,
workers, venue); then it is played. What still waits at its end is cancelled, and what that did not trade is
reckoned at the last mid. The symbols take turns, so that all who move at once keep to what algos may move.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from benchmarks.execution_basket import Basket, baskets
from benchmarks.execution_cost import Cost, cost, mean, together
from benchmarks.execution_lanes import Lane, caught_up, lanes, touch_of
from benchmarks.execution_outcome import Outcome, read
from benchmarks.execution_table import basket_table, table, wrong_as_a_whole
from benchmarks.execution_ways import PLAIN, WAYS, Moment, Side, Way
from benchmarks.execution_whole import legs_of
from benchmarks.samples import Progress
from benchmarks.system import Bench, bench, until
from benchmarks.tape import PULSE, Tape, tapes, venue_options
from pms.contract.money import decode_object

LONGEST_S = 300
"""Both recordings at their own speed, and a start for each."""

PERCENT = Decimal(4)
"""The size: so much of what trades in the recording."""

SPARE_S = 3
"""What has a time of its own is to be through so long before the recording ends."""

PATIENCE_S = 180
"""A busy machine plays what is late as fast as it can."""

WORKERS = (("pms.tasks.worker", "urgent"), ("pms.tasks.worker", "schedule"))


async def run() -> dict[str, Any]:
    """Measure; returns the figures."""
    progress = Progress()
    figures: dict[str, Any] = {"name": "execution", "speed": 1, "load": round(os.getloadavg()[0], 1)}
    detail: dict[str, Any] = {}
    chart: list[str] = []
    every = tapes()
    for tape in every:
        found = await played(lanes(tape, PERCENT), speed=1.0, progress=progress)
        figures[tape.symbol] = {
            "size": tape.part(PERCENT),
            "seconds": round(tape.seconds, 1),
            **_agreement(found),
        }
        detail[tape.symbol] = {way.name: _told(way, found.outcomes) for way in WAYS}
        chart += table(tape, found.outcomes)
    plain = [lane for tape in every for lane in lanes(tape, PERCENT, ways=PLAIN)]
    legs = baskets(every, PERCENT, sides=[_all(every, "BUY"), _all(every, "SELL")], first=len(plain))
    beside = [*plain, *(leg for basket in legs for leg in basket.legs)]
    found = await played(beside, speed=1.0, progress=progress)
    figures["baskets"] = _agreement(found) | {"differing_as_a_whole": wrong_as_a_whole(legs, found.outcomes)}
    detail["baskets"] = [_basket_told(each, found.outcomes) for each in legs]
    chart += basket_table(legs, found.outcomes)
    return figures | {"detail": detail, "chart": chart}


def _all(every: Sequence[Tape], side: Side) -> dict[str, Side]:
    return dict.fromkeys((tape.symbol for tape in every), side)


def _agreement(found: Played) -> dict[str, Any]:
    return {
        "venue_most_behind_ms": found.behind_ms,
        "audit_agrees": found.audit["agrees"],
        "fills": sum(len(each.trades) for each in found.outcomes),
        "differing": [
            f"{each.lane.way.name}: {why}" for each in found.outcomes for why in each.disagreements()
        ],
    }


def _timed(lane: Lane) -> bool:
    return lane.way.timed


@dataclass(frozen=True, slots=True)
class Played:
    """What became of each lane."""

    outcomes: list[Outcome]
    behind_ms: int
    #: the most that the venue was behind the recording
    audit: dict[str, Any]
    #: what the independent reader says of all books


async def played(
    every: Sequence[Lane],
    *,
    speed: float,
    progress: Progress,
    settings: dict[str, str] | None = None,
    ends: Callable[[Lane], bool] = _timed,
) -> Played:
    """Play the tapes of all lanes; which `ends` names end by themselves, the rest is stopped at the end."""
    all_tapes = list(dict.fromkeys(lane.tape for lane in every))
    books = {lane.book: lane.tape.symbol for lane in every}
    followed = [PULSE, *(tape.symbol for tape in all_tapes), *books]
    progress.say(
        f"bringing up the system, {len(books)} books of {', '.join(tape.symbol for tape in all_tapes)}"
    )
    async with bench(
        *WORKERS,
        venue=lambda home: venue_options(home, all_tapes, books, speed=speed),
        settings={"PMS_SYMBOLS": ",".join(followed), **(settings or {})},
    ) as system:
        await until(lambda: _priced(system, followed), "a price of each book")
        await asyncio.gather(*(lane.prepare(system) for lane in every))
        for tape in all_tapes:
            await _start(system, tape, [lane for lane in every if lane.tape is tape], speed)
        progress.say(f"playing at {speed:g} times the recorded speed")
        played_at = time.time_ns() // 1_000_000
        await system.admin("replay/start", method="POST")
        ended = await asyncio.gather(
            *(
                _end(system, tape, [lane for lane in every if lane.tape is tape], speed, ends)
                for tape in all_tapes
            )
        )
        progress.say("reading what became of it")
        outcomes = await read(system, [pair for pairs in ended for pair in pairs], since=played_at)
        behind = max(each["mostBehindMs"] for each in (await system.admin("replay"))["replays"])
        audit = decode_object(await system.cli("audit", "--json", "--settle", "20"))
    return Played(outcomes, behind, audit)


async def _start(system: Bench, tape: Tape, its: Sequence[Lane], speed: float) -> None:
    """Start all ways on one tape, which is held."""
    bid, ask = await touch_of(system, tape.symbol)
    seconds = int(tape.seconds / speed - SPARE_S)
    moments = {
        lane.book: Moment(tape, lane.side, lane.size, bid, ask, seconds, lane.position) for lane in its
    }
    await asyncio.gather(*(lane.start(system, moments[lane.book]) for lane in its))


async def _end(
    system: Bench, tape: Tape, its: Sequence[Lane], speed: float, ends: Callable[[Lane], bool]
) -> list[tuple[Lane, Decimal]]:
    """Wait for a tape's end, and for that of all ways on it; each with mid at the tape's end."""
    over = f"the end of the recording of {tape.symbol}"
    await until(lambda: _finished(system, tape), over, patience_s=tape.seconds / speed + PATIENCE_S)
    bid, ask = await touch_of(system, tape.symbol)
    for book in [tape.symbol, *(lane.book for lane in its)]:
        await until(lambda book=book: caught_up(system, book), f"the last price of {book}")  # type: ignore[misc]
    await asyncio.gather(*(lane.stop(system, ends=ends(lane)) for lane in its))
    return [(lane, (bid + ask) / 2) for lane in its]


async def _priced(system: Bench, symbols: Sequence[str]) -> bool:
    return bool(await system.redis.exists(*(f"pms:price:{symbol}" for symbol in symbols)) == len(symbols))


async def _finished(system: Bench, tape: Tape) -> bool:
    replays = (await system.admin("replay"))["replays"]
    return all(each["finished"] for each in replays if each["symbol"] == tape.symbol)


def _told(way: Way, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    its = [each for each in outcomes if each.lane.way is way]
    return {
        each.lane.side: {
            **_rounded(cost(each)),
            "status": each.status,
            "reason": each.reason,
            "arrival": each.arrival,
        }
        for each in its
    } | {"mean": _rounded(mean([cost(each) for each in its]))}


def _basket_told(basket: Basket, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    its = legs_of(basket, outcomes)
    return {
        "name": basket.recipe.name,
        "side": basket.legs[0].side,
        "status": basket.shown["status"],
        "reason": basket.shown["reason"],
        "whole": _rounded(together(its)),
        "legs": [
            {
                "symbol": each.lane.tape.symbol,
                "leg": each.lane.way.name,
                "status": each.status,
                **_rounded(cost(each)),
            }
            for each in its
        ],
    }


def _rounded(told: Cost) -> dict[str, Decimal | None]:
    """To what the recording can tell."""
    found = {name: getattr(told, name) for name in Cost.__dataclass_fields__}
    return {name: None if value is None else round(value, 3) for name, value in found.items()}
