"""Put a venue together and serve it: one port for REST, WebSockets and the operator."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import socket
import string
import sys
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal

import structlog
from aiohttp import web
from pydantic import SecretStr

from pms.venue import core
from pms.venue.auth import Credential
from pms.venue.background import synthetic
from pms.venue.background.crash import Crashes
from pms.venue.background.pace import MadeUpMarkets
from pms.venue.background.past import made_up_days
from pms.venue.background.recording import Recording, RecordingError, load, under_other_names
from pms.venue.background.replay import Replay, ReplayWait
from pms.venue.background.scenario import Scenario, ScenarioError, assigned
from pms.venue.background.synthetic import SyntheticMarket
from pms.venue.clock import forward_clock
from pms.venue.exchange import Exchange
from pms.venue.faults.drawn import FaultPlan, rain
from pms.venue.history import NOTHING, Past
from pms.venue.insurance import FUND
from pms.venue.journal import FileJournal, JournalBroken, JournalError, MemoryJournal
from pms.venue.rest.admin import AdminFace
from pms.venue.rest.server import RestFace
from pms.venue.restore import Remembered
from pms.venue.settlement import Fees
from pms.venue.store import recovery
from pms.venue.store.keeper import Keeper, forget_what_nobody_may_ask
from pms.venue.store.progress import Progress
from pms.venue.symbols import SHIPPED, SymbolFileError, SymbolTable
from pms.venue.venue import Venue
from pms.venue.ws.life import SocketLife
from pms.venue.ws.server import WebSocketFace

log = structlog.get_logger(__name__)

ALPHABET = string.ascii_letters + string.digits
# So many more than a token needs that its letters are even to one part in 2^64
SPARE_BITS = 64
# Clients keep connections for long; closing an idle one under a client's POST would look like a lost answer
KEEPALIVE_S = 3600.0
SEGMENT_BYTES = 32 << 20
"""When the journal is cut: what a start reads at most, and about a fifth of what memory then holds of it."""


class VenueStartError(Exception):
    """The venue cannot start; the message is one line that says what to change."""


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """One API key of an account; `balance` is deposited when the account is new."""

    name: str
    key: str
    secret: SecretStr
    balance: Decimal

    @classmethod
    def parse(cls, text: str) -> AccountSpec:
        """Read name:KEY:SECRET:balance; a ValueError says which part is wrong and never shows the secret."""
        parts = text.split(":")
        if len(parts) != 4 or not all(parts):
            raise ValueError("an account is name:KEY:SECRET:balance, four parts, none empty")
        name, key, secret, amount = parts
        try:
            balance = Decimal(amount)
        except InvalidOperation:
            raise ValueError(f"the balance of account {name} is not a decimal") from None
        if not balance.is_finite() or balance < 0:
            raise ValueError(f"the balance of account {name} must be at least 0")
        return cls(name, key, SecretStr(secret), balance)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueConfig:
    """Everything a venue can be told. Port 0 takes a free one; without `state` nothing is kept."""

    accounts: tuple[AccountSpec, ...] = ()
    host: str = "127.0.0.1"
    port: int = 9001
    symbols: Path = SHIPPED
    market: Literal["synthetic", "none"] = "synthetic"
    seed: int = 1
    scenarios: tuple[str, ...] = ()
    replay: tuple[Path, ...] = ()
    replay_snapshots: Mapping[str, Path] = field(default_factory=dict)
    replay_as: Mapping[str, str] = field(default_factory=dict)
    replay_wait: ReplayWait = ReplayWait.NO
    speed: float = 1.0
    limits: Literal["binance", "off"] = "binance"
    state: Path | None = None
    segment_bytes: int = SEGMENT_BYTES
    fees: Fees = field(default_factory=Fees)
    legacy_acks: bool = False
    liquidate: bool = True
    socket_life: SocketLife = field(default_factory=SocketLife)
    faults: FaultPlan | None = None


class RunningVenue:
    """A venue that serves. `failed` resolves only if its journal or one of its own tasks breaks."""

    def __init__(
        self,
        venue: Venue,
        *,
        host: str,
        port: int,
        runner: web.AppRunner,
        sockets: WebSocketFace,
        journal: FileJournal | MemoryJournal,
        keeper: Keeper | None,
        failed: asyncio.Future[BaseException],
        work: list[Coroutine[Any, Any, None]],
    ) -> None:
        self.venue = venue
        self.keeper = keeper
        self.host = host
        self.port = port
        self.failed = failed
        self._runner = runner
        self._sockets = sockets
        self._journal = journal
        self._tasks = [asyncio.create_task(each) for each in work]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    @property
    def url(self) -> str:
        """Base address for REST; the WebSocket base is the same with ws://."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("venue.task_failed", error=repr(error), exc_info=error)
        if not self.failed.done():
            self.failed.set_result(error)

    async def close(self) -> None:
        """Stop serving, say goodbye to WebSocket clients, sync the journal. Well under a second."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.venue.faults.clear()
        await self._sockets.close()
        await self._runner.cleanup()
        with contextlib.suppress(JournalBroken):
            self.venue.exchange.checkpoint()
        self._journal.close()


async def serve(config: VenueConfig) -> RunningVenue:
    """Start a venue and return when it answers. Raises VenueStartError."""
    failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    keys = [spec.key for spec in config.accounts]
    if len(set(keys)) < len(keys):
        raise VenueStartError("two accounts share one API key; give each its own")
    if any(spec.name == FUND for spec in config.accounts):
        raise VenueStartError(f"{FUND} is the exchange's own account; name yours otherwise")
    try:
        symbols = SymbolTable.load(config.symbols)
        recordings = [
            recording for path in config.replay for recording in load(path, symbols, config.replay_snapshots)
        ]
        recordings += under_other_names(recordings, config.replay_as, symbols)
        scenarios = _scenarios(config, symbols, {each.symbol for each in recordings})
        listener = _listen(config.host, config.port)
    except (SymbolFileError, RecordingError, ScenarioError) as error:
        raise VenueStartError(str(error)) from None
    try:
        journal = _journal(config.state, failed)
    except JournalError as error:
        listener.close()
        raise VenueStartError(str(error)) from None
    try:
        return await _assemble(
            config, symbols, recordings, scenarios, listener=listener, journal=journal, failed=failed
        )
    except (SymbolFileError, JournalError, JournalBroken) as error:
        listener.close()
        journal.close()
        refused = f"{config.state} cannot be written: " if isinstance(error, JournalBroken) else ""
        raise VenueStartError(f"{refused}{error}") from None


def _journal(directory: Path | None, failed: asyncio.Future[BaseException]) -> FileJournal | MemoryJournal:
    if directory is None:
        return MemoryJournal()

    def stop(error: OSError) -> None:
        if not failed.done():
            log.critical("venue.journal_failed", directory=str(directory), error=error.strerror)
            failed.set_result(error)

    return FileJournal(directory, failed=stop)


def _listen(host: str, port: int) -> socket.socket:
    """Bind first: a taken port is found before any state is touched."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        advice = "; choose another --port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else ""
        raise VenueStartError(f"cannot listen on {host}:{port}: {error.strerror or error}{advice}") from None
    listener.setblocking(False)
    return listener


