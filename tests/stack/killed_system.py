"""A whole system with a market for each kind of algo, which a test moves, and parts that die and come back.

What the venue is asked and told here needs neither Redis nor PostgreSQL: it goes on while they are dead.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any, ClassVar

from system import KEY, SECRET, WORKERS, System, command_of, until

PATIENCE_S = 120.0
"""For what comes within a second or ten; a busy machine may take longer."""

ALL_WORKERS = tuple(f"worker-{role}" for role in WORKERS)
LEDGER = "worker-ledger"
PARTS = ("streamer", *ALL_WORKERS, "beat")
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "CTKUSDT", "SUSHIUSDT", "KEEPUSDT", "AKROUSDT")
WALLET = "20000000"
OPEN = frozenset({"NEW", "PARTIALLY_FILLED"})


class KilledSystem(System):
    """All symbols of the venue, which writes down whatever it does."""

    patience_s = PATIENCE_S

    def __init__(self, home: Path, runtime: Path) -> None:
        # The judge reads the journal whole: it is never cut
        options = ("--state", str(home / "venue"), "--segment-bytes", str(1 << 40))
        super().__init__(home, runtime, venue_options=options)
        self.steps: dict[str, tuple[Decimal, Decimal]] = {}
        #: by symbol, tick and lot
        self._most: dict[str, Decimal] = {}

    @property
    def venue_journal(self) -> Path:
        """Every transaction of the venue, as it wrote it."""
        return self.home / "venue" / "venue.journal"

    async def _start_venue(self) -> None:
        self.environment["PMS_VENUE_ACCOUNTS"] = f"desk:{KEY}:{SECRET}:{WALLET}"
        self.environment["PMS_SYMBOLS"] = ",".join(SYMBOLS)
        await super()._start_venue()
        for row in (await self.public("exchangeInfo"))["symbols"]:
            filters = {each["filterType"]: each for each in row["filters"]}
            grid = filters["PRICE_FILTER"]["tickSize"], filters["LOT_SIZE"]["stepSize"]
            self.steps[row["symbol"]] = Decimal(grid[0]), Decimal(grid[1])
            self._most[row["symbol"]] = Decimal(filters["LOT_SIZE"]["maxQty"])

    def start(self, name: str, *, command: list[str] | None = None, **environment: str) -> None:
        if name == "venue":
            command = [*command_of("venue"), *self.venue_options]
        super().start(name, command=command, **environment)

    # --- the venue ---

    async def public(self, path: str, **parameters: str) -> Any:
        """Ask the venue what it tells everybody."""
        async with self.http.get(f"{self.venue_url}/fapi/v1/{path}", params=parameters) as response:
            return await response.json()

    async def touch(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Best bid and ask."""
        book = await self.public("depth", symbol=symbol, limit="5")
        return Decimal(book["bids"][0][0]), Decimal(book["asks"][0][0])

    async def beside(self, symbol: str, percent: str) -> Decimal:
        """A price so far from the bid, on its tick."""
        tick, bid = self.steps[symbol][0], (await self.touch(symbol))[0]
        return (bid * (100 + Decimal(percent)) / 100 / tick).to_integral_value(ROUND_FLOOR) * tick

    async def worth(self, symbol: str, notional: int) -> Decimal:
        """So much of a symbol, on its step."""
        step, bid = self.steps[symbol][1], (await self.touch(symbol))[0]
        return (notional / bid / step).to_integral_value(ROUND_FLOOR) * step

    async def move(self, symbol: str, percent: str) -> None:
        """Let a market jump by so much, and stay there."""
        await self.admin("POST", "crash", symbols={symbol: percent}, seconds="0.25")

        async def there() -> bool:
            crashes = (await self.admin("GET", "crash"))["crashes"]
            return all(each["state"] != "falling" for each in crashes if each["symbol"] == symbol)

        await until(there, f"{symbol} to have moved", seconds=PATIENCE_S)

    async def print(self, symbol: str, side: str, quantity: Decimal, price: Decimal | None = None) -> None:
        """Let others trade with the book."""
        limit = {} if price is None else {"price": str(price)}
        await self.admin("POST", "trade", symbol=symbol, side=side, quantity=f"{quantity:f}", **limit)

    async def fill_part(self, order: dict[str, Any], part: Decimal) -> None:
        """Let others fill something of a resting order, a part at most, unless it is gone before.

        Trap: one that moves towards the market meanwhile is met by what was meant for better prices.
        """
        symbol, tick, before = order["symbol"], self.steps[order["symbol"]][0], Decimal(order["executedQty"])
        buys = order["side"] == "BUY"
        side, nearer, own = ("SELL", tick, "bids") if buys else ("BUY", -tick, "asks")

        async def filled() -> bool:
            found = await self.venue_orders(symbol)
            (now,) = [each for each in found if each["orderId"] == order["orderId"]]
            if Decimal(now["executedQty"]) > before or now["status"] not in OPEN:
                return True
            price = Decimal(now["price"])
            await self.print(symbol, side, self._most[symbol], price + nearer)
            await self.admin("POST", "levels", symbol=symbol, **{own: [[str(price), "0"]]})
            await self.print(symbol, side, part, price)
            return False

        await until(filled, f"a part of {order['clientOrderId']}", seconds=PATIENCE_S)

    async def venue_orders(self, symbol: str) -> list[dict[str, Any]]:
        """Every order of a symbol that the venue knows."""
        async with self.http.get(f"{self.venue_url}/venue/admin/orders", params={"symbol": symbol}) as answer:
            return list((await answer.json())["orders"])

    async def hold(self, method: str, subject: str, told: str) -> int:
        """Let the venue do what it is asked, and tell nobody: not even whoever asks again."""
        for event in (f"^ORDER_TRADE_UPDATE {told}", f"^TRADE_LITE {told}", "^ACCOUNT_UPDATE"):
            await self.admin("POST", "faults", kind="withhold_event", count=-1, subject=event)
        await self.admin(
            "POST",
            "faults",
            kind="hang_before",
            count=-1,
            method="GET",
            path="/fapi/v1/order",
            subject=subject,
        )
        fault = await self.admin("POST", "faults", kind="hang_after", method=method, subject=subject)
        return int(fault["id"])

    async def lose(self, method: str, subject: str) -> int:
        """Let the venue cut the connection on which it is asked, and do nothing."""
        fault = await self.admin(
            "POST", "faults", kind="cut_before", count=-1, method=method, subject=subject
        )
        return int(fault["id"])

    async def held(self, fault: int) -> None:
        """Wait until the venue has met what it is to hold, or to lose."""

        async def hit() -> bool:
            return bool((await self.admin("GET", f"faults/{fault}"))["hits"])

        await until(hit, "the venue to be asked", seconds=PATIENCE_S)

    # --- death ---

    async def flatten(self) -> None:
        """Close all that is held: what adds up over many deaths, the exchange would not let grow for ever."""
        answer = await self.ask("pms.close_all", ttlMs=20_000, timeout_s=30)
        assert answer["success"], answer
        assert all(leg["success"] for leg in answer["details"]["orders"]), answer

        async def flat() -> bool:
            return not await self.rows("select 1 from pms.positions where quantity <> 0")

        await until(flat, "all positions to be closed", seconds=PATIENCE_S)

    async def bring(self, *parts: str) -> None:
        """Start what was killed, and wait until it serves."""
        await self.redis.delete(*(f"pms:ready:{part}" for part in parts))
        for part in parts:
            self.start(part)
        for part in parts:
            await self.ready(part)


