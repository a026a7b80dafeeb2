"""The venue from outside: orders over REST, with a journal and without, and a depth stream to a hundred.

Clients, subscribers, venues and floors are processes of their own. What the venue does is told beside what
aiohttp alone does for the same bytes, in the same run and in turns: the machine is shared, and the ratio is
what counts.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
from yarl import URL

import bootstrap
from benchmarks.samples import Progress, Samples, ratio, turns
from benchmarks.venue_trader import KEY, MARKET, PING, RESTING, SECRET, signed

CLIENTS, SUBSCRIBERS = 4, 100
ORDERS, FRAMES, PACED = 500, 200, 60
TURNS = 5
LAST_ENDS_S, LONGEST_S = 100, 150
PACE_S = 0.02
STREAM = "btcusdt@depth@0ms"
LEVELS = {"bids": [["59999.9", "1000"]], "asks": [["60000.1", "1000"]]}
LINE = 1 << 26
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Helper:
    """A process that answers a line with a line, or only says when it is ready."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.url = ""

    @classmethod
    async def start(cls, module: str, *args: str, ready: bool = False) -> Self:
        """Start a module; `ready` waits for the address that its first line ends with."""
        helper = cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, *args),
                cwd=bootstrap.ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE,
            )
        )
        if ready:
            helper.url = (await helper._line()).split()[-1]
        return helper

    async def ask(self, **asked: Any) -> dict[str, Any]:
        """Its answer to one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(asked).encode() + b"\n")
        return dict(json.loads(await self._line()))

    def cpu_s(self) -> float:
        """Seconds of processor that it has used (proc(5), stat)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    async def end(self) -> None:
        """End it."""
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()

    async def _line(self) -> str:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("a process of the bench has ended; its last words are above")
        return line.decode()