def _token(length: int) -> str:
    """Random letters and digits, of one number: every order asks for a token, each draw is a system call."""
    left = secrets.randbits(length * 6 + SPARE_BITS)
    letters = []
    for _ in range(length):
        left, letter = divmod(left, len(ALPHABET))
        letters.append(ALPHABET[letter])
    return "".join(letters)


async def _assemble(
    config: VenueConfig,
    symbols: SymbolTable,
    recordings: list[Recording],
    scenarios: Mapping[str, Scenario],
    *,
    listener: socket.socket,
    journal: FileJournal | MemoryJournal,
    failed: asyncio.Future[BaseException],
) -> RunningVenue:
    memory = Remembered()
    past: Past = NOTHING
    if isinstance(journal, FileJournal):
        progress = Progress(sys.stderr, time.monotonic)
        progress.begin(recovery.size(journal.directory))
        memory, past = journal.restore(step=progress.step), journal.history
        progress.end()
    clock = forward_clock(memory.newest)
    venue = core.build(
        symbols,
        credentials=[Credential(each.name, each.key, each.secret) for each in config.accounts],
        journal=journal,
        memory=memory,
        clock=clock,
        monotonic_ns=time.monotonic_ns,
        token=_token,
        fees=config.fees,
        limited=config.limits == "binance",
        legacy_acks=config.legacy_acks,
        liquidate=config.liquidate,
        past=past,
    )
    venue.failed = failed.done
    exchange = venue.exchange
    # What a tick and a lot are worth, before the first fact that counts in them
    exchange.checkpoint()
    sockets = WebSocketFace(venue, limited=config.limits == "binance", life=config.socket_life)
    with exchange.unfollowed():
        _open_accounts(exchange, config)
        # Whose time ran out meanwhile, before there is anybody to trade with
        venue.countdowns.fire_due()
        replays = _replays(config, recordings, venue, sockets)
        synthetics = _synthetics(exchange, config.seed, scenarios)
    for name in synthetics:
        market = exchange.markets[name]
        days = made_up_days(market.symbol, last=market.last_price, now=clock(), seed=config.seed)
        venue.feeds.candles[name].precede("1d", days)
    made_up = MadeUpMarkets(exchange, synthetics, venue.feeds.depth)
    admin = AdminFace(venue, sockets, replays, Crashes(synthetics), made_up)
    runner = await _serve_http(venue, sockets, admin, listener)
    keeper = None
    if isinstance(journal, FileJournal):
        keeper = Keeper(venue, journal, cut_at=config.segment_bytes)
    work = [
        venue.feeds.run(),
        venue.countdowns.run(),
        venue.fundings.run(),
        core.keep_house(venue),
        made_up.run(time.monotonic),
        keeper.run() if keeper is not None else forget_what_nobody_may_ask(venue),
        *(replay.run() for replay in replays),
        *([] if config.faults is None else [rain(venue.faults, config.faults)]),
    ]
    host, port = listener.getsockname()[:2]
    return RunningVenue(
        venue,
        host=host,
        port=port,
        runner=runner,
        sockets=sockets,
        journal=journal,
        keeper=keeper,
        failed=failed,
        work=work,
    )


