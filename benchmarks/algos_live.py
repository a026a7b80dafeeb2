"""200 algos of all kinds on 20 symbols of the running system, with ticks at full speed.

Everything is real: servers, venue with Binance's limits, workers; the algos come in as commands. Ticks come
as fast as the venue makes them, and it waits for nobody: what the streamer cannot take grows older, and that
is what is measured. First without algos, then with them; then all are cancelled and each is judged.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import text

from benchmarks import crowd
from benchmarks.crowd_judge import judge
from benchmarks.samples import Progress, ratio
from benchmarks.system import Bench, new_home, until
from pms.binance.instruments import parse_instruments
from pms.contract import names
from pms.contract.names import Queue
from pms.db.engine import create
from pms.domain.desk import Top
from pms.domain.instrument import Instrument

ALGOS, SYMBOLS, ACCOUNTS = 200, 20, 25
PACE = 1000
"""More than any machine can: the venue goes as fast as it can."""

SETTLE_S, QUIET_S, BUSY_S = 1.0, 8.0, 24.0
EVERY_S = 0.1
FUNDS = 200_000
TRIES = 5
LONGEST_S = 240
"""It brings up a whole desk, and a busy machine takes its time."""

PATIENCE_S = 60
AT_ONCE = 20
"""Commands on their way: what a page of a desk may have."""


async def run() -> dict[str, Any]:
    """Measure; returns the figures."""
    progress, home = Progress(), new_home()
    symbols = crowd.symbols_file(home / "symbols.json", SYMBOLS)
    notes = home / "notes.json"
    system = Bench(
        home,
        venue_options=("--limits", "binance", "--symbols", str(home / "symbols.json")),
        streamer="benchmarks.watched_streamer",
        environment={
            "PMS_SYMBOLS": ",".join(symbols),
            "BENCH_NOTES": str(notes),
            # Measured is how late it is, not that it closes for it
            "PMS_MOST_LAG_MS": "5000",
        },
        patience_s=PATIENCE_S,
    )
    try:
        progress.say("bringing the system up")
        await system.up(("pms.tasks.worker", "urgent"), ("pms.tasks.worker", "schedule"), ("pms.tasks.beat",))
        return await _Live(system, symbols, notes, progress).measure()
    finally:
        await system.down()
        shutil.rmtree(home, ignore_errors=True)


class Span(NamedTuple):
    """A part of the run, by the clock that all processes share, ns."""

    began: int
    ended: int
    cpu_s: float
    #: that the streamer had in it

    def holds(self, at: int) -> bool:
        """Whether a moment lies in it."""
        return self.began <= at < self.ended

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.ended - self.began) / 1e9

    def third(self, number: int) -> Span:
        """One of its thirds; the processor's time is not known of it."""
        part = (self.ended - self.began) // 3
        return Span(self.began + number * part, self.began + (number + 1) * part, 0)