@dataclass(slots=True)
class Series:
    """Requests of one kind by some clients at once: how long each took, how many a second in each turn."""

    samples: Samples = field(default_factory=Samples)
    rates: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    def figures(self, floor: Series) -> dict[str, Any]:
        """Its figures beside a floor's."""
        rate = sorted(self.rates)[len(self.rates) // 2]
        return {
            "per_s": round(rate),
            "p50_us": self.samples.us(0.5),
            "p99_us": self.samples.us(0.99),
            "cpu_us": round(self.cpu_s / len(self.samples.taken) * 1e6),
            "to_floor_p50": ratio(self.samples.us(0.5), floor.samples.us(0.5)),
            "to_floor_cpu": ratio(
                self.cpu_s, floor.cpu_s * len(self.samples.taken) / len(floor.samples.taken)
            ),
        }


async def run() -> dict[str, Any]:
    """Measure; returns the figures."""
    progress, home = Progress(), Path(tempfile.mkdtemp(prefix="pms-bench-"))
    account = f"bench:{KEY}:{SECRET}:100000000"
    plain = ("--port", "0", "--market", "none", "--limits", "off", "--account", account)
    helpers: list[Helper] = []

    async def start(*args: str, ready: bool = False) -> Helper:
        helpers.append(await Helper.start(*args, ready=ready))
        return helpers[-1]

    try:
        memory = await start("pms.venue", *plain, ready=True)
        durable = await start("pms.venue", *plain, "--state", str(home / "state"), ready=True)
        floor = await start("benchmarks.venue_floor", ready=True)
        traders = [await start("benchmarks.venue_trader") for _ in range(CLIENTS)]
        listeners = await start("benchmarks.venue_listeners")
        async with aiohttp.ClientSession() as session:
            driver = Driver(session)
            for venue in (memory, durable):
                await driver.levels(venue, LEVELS)
            orders = Orders(traders, {"memory": memory, "durable": durable, "bare": floor})
            stream = Stream(driver, listeners, venue=memory, floor=floor)
            done = 0
            for turn in turns(TURNS, progress.spent_s, within_s=LAST_ENDS_S):
                progress.say(f"turn {turn} of {TURNS}: orders")
                await orders.turn(turn)
                for venue in (memory, durable):
                    await driver.cancel_all(venue)
                progress.say(f"turn {turn} of {TURNS}: a stream to {SUBSCRIBERS}")
                await stream.turn()
                done = turn
    finally:
        await asyncio.gather(*(each.end() for each in helpers))
        shutil.rmtree(home, ignore_errors=True)
    return {"name": "venue", "turns": done, "planned": TURNS, **orders.figures(), **stream.figures()}


class Driver:
    """What moves books and streams, unmeasured."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def levels(self, venue: Helper, levels: dict[str, Any]) -> None:
        """Set anonymous levels."""
        body = {"symbol": "BTCUSDT", **levels}
        await self._post(f"{venue.url}/venue/admin/levels", json.dumps(body).encode())

    async def cancel_all(self, venue: Helper) -> None:
        """Cancel what rests, so that every turn begins alike."""
        query = signed({"symbol": "BTCUSDT"})
        async with self._session.delete(
            URL(f"{venue.url}/fapi/v1/allOpenOrders?{query}", encoded=True), headers={"X-MBX-APIKEY": KEY}
        ) as answer:
            answer.raise_for_status()

    async def say(self, floor: Helper, text: bytes) -> None:
        """Let the floor send a text to all."""
        await self._post(f"{floor.url}/say", text)

    async def _post(self, url: str, body: bytes) -> None:
        async with self._session.post(url, data=body) as answer:
            await answer.read()
            answer.raise_for_status()


class Orders:
    """Orders and pings, one client and several, at each venue and at the floor."""

    def __init__(self, traders: list[Helper], targets: dict[str, Helper]) -> None:
        self._traders = traders
        self._targets = targets
        self._series: dict[tuple[str, str, int], Series] = {}

    async def turn(self, number: int) -> None:
        """Every series once."""
        for clients in (1, CLIENTS):
            for name, target in self._targets.items():
                for what in (MARKET,) if name == "bare" else (PING, MARKET, RESTING):
                    series = self._series.setdefault((name, what, clients), Series())
                    busy = target.cpu_s()
                    count = ORDERS // clients
                    answers = await asyncio.gather(
                        *(
                            each.ask(
                                url=target.url, what=what, count=count, run=f"{number}{what[0]}{clients}{i}"
                            )
                            for i, each in enumerate(self._traders[:clients])
                        )
                    )
                    series.cpu_s += target.cpu_s() - busy
                    for each in answers:
                        series.samples.taken += each["taken"]
                    span = max(each["ended"] for each in answers) - min(each["began"] for each in answers)
                    series.rates.append(count * clients * 1e9 / span)

    def figures(self) -> dict[str, Any]:
        """Each series beside the bare handler with as many clients."""
        return {
            f"{name}_{what}_{clients}": series.figures(self._series["bare", MARKET, clients])
            for (name, what, clients), series in self._series.items()
        }


class Stream:
    """One depth stream to many, and the floor that sends the same bytes to as many."""

    def __init__(self, driver: Driver, listeners: Helper, *, venue: Helper, floor: Helper) -> None:
        self._driver = driver
        self._listeners = listeners
        self._venue, self._floor = venue, floor
        self._rates: dict[str, list[float]] = {"venue": [], "floor": []}
        self._delays = {"venue": Samples(), "floor": Samples()}
        self._cpu = {"venue": 0.0, "floor": 0.0}
        self._sent = 0
        self._sample = b""

    async def turn(self) -> None:
        """As fast as it goes, then paced; the venue, then the floor with the venue's own bytes."""
        await self._follow("venue", f"{self._venue.url}/public/ws/{STREAM}", self._venue)
        await self._follow("floor", f"{self._floor.url}/ws", self._floor)

    async def _follow(self, name: str, url: str, target: Helper) -> None:
        connected = await self._listeners.ask(connect=url, count=SUBSCRIBERS)
        assert connected["connected"] == SUBSCRIBERS
        # One that is not counted: what was opened last is now served
        await self._send(name)
        warm = await self._listeners.ask(take=1)
        if not self._sample:
            self._sample = warm["first"].encode()
        busy, began = target.cpu_s(), time.monotonic_ns()
        for _ in range(FRAMES):
            await self._send(name)
        taken = await self._listeners.ask(take=FRAMES)
        self._cpu[name] += target.cpu_s() - busy
        self._rates[name].append(FRAMES * SUBSCRIBERS * 1e9 / (taken["ended"] - began))
        sent = []
        for _ in range(PACED):
            sent.append(time.monotonic_ns())
            await self._send(name)
            await asyncio.sleep(PACE_S)
        taken = await self._listeners.ask(take=PACED)
        self._delays[name].taken += [
            at - before for came in taken["came"] for at, before in zip(came, sent, strict=True)
        ]
        await self._listeners.ask(close=True)

    async def _send(self, name: str) -> None:
        self._sent += 1
        if name == "floor":
            await self._driver.say(self._floor, self._sample)
            return
        quantity = f"{1 + self._sent % 1000}.000"
        await self._driver.levels(self._venue, {"bids": [["59000.0", quantity]]})

    def figures(self) -> dict[str, Any]:
        """Frames a second, delay from the request to each subscriber, processor a frame."""
        told = {}
        for name, rates in self._rates.items():
            frames = FRAMES * SUBSCRIBERS * len(rates)
            told[f"stream_{name}"] = {
                "frames_per_s": round(sorted(rates)[len(rates) // 2]),
                "p50_us": self._delays[name].us(0.5),
                "p99_us": self._delays[name].us(0.99),
                "cpu_us": round(self._cpu[name] / frames * 1e6, 2),
            }
        venue, floor = told["stream_venue"], told["stream_floor"]
        venue["to_floor_rate"] = ratio(venue["frames_per_s"], floor["frames_per_s"])
        venue["to_floor_p50"] = ratio(venue["p50_us"], floor["p50_us"])
        venue["to_floor_cpu"] = ratio(venue["cpu_us"], floor["cpu_us"])
        return told
