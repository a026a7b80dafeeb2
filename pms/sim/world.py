"""One simulated world: Redis, exchange, database, network, and every process of ours around them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import structlog
from pydantic import SecretStr

from pms.config import Settings
from pms.sim.machines.books import Books
from pms.sim.machines.exchange import KEY, SECRET, SYMBOLS, SimExchange
from pms.sim.machines.http import Session
from pms.sim.machines.loop import Loop, Process
from pms.sim.machines.network import Network
from pms.sim.machines.redis.client import Client
from pms.sim.machines.redis.scripts import Scripts
from pms.sim.machines.redis.server import Server
from pms.sim.machines.workers import beat, ferry, work
from pms.sim.traffic.algo_scene import OWN
from pms.sim.traffic.gateway import Gateway
from pms.sim.traffic.hands import Act, Hands
from pms.sim.traffic.opening import BEGAN_MS, opening
from pms.sim.traffic.storm import Storm
from pms.streamer.lives import live
from pms.streamer.process import Streamer
from pms.streamer.world import World as Surroundings

log = structlog.get_logger()

RESTART_S = 0.4
FUSED, FUSE_S = 0.25, 4
"""In so many seeds the dead man's switch is the shortest there is; else a world is over before it fires."""
RECONCILED = 0.25
UNCONFIGURED = 0.25
_VERSION_BITS = 0xF000 << 64 | 0xC000 << 48
_VERSION_4 = 0x4000 << 64 | 0x8000 << 48
Main = Callable[["World", Process], Any]


def reconciles(seed: int) -> bool:
    """Whether the books are held against the exchange's again and again: in a quarter of all seeds."""
    return Random(f"{seed}:reconciles").random() < RECONCILED


def configured(seed: int) -> tuple[str, ...]:
    """The symbols that are always followed; in a quarter of all seeds one is once somebody asks for it."""
    return SYMBOLS[:1] if Random(f"{seed}:configured").random() < UNCONFIGURED else SYMBOLS


@cache
def settings(symbols: tuple[str, ...] = SYMBOLS, *, dead_man_s: int = 120) -> Settings:
    """The settings of every simulated process."""
    return Settings(
        home=Path("/nowhere"),
        redis_url="redis://simulated",
        database_url="postgresql://simulated",
        binance_rest_url="http://127.0.0.1:1",
        binance_ws_url="ws://127.0.0.1:1",
        binance_api_key=SecretStr(KEY),
        binance_api_secret=SecretStr(SECRET),
        symbols=",".join(symbols),
        dead_man_s=dead_man_s,
    )


def short_fuse(seed: int) -> bool:
    """Whether the exchange cancels what rests while a streamer is away for seconds."""
    return Random(f"{seed}:fuse").random() < FUSED


@cache
def scripts() -> Scripts:
    """One Lua interpreter for all worlds."""
    return Scripts()