class _Live:
    """One measurement."""

    def __init__(self, system: Bench, symbols: list[str], notes: Path, progress: Progress) -> None:
        self._system, self._symbols, self._notes, self._progress = system, symbols, notes, progress
        self._accounts = [f"D{number:02}" for number in range(ACCOUNTS)]
        self._places = list(crowd.places(symbols, self._accounts, ALGOS))
        self._depths: list[dict[str, int]] = []
        self._refusals: dict[str, int] = {}
        self._database = create(system.environment["PMS_DATABASE_URL"], name="bench")

    async def measure(self) -> dict[str, Any]:
        """All of it, in order."""
        system, say = self._system, self._progress.say
        say(f"{ACCOUNTS} sub-accounts")
        await _few_at_once(system.account(name, amount=FUNDS) for name in self._accounts)
        client = system.client(("D" * 64, "d" * 64))
        instruments = parse_instruments(await client.exchange_info(), await client.leverage_brackets())
        protected = [place for place in self._places if place.kind == "trail_stop"]
        positions = dict(
            zip(
                protected,
                await _few_at_once(self._position(each, instruments) for each in protected),
                strict=True,
            )
        )
        watching = asyncio.create_task(self._watch())
        try:
            await system.admin("pace", pace=PACE)
            await asyncio.sleep(SETTLE_S)
            say("ticks at full speed, no algos")
            quiet = await self._span(QUIET_S)
            say(f"{ALGOS} algos start")
            began = time.monotonic_ns()
            started = await _few_at_once(
                self._start(place, instruments[place.symbol], positions.get(place)) for place in self._places
            )
            say(f"{sum(1 for each in started if each)} algos run")
            busy = await self._span(BUSY_S)
            arrivals = (await system.admin("arrivals"))["arrivals"]
            say("all are cancelled")
            cancelled = await self._cancel([each for each in started if each])
        finally:
            watching.cancel()
            await asyncio.wait([watching])
        say("all are over; each is judged")
        found = await judge(self._rows, system.redis, (await system.admin("trades"))["trades"])
        open_orders = [
            each
            for each in (await system.admin("orders"))["orders"]
            if each["status"] in {"NEW", "PARTIALLY_FILLED"}
        ]
        limits = await system.admin("limits")
        notes = await self._end_streamer()
        await self._database.dispose()
        return {
            "name": "algos_live",
            "algos": sum(1 for each in started if each),
            "refused": self._refusals,
            "symbols": SYMBOLS,
            "sub_accounts": ACCOUNTS,
            **_ticks(notes, quiet, busy),
            **_intents(notes, busy, began, arrivals),
            **_sharing(notes, busy),
            **self._queues(busy),
            "venue_counted": limits,
            "cancelled_in_s": cancelled,
            "left_at_the_exchange": len(open_orders),
            "ended": dict(found.by_status),
            "traded": found.traded,
            "trades": found.trades,
            "told": found.told,
            "faults": found.faults[:20],
        }

    # --- the doors ---

    async def _position(self, place: crowd.Place, instruments: dict[str, Instrument]) -> str:
        """A position for what protects one."""
        top = await self._top(place.symbol)
        size = crowd.size_of(instruments[place.symbol], top)
        fields: dict[str, Any] = {"subAccountId": place.account, "symbol": place.symbol, "side": "BUY"}
        for _ in range(TRIES):
            answer = await self._system.ask("pms.trade", quantity=str(size), leverage=5, **fields)
            if answer.get("position"):
                return str(answer["position"]["id"])
        raise RuntimeError(f"no position for {place}: {answer}")

    async def _start(self, place: crowd.Place, instrument: Instrument, position: str | None) -> str | None:
        fields = crowd.start_of(place, instrument, await self._top(place.symbol), position_id=position)
        answer = await self._system.ask(crowd.task_of(place), timeout_s=PATIENCE_S, **fields)
        if answer.get("success"):
            return str(answer["requestId"])
        why = str(answer.get("code", "no answer"))
        self._refusals[why] = self._refusals.get(why, 0) + 1
        return None

    async def _cancel(self, algos: list[str]) -> float:
        """Half of them one by one, the rest with one command; returns how long until all were over, s."""
        began = time.monotonic()
        await _few_at_once(
            self._system.ask("pms.cancel_algo", algoId=algo_id) for algo_id in algos[: len(algos) // 2]
        )
        await self._system.ask("pms.cancel_all")

        async def over() -> bool:
            rows = await self._rows(
                "select 1 from pms.algos where status not in ('finished', 'cancelled', 'failed')"
            )
            return not rows and await self._folded()

        await until(over, "the end of all algos", patience_s=PATIENCE_S)
        return round(time.monotonic() - began, 2)

    async def _folded(self) -> bool:
        newest = await self._system.redis.xrevrange(names.JOURNAL, count=1)
        applied = await self._system.redis.get(names.APPLIED)
        return int(applied or 0) >= int(newest[0][0].split(b"-")[0])

    async def _top(self, symbol: str) -> Top:
        price = json.loads(await self._system.redis.get(names.price_key(symbol)), parse_float=Decimal)
        bid, ask = Decimal(price["bid"]), Decimal(price["ask"])
        return Top(bid, Decimal(0), ask, Decimal(0), price["ts"])

    async def _rows(self, query: str) -> list[Any]:
        async with self._database.connect() as connection:
            return list((await connection.execute(text(query))).all())

    # --- what is measured ---

    async def _span(self, seconds: float) -> Span:
        """Let it run."""
        began, cpu = time.monotonic_ns(), _cpu_s(self._streamer.pid)
        await asyncio.sleep(seconds)
        return Span(began, time.monotonic_ns(), _cpu_s(self._streamer.pid) - cpu)

    async def _watch(self) -> None:
        """Note what waits in every queue between a tick and an order."""
        redis, pid = self._system.redis, self._streamer.pid
        while True:
            async with redis.pipeline(transaction=False) as pipe:
                for queue in (names.INBOX, Queue.ORDERS, Queue.URGENT, Queue.SCHEDULE):
                    pipe.llen(queue)
                inbox, orders, urgent, schedule = await pipe.execute()
            self._depths.append(
                {
                    "at": time.monotonic_ns(),
                    "unread_kb": _unread(pid) // 1024,
                    "inbox": inbox,
                    "orders": orders,
                    "urgent": urgent,
                    "schedule": schedule,
                }
            )
            await asyncio.sleep(EVERY_S)

    def _queues(self, busy: Span) -> dict[str, Any]:
        """The greatest depth of each, and how the first third of the time compares with the last."""
        spans = {"in_all": busy, "first_third": busy.third(0), "last_third": busy.third(2)}
        return {
            f"most_{name}": {
                part: max((each[name] for each in self._depths if span.holds(each["at"])), default=0)
                for part, span in spans.items()
            }
            for name in ("unread_kb", "inbox", "orders", "urgent", "schedule")
        }

    @property
    def _streamer(self) -> subprocess.Popen[bytes]:
        return self._system.of("benchmarks.watched_streamer")

    async def _end_streamer(self) -> dict[str, Any]:
        """Let it end in order, and read what it noted."""
        self._streamer.send_signal(signal.SIGTERM)

        async def gone() -> bool:
            return self._streamer.poll() is not None

        await until(gone, "the end of the streamer")
        return dict(msgspec.json.decode(self._notes.read_bytes()))


# --- figures ---


def _ticks(notes: dict[str, Any], quiet: Span, busy: Span) -> dict[str, Any]:
    """How many were taken, how old they were; what a second of processor is good for."""
    alone = [age for at, age in notes["ticks"] if quiet.holds(at)]
    beside = [(at, age) for at, age in notes["ticks"] if busy.holds(at)]
    asks = [took for at, took in notes["asks"] if busy.holds(at)]
    by_cpu = [round(len(part) / max(span.cpu_s, 0.01)) for part, span in ((alone, quiet), (beside, busy))]
    return {
        "ticks_a_second_alone": round(len(alone) / quiet.seconds),
        "ticks_a_second": round(len(beside) / busy.seconds),
        "streamer_cpu_alone": round(quiet.cpu_s / quiet.seconds, 2),
        "streamer_cpu": round(busy.cpu_s / busy.seconds, 2),
        "ticks_a_cpu_second_alone": by_cpu[0],
        "ticks_a_cpu_second": by_cpu[1],
        "ratio": ratio(by_cpu[0], max(by_cpu[1], 1)),
        "age_ms_alone": _told(alone),
        "age_ms": _told([age for _, age in beside]),
        "age_ms_first_third": _told([age for at, age in beside if busy.third(0).holds(at)]),
        "age_ms_last_third": _told([age for at, age in beside if busy.third(2).holds(at)]),
        "asked_a_second": round(len(asks) / busy.seconds),
        "one_asking_us": _told([took / 1000 for took in asks]),
    }


def _intents(notes: dict[str, Any], busy: Span, began: int, arrivals: list[dict[str, Any]]) -> dict[str, Any]:
    """From a tick to what an algo wants, to the journal, to the venue."""
    seen = [each for each in notes["intents"] if busy.holds(each[0])]
    moves = [waited / 1e6 for _, waited, _, what, _ in seen if what == "move"]
    arrived = {each["clientOrderId"]: each["at"] for each in arrivals}
    reached: dict[bool, list[float]] = {True: [], False: []}
    for at, _, kind, what, orders in notes["intents"]:
        if began <= at < busy.ended and what == "place":
            reached[kind == "trail_stop"] += [
                (arrived[order] - at) / 1e6 for order in orders if order in arrived
            ]
    return {
        "intents_a_second": round(len(seen) / busy.seconds, 1),
        "moves_a_second": round(len(moves) / busy.seconds, 1),
        "tick_to_move_ms": _told(moves),
        "tick_to_intent_ms": _told([waited / 1e6 for _, waited, *_ in seen]),
        "intent_to_journal_ms": _told([took / 1e6 for at, took, _ in notes["left"] if busy.holds(at)]),
        "stop_to_venue_ms": _told(reached[True]),
        "other_order_to_venue_ms": _told(reached[False]),
    }


def _sharing(notes: dict[str, Any], busy: Span) -> dict[str, Any]:
    """How the moves were shared out among those that wanted any, and how many wishes waited for a turn."""
    moves: dict[str, int] = {}
    waited = 0
    for at, held, algo in notes["wishes"]:
        if busy.holds(at):
            moves.setdefault(algo, 0)
            moves[algo] += not held
            waited += held
    counts = sorted(moves.values())
    if not counts:
        return {"wanted_to_move": 0}
    return {
        "wanted_to_move": len(counts),
        "moves_each": {"least": counts[0], "median": counts[len(counts) // 2], "most": counts[-1]},
        "wishes_held_back": round(waited / (waited + sum(counts)), 3),
    }


def _told(values: list[float]) -> dict[str, float]:
    if not values:
        return {"n": 0}
    ordered = sorted(values)
    p50, p99 = (ordered[min(len(ordered) - 1, int(part * len(ordered)))] for part in (0.5, 0.99))
    return {"n": len(ordered), "p50": round(p50, 2), "p99": round(p99, 2), "most": round(ordered[-1], 2)}


async def _few_at_once(works: Iterable[Any]) -> list[Any]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(work: Any) -> Any:
        async with slots:
            return await work

    return await asyncio.gather(*(one(work) for work in works))


def _cpu_s(pid: int) -> float:
    """What a process had of the processors since it began; 0 where /proc does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _unread(pid: int) -> int:
    """Bytes that a process has not read yet from its sockets; 0 where /proc does not tell."""
    try:
        inodes = {
            os.readlink(entry.path)[8:-1]
            for entry in os.scandir(f"/proc/{pid}/fd")
            if os.path.islink(entry.path) and os.readlink(entry.path).startswith("socket:[")
        }
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return 0
    fields = (line.split() for line in lines)
    return sum(int(row[4].split(":")[1], 16) for row in fields if row[9] in inodes)