class Death:
    """A way to die in the middle, and to come back."""

    name: ClassVar[str]
    forgets: ClassVar[bool] = False
    #: nobody knows any more of the last step

    def __init__(self, system: KilledSystem) -> None:
        self.system = system

    async def prepare(self) -> None:
        """Before the last step."""

    async def strike(self) -> None:
        """SIGKILL."""
        raise NotImplementedError

    async def back(self) -> None:
        """Return when it serves again."""
        raise NotImplementedError


class StreamerDies(Death):
    """The streamer; orders in the workers' hands go on."""

    name = "streamer"

    async def strike(self) -> None:
        self.system.kill("streamer")

    async def back(self) -> None:
        await self.system.bring("streamer")


class WorkersDie(Death):
    """All workers at once, with the requests in their hands; the streamer lives on."""

    name = "workers"

    async def strike(self) -> None:
        for part in ALL_WORKERS:
            self.system.kill(part)

    async def back(self) -> None:
        await self.system.bring(*ALL_WORKERS)


class RedisDies(Death):
    """Redis, which has everything on disk."""

    name = "redis"

    def __init__(self, system: KilledSystem) -> None:
        super().__init__(system)
        self._lives = 0

    async def strike(self) -> None:
        self._lives = self.system.log("streamer").count("stepping_down")
        self.system.redis_server.kill()

    async def back(self) -> None:
        self.system.redis_server.start()
        await self.system.redis.connection_pool.disconnect()

        async def leads() -> bool:
            begun = self.system.log("streamer").count("stepping_down") > self._lives
            return begun and await self.system.admitting()

        await until(leads, "the streamer to lead again", seconds=PATIENCE_S, tell=self._said)

    def _said(self) -> str:
        return self.system.log("streamer")[-3000:]


class RedisForgets(RedisDies):
    """Redis, which loses what it wrote since the last step began; nobody else has it, but the exchange."""

    name = "redis's tail"
    forgets = True

    def __init__(self, system: KilledSystem) -> None:
        super().__init__(system)
        self._log = system.home / "redis" / "appendonly.aof"
        self._kept = 0

    async def prepare(self) -> None:
        await self.system.settled()
        # While it is dead nobody but Redis has what is journaled.
        self.system.kill(LEDGER)
        self._kept = self._log.stat().st_size

    async def strike(self) -> None:
        await super().strike()
        assert self._log.stat().st_size > self._kept, "there is no tail to lose"
        with self._log.open("r+b") as file:
            file.truncate(self._kept)

    async def back(self) -> None:
        await super().back()
        await self.system.bring(LEDGER)


DEATHS = {each.name: each for each in (StreamerDies, WorkersDie, RedisDies, RedisForgets)}
"""One thing at a time."""


def now_ms() -> int:
    """The clock of this machine, which is the venue's too."""
    return time.time_ns() // 1_000_000


async def shown(system: System, key: str, algo_id: str) -> dict[str, Any]:
    """An algo as a page sees it."""
    text = await system.redis.get(f"pms:{key}:{algo_id}")
    return json.loads(text, parse_float=Decimal) if text else {}


async def patiently(condition: Callable[[], Awaitable[bool]], what: str, tell: Callable[[], str]) -> None:
    """Wait for what may take a while."""
    await until(condition, what, seconds=PATIENCE_S, tell=tell)
