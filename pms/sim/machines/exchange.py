"""The exchange of a simulated world: the venue's own core, a small market, and its two doors.

REST requests and WebSocket frames are the venue's own bytes; only what carries them is simulated.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from pms.sim.machines.loop import Loop
from pms.venue import core, errors
from pms.venue.account import Account
from pms.venue.auth import Credential
from pms.venue.candles import MINUTE, Candle, begin
from pms.venue.journal import MemoryJournal
from pms.venue.matching import BUY, SELL
from pms.venue.rest.dispatch import Answer, Asked, answer, refused
from pms.venue.restore import Remembered
from pms.venue.settlement import Fees
from pms.venue.symbols import SHIPPED, SymbolTable
from pms.venue.venue import Venue
from pms.venue.ws.connection import Connection, Pipe
from pms.venue.ws.control import subscribe_from_path
from pms.venue.ws.routes import Route

SYMBOLS = ("BTCUSDT", "ETHUSDT")
ACCOUNT = "desk"
KEY, SECRET = "K" * 64, "S" * 64
WALLET = Decimal(1_000_000)
LEVELS = 4
STEP_S = 0.3
SHAKE_S, THIN_S = 0.08, 1.5
PAST_MINUTES = 90
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


@cache
def symbols() -> SymbolTable:
    """The few symbols that are traded here, as the shipped file has them."""
    info = json.loads(SHIPPED.read_text())
    info["symbols"] = [entry for entry in info["symbols"] if entry["symbol"] in SYMBOLS]
    return SymbolTable(info)


class SimExchange:
    """One venue. `skew_ms` is by how much its clock is ahead of the machines'."""

    def __init__(self, loop: Loop, *, began_ms: int, rng: Random) -> None:
        self._loop = loop
        self._began_ms = began_ms
        self._rng = rng
        self.skew_ms = 0
        self._banned_until = 0
        self.venue: Venue = core.build(
            symbols(),
            credentials=[Credential(ACCOUNT, KEY, SecretStr(SECRET))],
            journal=MemoryJournal(),
            memory=Remembered(),
            clock=self.now_ms,
            monotonic_ns=lambda: int(loop.now * 1e9),
            token=lambda length: "".join(rng.choice(ALPHABET) for _ in range(length)),
            fees=Fees(),
            limited=True,
        )
        self.venue.exchange.open_account(ACCOUNT, WALLET)
        self.connections: dict[Connection, None] = {}
        self.asked: Callable[[Asked, Answer], None] = _nobody
        self._thin_until_s: dict[str, float] = {}
        self._middle = {name: market.last_price for name, market in self.venue.exchange.markets.items()}
        for name in SYMBOLS:
            self.move(name, 0)

    def now_ms(self) -> int:
        """The exchange's clock."""
        return self._began_ms + int(self._loop.now * 1000) + self.skew_ms

    @property
    def account(self) -> Account:
        """The one account that is traded."""
        return self.venue.exchange.accounts[ACCOUNT]

    # --- doors ---

    def answer(self, asked: Asked) -> Answer:
        """Execute one request."""
        if self.now_ms() < self._banned_until:
            wait_s = max(1, -(-(self._banned_until - self.now_ms()) // 1000))
            return refused(errors.banned("203.0.113.1", until_ms=self._banned_until, retry_after=wait_s), {})
        given = answer(self.venue, asked)
        self.asked(asked, given)
        return given

    def ban(self, ms: int) -> None:
        """Turn every request away for a while, as after too many 429s."""
        self._banned_until = self.now_ms() + ms

    def use_up(self, address: str) -> None:
        """Let an address have used up its weight until the minute is over."""
        with contextlib.suppress(errors.VenueError):
            self.venue.limits.charge(address, self.venue.limits.allowed.weight_per_minute)

    def connect(self, url: str, pipe: Pipe) -> Connection:
        """Open a WebSocket connection and subscribe what its address asks for."""
        parts = urlsplit(url)
        base, _, rest = parts.path.strip("/").partition("/")
        route = Route(base)
        kind, _, streams = rest.partition("/")
        connection = Connection(pipe, self.venue.feeds.hub, route, combined=kind == "stream")
        self.connections[connection] = None
        subscribe_from_path(connection, streams, parts.query)
        return connection

    def hang_up(self, connection: Connection) -> None:
        """Forget a connection."""
        connection.drop()
        self.connections.pop(connection, None)

    # --- the market ---

    async def trade_on(self) -> None:
        """Let the anonymous market move, for ever."""
        while True:
            for name in SYMBOLS:
                self.move(name, self._rng.choice((-1, 0, 0, 1)))
                if self._rng.random() < 0.35:
                    self.take(name, self._rng.choice((BUY, SELL)), share=self._rng.random())
                await asyncio.sleep(STEP_S / len(SYMBOLS))

    def move(self, name: str, steps: int) -> None:
        """Move a symbol's middle by so many of its steps, and quote around it anew."""
        market = self.venue.exchange.markets[name]
        step = max(2, self._middle[name] // 20_000)
        self._middle[name] = middle = max(step * 20, self._middle[name] + steps * step)
        book = market.book
        bids = {middle - step * (place + 1): self._lots(name) for place in range(LEVELS)}
        asks = {middle + step * (place + 1): self._lots(name) for place in range(LEVELS)}
        self.venue.exchange.set_levels(
            name,
            bids=[*((p, 0) for p in _stale(book.bids.levels, bids)), *bids.items()],
            asks=[*((p, 0) for p in _stale(book.asks.levels, asks)), *asks.items()],
        )

    def take(self, name: str, side: int, *, share: float) -> None:
        """Let somebody take some of what stands on one side."""
        lots = max(1, int(self._lots(name) * share))
        step = max(2, self._middle[name] // 20_000)
        limit = self._middle[name] + side * step * (LEVELS + 4)
        self.venue.exchange.background_order(name, side=side, lots=lots, limit=limit)

    async def shake(self, name: str, *, bp: int, moves: int, thin: bool) -> None:
        """Bring a symbol's price so many basis points elsewhere, at once or in some moves."""
        if thin:
            self._thin_until_s[name] = self._loop.now + THIN_S
        for number in range(moves):
            if number:
                await asyncio.sleep(SHAKE_S)
            self.move(name, (2 * bp * (number + 1)) // moves - (2 * bp * number) // moves)

    def middle(self, name: str) -> Decimal:
        """Around which price a symbol is quoted."""
        return self.venue.exchange.markets[name].symbol.price(self._middle[name])

    def quoted(self, name: str, levels: int) -> int:
        """The price so many levels above the middle, ticks."""
        return self._middle[name] + levels * max(2, self._middle[name] // 20_000)

    def spacing(self, name: str) -> Decimal:
        """How far apart its levels are."""
        return self.venue.exchange.markets[name].symbol.price(max(2, self._middle[name] // 20_000))

    def resting(self, prefix: str) -> list[str]:
        """Open orders whose ids begin so."""
        orders = self.account.latest_by_client_id.values()
        return [o.client_order_id for o in orders if o.open and o.client_order_id.startswith(prefix)]

    def traded(self, name: str, *, since: int) -> Decimal:
        """What a symbol has traded since a time, ms."""
        prints = self.venue.feeds.latest_prints[name]
        lots = sum(each.quantity for each in prints if each.time >= since)
        return self.venue.exchange.markets[name].symbol.quantity(lots)

    def remember(self, rng: Random) -> None:
        """Give each symbol a past by the minute, for those who go by its volume: of this minute too."""
        for name, market in self.venue.exchange.markets.items():
            began = begin("1m", self.now_ms())
            bars = [Candle(began - age * MINUTE, market.last_price) for age in range(PAST_MINUTES, -1, -1)]
            for bar in bars:
                bar.trade(market.last_price, rng.randrange(1, 5_000), buyer_takes=True)
            self.venue.feeds.candles[name].precede("1m", bars)

    def _lots(self, name: str) -> int:
        lots = 40 + self._rng.randrange(400)
        return lots // 10 if self._loop.now < self._thin_until_s.get(name, 0.0) else lots


def _stale(levels: Any, wanted: dict[int, int]) -> list[int]:
    return [level.price for level in list(levels.values()) if level.anonymous and level.price not in wanted]


def _nobody(asked: Asked, given: Answer) -> None:
    """Nobody looks on."""