class World:
    """Everything of one seed."""

    def __init__(
        self,
        seed: int,
        *,
        note: Callable[[str, str], None],
        storm: Storm | None = None,
        algos: bool = False,
        hands: Sequence[Act] = (),
    ) -> None:
        self.seed = seed
        self.storm = storm
        self.algos = algos
        self.reconciles = reconciles(seed)
        self.hands = hands
        self.opening = opening(storm, OWN if algos else ())
        self.note = note
        self.settings = settings(configured(seed), dead_man_s=FUSE_S if short_fuse(seed) else 120)
        self.loop = Loop()  # type: ignore[abstract]
        self.network = Network(Random(f"{seed}:network"), note)
        self.server = Server(self.loop, scripts(), began_ms=BEGAN_MS, rng=Random(f"{seed}:redis"))
        self.exchange = SimExchange(self.loop, began_ms=BEGAN_MS, rng=Random(f"{seed}:exchange"))
        if algos:
            self.exchange.remember(Random(f"{seed}:past"))
        self.books = Books(self.loop, self.network, self.opening)
        self._streamers: dict[Process, Streamer] = {}
        self.living: dict[str, Process] = {}
        self.restarts = 0
        self._ids = Random(f"{seed}:ids")
        self._jitter = Random(f"{seed}:jitter")
        self._mains: dict[str, Main] = {}
        self.skews: dict[str, int] = {}
        self.loop.killed = self._killed
        self.before_tick: Callable[[Streamer, str], None] = _nobody
        self.after_tick: Callable[[Streamer, str], None] = _nobody
        self.gateway = Gateway(
            self.redis(self.loop.world),
            self.exchange,
            rng=Random(f"{seed}:gateway"),
            now_ms=lambda: self.now_ms(self.loop.world),
            new_id=self.new_id,
        )

    # --- what processes are given ---

    def redis(self, process: Process, *, timeout_s: float = 2.0) -> Any:
        """A client of the world's Redis."""
        return Client(self.server, self.network, self.loop, process, timeout_s=timeout_s)

    def session(self, process: Process) -> Any:
        """A session with the world's exchange."""
        return Session(self.exchange, self.network, self.loop, process)

    def now_ms(self, process: Process) -> int:
        """The clock of the process's machine, wrong by its skew."""
        return BEGAN_MS + int(self.loop.now * 1000) + self.skews.get(process.name, 0)

    def monotonic(self) -> float:
        """The clock that never steps."""
        return self.loop.now + 1000.0

    def new_id(self) -> str:
        """A UUID out of the seed, of version 4."""
        number = self._ids.getrandbits(128) & ~_VERSION_BITS | _VERSION_4
        text = f"{number:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    # --- processes ---

    def start_all(self, *, lists: bool) -> None:
        """Start every process of ours."""
        mains: dict[str, Main] = {
            "streamer": _stream,
            **{role: _working(role) for role in ("orders", "urgent", "ledger", "schedule")},
            "beat": beat,
        }
        if lists:
            mains["bridge"] = ferry
        self._mains = mains
        for name in mains:
            self.start(name)

    def start(self, name: str) -> None:
        """Start one life of a process."""
        before = self.living.get(name)
        process = Process(name, life=before.life + 1 if before else 1)
        self.loop.admit(process)
        self.living[name] = process
        self.note("life", f"{process} starts")
        self.loop.run_in(process, self._supervised(name, process))

    async def _supervised(self, name: str, process: Process) -> None:
        """Run a process; one that ends is a dead one."""
        try:
            await self._mains[name](self, process)
        except Exception as error:
            log.error("process_failed", process=str(process), exc_info=error)
            self.note("life", f"{process} fails: {error!r}")
        self.loop.at(self.loop.now, self.loop.kill, process)

    def _killed(self, process: Process) -> None:
        """The supervisor starts a dead process anew, after a moment."""
        self.note("life", f"{process} is dead")
        if self.living.get(process.name) is process:
            self.restarts += 1
            self.loop.at(self.loop.now + RESTART_S, self.start, process.name)

    def new_streamer(self, process: Process, *, standby: bool) -> Streamer:
        """One life of a streamer: from lease to step-down."""
        made = self._streamers[process] = Streamer(
            self.settings,
            Surroundings(
                nonce=f"{self._ids.getrandbits(96):024x}",
                redis=self.redis(process),
                inbox_redis=self.redis(process, timeout_s=5.0),
                session=self.session(process),
                read_books=self.books.read,
                monotonic=self.monotonic,
                now_ms=lambda: self.now_ms(process),
                jitter=self._jitter.random,
                new_id=self.new_id,
            ),
            standby=standby,
        )
        judged = made._market.ticked

        def ticked(symbol: str) -> None:
            self.before_tick(made, symbol)
            judged(symbol)
            self.after_tick(made, symbol)

        made._market.ticked = ticked
        return made

    @property
    def streamer(self) -> Streamer | None:
        """The newest streamer's present life."""
        return self._streamers.get(self.living["streamer"])

    def venue_faults_over(self) -> None:
        """The exchange lists all open orders again."""
        self.exchange.venue.faults.rules.clear()

    async def run_exchange(self) -> None:
        """The exchange's own work."""
        venue = self.exchange.venue
        async with asyncio.TaskGroup() as group:
            group.create_task(venue.feeds.run())
            group.create_task(venue.countdowns.run())
            group.create_task(self.exchange.trade_on())
            if self.storm is not None:
                group.create_task(self._rage(self.storm))
            group.create_task(Hands(self.exchange, self.note).play(self.hands))

    async def _rage(self, storm: Storm) -> None:
        """Let the shocks of a storm come, each at its time."""
        for shock in storm.shocks:
            await asyncio.sleep(max(0.0, shock.at_ms / 1000 - self.loop.now))
            self.note("storm", str(shock))
            await self.exchange.shake(shock.symbol, bp=shock.bp, moves=shock.moves, thin=shock.thin)


async def _stream(world: World, process: Process) -> None:
    await live(lambda standby: world.new_streamer(process, standby=standby))


def _working(role: str) -> Main:
    async def main(world: World, process: Process) -> None:
        await work(role, world, process)

    return main


def _nobody(streamer: Streamer, symbol: str) -> None:
    """Nobody looks on."""