def _open_accounts(exchange: Exchange, config: VenueConfig) -> None:
    for spec in config.accounts:
        if spec.name not in exchange.accounts:
            exchange.open_account(spec.name, spec.balance)


def _replays(
    config: VenueConfig, recordings: list[Recording], venue: Venue, sockets: WebSocketFace
) -> list[Replay]:
    return [
        Replay(
            recording,
            exchange=venue.exchange,
            feed=venue.feeds.depth[recording.symbol],
            speed=config.speed,
            wait=config.replay_wait,
            drained=sockets.drained,
        )
        for recording in recordings
    ]


def _scenarios(config: VenueConfig, symbols: SymbolTable, replayed: set[str]) -> dict[str, Scenario]:
    """What each made-up market goes through; raises ScenarioError."""
    made_up = config.market == "synthetic"
    return assigned(config.scenarios, [name for name in symbols.by_name if made_up and name not in replayed])


def _synthetics(
    exchange: Exchange, seed: int, scenarios: Mapping[str, Scenario]
) -> dict[str, SyntheticMarket]:
    """The made-up markets, and their first quotes."""
    made = {
        name: SyntheticMarket(exchange.markets[name], seed, scenario) for name, scenario in scenarios.items()
    }
    for name, each in made.items():
        synthetic.take_step(exchange, name, each)
    return made


async def _serve_http(
    venue: Venue,
    sockets: WebSocketFace,
    admin: AdminFace,
    listener: socket.socket,
) -> web.AppRunner:
    app = web.Application()
    rest = RestFace(venue)
    app.add_routes(admin.routes())
    app.add_routes(sockets.routes())
    app.router.add_route("*", "/fapi/{tail:.*}", rest.handle)
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEPALIVE_S, shutdown_timeout=0.2)
    await runner.setup()
    await web.SockSite(runner, listener, backlog=1024).start()
    return runner
