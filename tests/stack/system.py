"""The whole system as real processes, for tests that kill parts of it and look at what is left.

Not the supervisor: a test decides itself what dies and when it comes back.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from pydantic import SecretStr
from sqlalchemy import text

from pms.binance.client import AmendOrder, ExchangeClient, PlaceOrder, open_session
from pms.binance.limits import RateBudget
from pms.bus.connection import connect
from pms.bus.requests import Requests
from pms.db.engine import create
from pms.db.migrate import upgrade
from pms.stack.servers.postgres import EmbeddedPostgres
from pms.stack.servers.redis import EmbeddedRedis

KEY, SECRET = "K" * 64, "S" * 64
OTHER_KEY, OTHER_SECRET = "O" * 64, "P" * 64
WORKERS = ("orders", "urgent", "ledger", "schedule", "recon")
START_S = 40.0
BTC_TICK = Decimal("0.1")
PATIENCE = 3
PATIENTLY = "&socket_timeout=10&socket_connect_timeout=10"
"""How a test itself asks Redis: sixty who wait open twice as many connections, in a second or not."""


class System:
    """Redis, PostgreSQL, venue, streamer, workers: started by name, killed by name."""

    patience_s = START_S
    #: for a part to be ready

    def __init__(self, home: Path, runtime: Path, *, venue_options: tuple[str, ...] = ()) -> None:
        self.home = home
        for directory in (home, runtime):
            directory.chmod(0o711)  # PostgreSQL runs as a user of its own where we are root
        self.redis_server = EmbeddedRedis(data_dir=home / "redis", runtime_dir=runtime / "redis")
        self.postgres = EmbeddedPostgres(
            data_dir=home / "postgres", runtime_dir=runtime / "pg", settings={"fsync": "off"}
        )
        self.venue_options = venue_options
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment: dict[str, str] = {}
        self.kept = ""

    # --- life ---

    async def begin(self, *parts: str) -> None:
        """Start the servers and the venue, then the parts named; wait until commands are admitted."""
        redis_url = self.redis_server.start()
        database_url = self.postgres.start()
        upgrade(database_url)
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PMS_")},
            "PMS_HOME": str(self.home),
            "PMS_REDIS_URL": redis_url,
            "PMS_DATABASE_URL": database_url,
            "PMS_BINANCE_API_KEY": KEY,
            "PMS_BINANCE_API_SECRET": SECRET,
            "PMS_VENUE_ACCOUNTS": f"desk:{KEY}:{SECRET}:1000000 other:{OTHER_KEY}:{OTHER_SECRET}:20000000",
            "PMS_SYMBOLS": "BTCUSDT,ETHUSDT",
            # What is tested here is right on a busy machine too.
            "PMS_MOST_LAG_MS": "1000",
            "PMS_LOG_LEVEL": "INFO",
            "NO_COLOR": "1",
        }
        self.redis: Any = connect(f"{redis_url}{PATIENTLY}", name="test", connections=1024)
        self.requests = Requests(self.redis, new_id=lambda: str(uuid4()))
        self.http = aiohttp.ClientSession()
        self.other_session = open_session()
        self.database = create(database_url, name="test")
        await self._start_venue()
        for part in parts:
            self.start(part)
        for part in parts:
            await self.ready(part)

    async def end(self) -> None:
        """Stop everything, whatever state it is in."""
        for name, verb in (
            ("http", "close"),
            ("other_session", "close"),
            ("redis", "aclose"),
            ("database", "dispose"),
        ):
            if hasattr(self, name):
                await getattr(getattr(self, name), verb)()
        for name in reversed(list(self.processes)):
            self.kill(name)
        self.redis_server.stop()
        self.postgres.stop()

    def start(self, name: str, *, command: list[str] | None = None, **environment: str) -> None:
        """Start a part; its log is `{name}.log` under the home."""
        command = command or command_of(name)
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env={**self.environment, **environment},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def kill(self, name: str) -> None:
        """SIGKILL a part and wait until it is gone."""
        process = self.processes.pop(name, None)
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()

    async def restart(self, name: str) -> None:
        """SIGKILL a part and start it anew."""
        self.kill(name)
        await self.redis.delete(f"pms:ready:{name}", *(["pms:health"] if name == "streamer" else []))
        self.start(name)
        await self.ready(name)

    @asynccontextmanager
    async def supervised(self) -> AsyncIterator[None]:
        """Start meanwhile whatever ends, as the supervisor does: a worker may end with Redis' connection."""

        async def watch() -> None:
            while True:
                self.revive()
                await asyncio.sleep(0.2)

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()

    def revive(self) -> None:
        """Start what has ended."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self.start(name)

    async def ready(self, name: str) -> None:
        """Wait for a part's own heartbeat; for the streamer, until it admits commands."""
        process = self.processes[name]

        async def beats() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"{name} ended with {process.returncode}: {self.log(name)[-2000:]}")
            value = await self.redis.get(f"pms:ready:{name}")
            if value is None or json.loads(value)["pid"] != process.pid:
                return False
            return name != "streamer" or await self.admitting()

        await until(
            beats, f"{name} to be ready", seconds=self.patience_s, tell=lambda: self.log(name)[-3000:]
        )

    async def admitting(self) -> bool:
        """Whether the streamer admits commands.

        Trap: a Redis that comes back says so for the streamer of before, from its log. Only one that knows
        all in this life of Redis has written its run id; by then the health that is told is its own.
        """
        known = await self.redis.hget("pms:epoch", "known")
        if known is None or known.decode() != (await self.redis.info("server"))["run_id"]:
            return False
        health = await self.redis.get("pms:health")
        return health is not None and bool(json.loads(health)["admission"])

    def log(self, name: str) -> str:
        """What a part has said so far."""
        path = self.home / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def _start_venue(self) -> None:
        self.start("venue", command=[*command_of("venue"), *self.venue_options])
        await until(lambda: _has(self, "venue", "venue ready"), "the venue", seconds=self.patience_s)
        line = next(line for line in self.log("venue").splitlines() if "venue ready" in line)
        self.venue_url = line.split()[-1]
        self.environment["PMS_BINANCE_REST_URL"] = self.venue_url
        self.environment["PMS_BINANCE_WS_URL"] = self.venue_url.replace("http", "ws")

    # --- the doors ---

    async def ask(self, command: str, *, timeout_s: float = 8.0, **fields: Any) -> dict[str, Any]:
        """Submit a command by its record and await its result."""
        fields.setdefault("requestId", str(uuid4()))
        await self.requests.submit(command, fields, door="test")
        answer = await self.requests.result(fields["requestId"], timeout_s=timeout_s)
        assert answer is not None, f"no result of {command} {fields}"
        return dict(json.loads(answer))

    async def event_of(self, kind: str, order: str, *, seconds: float) -> dict[str, Any]:
        """Wait until an event of an order stands in the stream of events."""
        found: list[dict[str, Any]] = []

        async def told() -> bool:
            for _, fields in await self.redis.xrange("pms:stream:events"):
                event = json.loads(fields[b"e"])
                if event["type"] == kind and event.get("clientOrderId") == order:
                    found.append(event)
            return bool(found)

        await until(told, f"{kind} of {order}", seconds=seconds)
        return found[0]

    async def account(self, name: str, amount: str = "100000") -> None:
        """Create and fund a sub-account."""
        for command, fields in (
            ("pms.create_account", {"subAccountId": name}),
            ("pms.transfer", {"fromAccountId": "house", "toAccountId": name, "amount": amount}),
        ):
            result = await self.ask(command, **fields)
            assert result["success"], result

    async def trade(self, account: str, **fields: Any) -> dict[str, Any]:
        """A market buy of 0.01 BTC, unless told otherwise."""
        command = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "leverage": 20, **fields}
        return await self.ask("pms.trade", subAccountId=account, **command)

    # --- the venue's own face ---

    async def admin(self, method: str, what: str, /, **body: Any) -> Any:
        """Call the venue's admin face."""
        url = f"{self.venue_url}/venue/admin/{what}"
        async with self.http.request(method, url, json=body or None) as response:
            answer = await response.json()
            assert response.status == 200, answer
            return answer

    async def other_order(self, symbol: str, side: str, quantity: str, price: object) -> None:
        """Let another account of the venue send an immediate order at a price."""
        name = f"other-{uuid4().hex[:20]}"
        await self._order((OTHER_KEY, OTHER_SECRET), (symbol, side, quantity, price), name=name, tif="IOC")

    async def own_order(self, symbol: str, side: str, quantity: str, price: object, *, name: str) -> None:
        """Place an order with our key behind the engine's back."""
        await self._order((KEY, SECRET), (symbol, side, quantity, price), name=name, tif="GTC")

    async def bid(self, symbol: str) -> Decimal:
        """The best bid that the streamer tells.

        Trap: admission opens with the feed; this symbol's book may fit its snapshot a moment later.
        """
        told: list[bytes] = []

        async def priced() -> bool:
            told.extend(filter(None, [await self.redis.get(f"pms:price:{symbol}")]))
            return bool(told)

        await until(priced, f"a price of {symbol}", tell=lambda: self.log("streamer")[-2000:])
        return Decimal(json.loads(told[0], parse_float=Decimal)["bid"])

    async def sweep_to(self, price: Decimal, quantity: str) -> None:
        """Sell BTC through every better bid down to a price, and this quantity of ours there."""
        better = await self.bids_above("BTCUSDT", price)
        await self.other_order("BTCUSDT", "SELL", str(better + Decimal(quantity)), price)

    async def fill(self, *orders: str, price: Decimal, quantity: str) -> None:
        """Sell to resting bids of ours until the venue has filled so much of them in all, and no more.

        Its book moves meanwhile: what bids more is sold to by itself, so that never too much trades.
        """

        async def filled() -> bool:
            left = Decimal(quantity) - await self.executed(*orders)
            if left > 0:
                better = await self.bids_above("BTCUSDT", price)
                if better:
                    await self.other_order("BTCUSDT", "SELL", str(better), price + BTC_TICK)
                await self.other_order("BTCUSDT", "SELL", str(left), price)
            return left <= 0

        await until(filled, f"{', '.join(orders)} to be filled at the venue")

    async def executed(self, *orders: str) -> Decimal:
        """How much the venue has traded of orders of ours, in all."""
        trades = (await self.admin("GET", "trades"))["trades"]
        ours = (Decimal(str(trade["qty"])) for trade in trades if trade["clientOrderId"] in orders)
        return sum(ours, Decimal(0))

    async def bids_above(self, symbol: str, price: Decimal) -> Decimal:
        """What the venue's book bids at a price or better, without our own orders."""
        async with self.http.get(f"{self.venue_url}/fapi/v1/depth?symbol={symbol}&limit=1000") as response:
            levels = (await response.json())["bids"]
        return sum((Decimal(q) for p, q in levels if Decimal(p) > price), Decimal(0))

    async def amend(self, order: str, *, side: str, quantity: Decimal, price: Decimal) -> None:
        """Amend one of our orders at the venue, the quantity being the total."""
        client = self._client(KEY, SECRET)
        terms = AmendOrder("BTCUSDT", side, quantity, price, order)
        now = client.exchange_now_ms()
        await client.send(client.sign_amend(terms, timestamp_ms=now, recv_window_ms=5000))

    def _client(self, key: str, secret: str) -> ExchangeClient:
        return ExchangeClient(
            base_url=self.venue_url,
            api_key=SecretStr(key),
            api_secret=SecretStr(secret),
            session=self.other_session,
            clock_ms=lambda: time.time_ns() // 1_000_000,
            budget=RateBudget(self.redis, share=Decimal(1), monotonic=time.monotonic),
        )

    async def _order(
        self, account: tuple[str, str], what: tuple[str, str, str, object], *, name: str, tif: str
    ) -> None:
        (key, secret), (symbol, side, quantity, price) = account, what
        client = self._client(key, secret)
        order = PlaceOrder(
            symbol=symbol,
            side=side,
            type="LIMIT",
            quantity=Decimal(quantity),
            price=Decimal(str(price)),
            time_in_force=tif,
            client_order_id=name,
        )
        now = client.exchange_now_ms()
        await client.send(client.sign_place(order, timestamp_ms=now, recv_window_ms=5000))

    # --- the books ---

    async def rows(self, query: str, **parameters: Any) -> list[Any]:
        """Read PostgreSQL."""
        async with self.database.connect() as connection:
            return list((await connection.execute(text(query), parameters)).all())

    async def settled(self) -> None:
        """Wait until PostgreSQL has the whole journal.

        Trap: behind a Redis that lost its tail only the epoch knows what the archive gave back.
        """

        async def folded() -> bool:
            newest = await self.redis.xrevrange("pms:journal", count=1)
            seq = int(newest[0][0].split(b"-")[0]) if newest else 0
            base = int(await self.redis.hget("pms:epoch", "base") or 0)
            return int(await self.redis.get("pms:journal:applied") or 0) >= max(seq, base)

        await until(folded, "the journal to be folded")

    async def audit(self) -> dict[str, Any]:
        """Let the independent reader compare venue, PostgreSQL and engine; fails unless they agree."""
        return dict(json.loads(await self.cli("audit", "--json", "--settle", "20")))

    async def cli(self, *words: str) -> str:
        """Run `pms` as an operator would; fails unless it succeeds, else returns what it printed."""
        command = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pms.cli.main",
            *words,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await command.communicate()
        assert command.returncode == 0, (out + err).decode()
        return out.decode()

    async def placed(self) -> int:
        """How many order placements reached the venue's handler."""
        counts = (await self.admin("GET", "requests"))["counts"]
        return int(counts.get("POST /fapi/v1/order", 0))


def command_of(name: str) -> list[str]:
    """The command line of each part."""
    python = sys.executable
    if name == "venue":
        return [python, "-m", "pms.venue", "--port", "0", "--limits", "off", "--liquidate", "off"]
    if name.startswith("worker-"):
        return [python, "-m", "pms.tasks.worker", name.removeprefix("worker-")]
    module = {"streamer": "pms.streamer", "bridge": "pms.bridge", "beat": "pms.tasks.beat"}[name]
    return [python, "-m", module]


async def until(
    condition: Callable[[], Awaitable[bool]],
    what: str,
    *,
    seconds: float = 15.0,
    tell: Callable[[], str] = str,
) -> None:
    """Wait for a condition; fails with what was awaited.

    `seconds` is ample on a machine of its own; a busy one gets several times as many.
    """
    patience = seconds * PATIENCE
    give_up = time.monotonic() + patience
    while not await condition():
        if time.monotonic() > give_up:
            raise AssertionError(f"waited {patience} s for {what}\n{tell()}")
        await asyncio.sleep(0.02)


async def _has(system: System, name: str, words: str) -> bool:
    return words in system.log(name)
