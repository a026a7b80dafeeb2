"""Commands a second of the venue's matching core, beside other engines, and by how much rests.

Ours does all that it does for the venue: every time in force, self-trade prevention, unique client ids,
positions and reduce-only orders, level totals, notes for the depth feed, a list of events a command. The
others are given what they need. Rates are in seconds of processor: the machine is shared, and each engine is
one thread.
"""

from __future__ import annotations

import asyncio
import gc
import json
import platform
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import clients
from benchmarks.beside import Peer
from benchmarks.matching_tape import MAKERS, TAKERS, Command, Tape
from benchmarks.peers.tapes import Trade, summary
from benchmarks.samples import Progress, ratio, turns
from pms.venue.matching import Book, BookOrder, Event, Fill, Seat, SelfTrade, TimeInForce, UnknownOrder

SEED, COMMANDS, ROUNDS = 7, 500_000, 5
ROUNDS_END_S = 110
GROWTH, SAMPLE = (1_000, 10_000, 100_000, 1_000_000), 50_000
PER_LEVEL = 20
"""Orders at a level on average, in the series of growth: more that rest are a deeper book as well."""

LAST_BEGINS_S = 150
LONGEST_S = 240
"""Half a million commands for each of five engines, and a million orders at rest, need their time."""

BAR = 40
# A member of an enum is found slower than a name
LIVES = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTX, TimeInForce.GTD)
GTC, GTD, EXPIRE_MAKER = TimeInForce.GTC, TimeInForce.GTD, SelfTrade.EXPIRE_MAKER
FAR = 1 << 50


class Matcher(Peer):
    """Another engine; its figure is refused unless it made the same trades."""

    start_s, round_s = 60, 60
    python = ""

    def doubt(self, answer: dict[str, Any], expected: Any) -> str | None:
        """What is wrong with its trades; None if nothing is."""
        self.python = answer["python"]
        for field in ("trades", "lots", "digest"):
            if answer[field] != expected[field]:
                return f"its {field} are {answer[field]}, ours {expected[field]}"
        return None


async def run() -> dict[str, Any]:
    """Measure; returns the figures."""
    progress = Progress()
    tape = Tape(SEED)
    commands = tape.write(COMMANDS)
    progress.say(f"{COMMANDS:,} commands, {tape.resting():,} orders rest at the end")
    rates, floors, expected, peers = await _beside(commands, progress)
    grown = _growth(progress)
    rate = round(median(rates))
    return {
        "name": "matching",
        "n": COMMANDS * len(rates),
        "planned": COMMANDS * ROUNDS,
        "unit": "commands/s",
        "rate": rate,
        "floor_rate": round(median(floors)),
        "ratio": ratio(median(floors), rate),
        "python": platform.python_version(),
        "trades": expected["trades"],
        "lots": expected["lots"],
        "resting": tape.resting(),
        "peers": {
            peer.name: peer.figures()
            | {"python": peer.python}
            | ({"slower_by": ratio(rate, figure)} if (figure := peer.figures()["rate"]) else {})
            for peer in peers
        },
        "us_by_resting": {f"{resting:,}": us for resting, us in grown.items()},
        "growth": {f"{most:,}": ratio(us, grown[GROWTH[0]]) for most, us in grown.items()},
        "chart": _chart(grown),
    }


async def _beside(
    commands: list[Command], progress: Progress
) -> tuple[list[float], list[float], dict[str, Any], list[Matcher]]:
    """Our rates and the floor's, round by round, what trades there are, and the peers with theirs."""
    peers = [
        Matcher(name, version=clients.version(name), python=clients.python(name)) for name in clients.MATCHERS
    ]
    _, done = _play(Book(), commands)
    expected = summary(_trades(done))
    rates: list[float] = []
    floors: list[float] = []
    with tempfile.TemporaryDirectory(prefix="pms-matching-") as home:
        file = Path(home) / "tape"
        file.write_text(json.dumps(commands))
        try:
            await asyncio.gather(*(peer.start(file) for peer in peers))
            for peer in peers:
                progress.say(f"{peer.name} {peer.reason or 'ready'}")
            for number in turns(ROUNDS, progress.spent_s, within_s=ROUNDS_END_S):
                progress.say(f"round {number} of {ROUNDS}")
                floors.append(_stores(commands))
                rates.append(_play(Book(), commands)[0])
                for peer in peers:
                    await peer.round(expected)
        finally:
            await asyncio.gather(*(peer.end() for peer in peers))
    return rates, floors, expected, peers


def _play(book: Book, commands: list[Command]) -> tuple[float, list[tuple[int, list[Event]]]]:
    """Commands a second, and the events of those that traded."""
    seats = [Seat() for _ in range(MAKERS + TAKERS)]
    # As an order comes from its gateway: read, with its account looked up
    read = [
        (
            number,
            seats[owner],
            f"PMS_bench_{number:012}",
            side,
            price,
            quantity,
            life := LIVES[number % 4] if owner < MAKERS else GTC,
            FAR if life is GTD else 0,
        )
        for number, owner, side, price, quantity in commands
    ]
    place, cancel, done = book.place, book.cancel, []
    gc.collect()
    gc.freeze()
    began = time.process_time()
    for number, seat, name, side, price, quantity, life, till in read:
        if quantity:
            order = BookOrder(number, seat, name, side, price, quantity, life, EXPIRE_MAKER, False, 0, till)
            events = place(order)
            if len(events) > 1 or type(events[0]) is Fill:
                done.append((number, events))
        else:
            try:
                cancel(number)
            except UnknownOrder:
                continue
    took = time.process_time() - began
    gc.unfreeze()
    return len(commands) / took, done


def _trades(done: list[tuple[int, list[Event]]]) -> Iterable[Trade]:
    for taker, events in done:
        for event in events:
            if isinstance(event, Fill):
                assert event.maker is not None
                yield taker, event.maker.id, event.price, event.quantity


def _stores(commands: list[Command]) -> float:
    """The floor: an order goes into a dictionary, a cancel takes it out."""
    orders: dict[int, Command] = {}
    began = time.process_time()
    for command in commands:
        if command.quantity:
            orders[command.id] = command
        else:
            orders.pop(command.id, None)
    return len(commands) / (time.process_time() - began)


def _growth(progress: Progress) -> dict[int, float]:
    """Microseconds a command, by how many orders rest."""
    found = {}
    for resting in GROWTH:
        if progress.spent_s() > LAST_BEGINS_S:
            progress.say(f"no time for {resting:,} resting orders")
            break
        progress.say(f"{resting:,} resting orders")
        tape, book, spread = Tape(SEED), Book(), max(1, resting // PER_LEVEL // 4)
        _play(book, tape.fill(resting, spread=spread))
        found[resting] = round(1_000_000 / _play(book, tape.write(SAMPLE, spread=spread))[0], 2)
    return found


def _chart(grown: dict[int, float]) -> list[str]:
    """Microseconds a command by number of resting orders, as bars."""
    longest = max(grown.values())
    return [
        f"{resting:>9,}  {'█' * max(1, round(BAR * us / longest))} {us} us" for resting, us in grown.items()
    ]
