"""What a benchmark brings up: servers, venue, streamer, workers, on free addresses; gone when it ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import aiohttp
import msgspec
from pydantic import SecretStr

from pms.binance.client import ExchangeClient, open_session
from pms.binance.limits import RateBudget
from pms.bus.connection import connect
from pms.bus.requests import Requests
from pms.contract.money import decode_object
from pms.db.migrate import upgrade
from pms.stack.servers.postgres import EmbeddedPostgres
from pms.stack.servers.redis import EmbeddedRedis

DESK = ("D" * 64, "d" * 64)
"""Key and secret of the engine's account."""

FLOOR = ("F" * 64, "f" * 64)
"""Key and secret of the account that the floors trade on."""


ASK_MS = 30_000
"""A long deadline: on a busy machine a command is to be served late rather than not at all."""


class Bench:
    """One system under measurement."""

    def __init__(
        self,
        home: Path,
        *,
        appendfsync: Literal["always", "everysec"] = "always",
        venue_options: Sequence[str] = ("--limits", "off"),
        streamer: str = "pms.streamer",
        environment: Mapping[str, str] | None = None,
        patience_s: float = 60,
    ) -> None:
        self.home, self.patience_s = home, patience_s
        self.venue_options, self.streamer, self.given = venue_options, streamer, dict(environment or {})
        self.redis_server = EmbeddedRedis(
            data_dir=home / "redis", runtime_dir=home / "r", appendfsync=appendfsync
        )
        self.postgres = EmbeddedPostgres(data_dir=home / "postgres", runtime_dir=home / "p")
        self.children: list[subprocess.Popen[bytes]] = []
        self._by_module: dict[str, subprocess.Popen[bytes]] = {}
        self.environment: dict[str, str] = {}
        self.redis: Any = None

    async def up(self, *modules: tuple[str, ...]) -> None:
        """Start everything and the given extra modules; returns when commands are admitted."""
        redis_url, database_url = self.redis_server.start(), self.postgres.start()
        upgrade(database_url)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PMS_")},
            "PMS_HOME": str(self.home),
            "PMS_REDIS_URL": redis_url,
            "PMS_DATABASE_URL": database_url,
            "PMS_BINANCE_API_KEY": DESK[0],
            "PMS_BINANCE_API_SECRET": DESK[1],
            "PMS_VENUE_ACCOUNTS": f"desk:{DESK[0]}:{DESK[1]}:10000000 floor:{FLOOR[0]}:{FLOOR[1]}:10000000",
            "PMS_SYMBOLS": "BTCUSDT",
            "PMS_LOG_LEVEL": "WARNING",
            "NO_COLOR": "1",
            **self.given,
        }
        venue_log = self.start("pms.venue", "--port", "0", *self.venue_options)
        await until(lambda: _read(venue_log, "venue ready"), "the venue")
        self.url = _text(venue_log).split("venue ready", 1)[1].split()[0]
        self.environment["PMS_BINANCE_REST_URL"] = self.url
        self.environment["PMS_BINANCE_WS_URL"] = self.url.replace("http", "ws")
        self.database_url = database_url
        self.redis = connect(redis_url, name="bench", timeout_s=self.patience_s, connections=128)
        self.requests = Requests(self.redis, new_id=lambda: str(uuid4()))
        self.session, self.http = open_session(), aiohttp.ClientSession()
        self.budget = RateBudget(self.redis, share=Decimal(1), monotonic=time.monotonic)
        for module in (
            (self.streamer,),
            ("pms.tasks.worker", "orders"),
            ("pms.tasks.worker", "ledger"),
            *modules,
        ):
            self.start(*module)
        workers = [f"worker-{words[1]}" for words in modules if words[0] == "pms.tasks.worker"]
        for name in ("streamer", "worker-orders", "worker-ledger", *workers):
            await until(
                lambda name=name: self.redis.exists(f"pms:ready:{name}"),  # type: ignore[misc]
                name,
                patience_s=self.patience_s,
            )
        await until(self._admitting, "admission", patience_s=self.patience_s)

    def start(self, module: str, *arguments: str) -> Path:
        """Start a Python module; returns its log."""
        log = self.home / f"{module}-{len(self.children)}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env=self.environment,
                stdout=output,
                stderr=output,
            )
        self.children.append(child)
        self._by_module[module] = child
        return log

    def of(self, module: str) -> subprocess.Popen[bytes]:
        """The process that runs a module, the last one that was started."""
        return self._by_module[module]

    async def down(self) -> None:
        """End everything that was started."""
        if self.redis is not None:
            await self.budget.close()
            await self.session.close()
            await self.http.close()
            await self.redis.aclose()
        for child in reversed(self.children):
            child.kill()
            child.wait()
        self.redis_server.stop()
        self.postgres.stop()

    async def account(self, name: str, *, amount: int = 1_000_000) -> None:
        """Create and fund a sub-account."""
        await self.done("pms.create_account", subAccountId=name)
        await self.done("pms.transfer", fromAccountId="house", toAccountId=name, amount=amount)

    async def ask(
        self, command: str, *, timeout_s: float = ASK_MS / 1000 + 5, **fields: Any
    ) -> dict[str, Any]:
        """Submit a command by its record and await its result; empty where none came."""
        fields = {"requestId": str(uuid4()), "ttlMs": ASK_MS, **fields}
        await self.requests.submit(command, fields, door="bench")
        return decode_object(await self.requests.result(fields["requestId"], timeout_s=timeout_s) or b"{}")

    async def done(self, command: str, **fields: Any) -> dict[str, Any]:
        """The same for a command that cannot fail; raises RuntimeError where it does."""
        answer = await self.ask(command, **fields)
        if not answer.get("success"):
            raise RuntimeError(f"{command} failed: {answer}")
        return answer

    async def cli(self, *words: str) -> str:
        """Run `pms` as an operator would; raises RuntimeError unless it succeeds."""
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pms.cli.main", *words),
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await command.communicate()
        if command.returncode:
            raise RuntimeError(f"pms {' '.join(words)}: {(out + err).decode()}")
        return out.decode()

    def client(self, account: tuple[str, str]) -> ExchangeClient:
        """An exchange client of our own, on one of the venue's accounts."""
        return ExchangeClient(
            base_url=self.url,
            api_key=SecretStr(account[0]),
            api_secret=SecretStr(account[1]),
            session=self.session,
            clock_ms=lambda: time.time_ns() // 1_000_000,
            budget=self.budget,
        )

    async def admin(self, what: str, *, method: str | None = None, **body: Any) -> Any:
        """Read the venue's admin face, or tell it something."""
        method = method or ("POST" if body else "GET")
        url = f"{self.url}/venue/admin/{what}"
        async with self.http.request(method, url, json=body or None) as response:
            answer = await response.json()
            if response.status != 200:
                raise RuntimeError(f"{what} {body}: {answer}")
            return answer

    async def _admitting(self) -> bool:
        health = await self.redis.get("pms:health")
        return health is not None and bool(msgspec.json.decode(health)["admission"])


def _nothing_more(_: Path) -> Sequence[str]:
    return ()


@asynccontextmanager
async def bench(
    *modules: tuple[str, ...],
    appendfsync: Literal["always", "everysec"] = "always",
    venue: Callable[[Path], Sequence[str]] = _nothing_more,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Bench]:
    """A running system in a short temporary home; `venue` is told it and says what options the venue gets."""
    home = new_home()
    options = ("--limits", "off", *venue(home))
    system = Bench(home, appendfsync=appendfsync, venue_options=options, environment=settings)
    try:
        await system.up(*modules)
        yield system
    finally:
        await system.down()
        shutil.rmtree(home, ignore_errors=True)


async def until(condition: Callable[[], Awaitable[object]], what: str, *, patience_s: float = 60) -> None:
    """Wait for a condition."""
    give_up = time.monotonic() + patience_s
    while not await condition():
        if time.monotonic() > give_up:
            raise RuntimeError(f"{what} did not come up")
        await asyncio.sleep(0.02)


async def _read(log: Path, words: str) -> bool:
    return words in _text(log)


def _text(log: Path) -> str:
    return log.read_text()


def new_home() -> Path:
    """A short directory that PostgreSQL's own user may enter where we are root."""
    home = Path(tempfile.mkdtemp(prefix="pmsb-"))
    home.chmod(0o711)
    return home
