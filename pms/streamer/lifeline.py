"""Whether the private stream tells all there is: it may rightly be silent, and may be half-open as well.

    silent     for 10 s while orders live, for 60 s otherwise: the net positions and the wallet that it told
               are compared with REST's. Equal: proven alive. Unequal, twice, without a word between: doubted.
               What it told is kept here: what others know is REST's own word every thirty seconds
    overtaken  REST showed an order's newer state, and 2 s later the stream has told nothing so new: doubted

A doubted stream is left for a new connection, and the gap is closed over REST. The same evidence never doubts
twice, so that an exchange whose books differ from themselves costs one reconnection, not one a minute.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal

import structlog

from pms.binance.client import ExchangeClient
from pms.binance.errors import ExchangeError
from pms.binance.frames import AccountUpdate
from pms.binance.user_stream import UserStream
from pms.domain.treasury import WALLET
from pms.streamer.engine import Venue

log = structlog.get_logger()
EVERY_S = 0.5
QUIET_BUSY_S = 10.0
QUIET_IDLE_S = 60.0
OVERTAKEN_S = 2.0
AGREE_AGAIN_S = 2.0
Books = tuple[dict[str, Decimal], Decimal | None]


@dataclass(slots=True)
class Lifeline:
    """Compares, and doubts."""

    stream: UserStream
    client: ExchangeClient
    venue: Venue
    up: Callable[[], bool]
    busy: Callable[[], bool]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    heard_at: int = 0
    #: the newest exchange time in a frame of the stream
    owed_at: int = 0
    #: the newest exchange time that REST told and the stream did not
    owed_since: float = 0.0
    settled_at: int = 0
    #: what happened before it is known, however it was learnt
    refuted: Books | None = None
    #: what REST said when it doubted the stream last
    positions: dict[str, Decimal] = field(default_factory=dict)
    wallet: Decimal | None = None
    #: as the stream told them since all was caught up with

    def heard(self, at: int) -> None:
        """The stream told something of this exchange time, ms."""
        self.heard_at = max(self.heard_at, at)

    def account(self, update: AccountUpdate) -> None:
        """The stream told what has changed of positions and wallets."""
        self.heard(update.time)
        for position in update.positions:
            self.positions[position.symbol] = position.quantity
        for balance in update.balances:
            if balance.asset == WALLET:
                self.wallet = balance.wallet

    def overtaken(self, at: int) -> None:
        """REST told something of this exchange time; the stream should have, or soon will."""
        if at <= max(self.heard_at, self.settled_at, self.owed_at):
            return
        if self.owed_at <= self.heard_at:
            self.owed_since = self.monotonic()
        self.owed_at = at

    def caught_up(self, at: int) -> None:
        """All that happened before this exchange time is known over REST, the gap is closed."""
        self.settled_at = max(self.settled_at, at)
        self.positions, self.wallet = dict(self.venue.positions), self.venue.wallets.get(WALLET)

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            await self.sleep(EVERY_S)
            if not self.up():
                continue
            if self.owed_at > max(self.heard_at, self.settled_at):
                if self.monotonic() - self.owed_since >= OVERTAKEN_S:
                    self.settled_at = self.owed_at
                    self.stream.doubt("REST showed an order's newer state")
            elif self.stream.age() >= (QUIET_BUSY_S if self.busy() else QUIET_IDLE_S):
                await self._compare()

    async def _compare(self) -> None:
        """Prove the stream alive, or doubt it."""
        frames = self.stream.frames
        try:
            if self._agrees(await self._books()):
                self.stream.proven()
                return
            # A frame may be on its way.
            await self.sleep(AGREE_AGAIN_S)
            books = await self._books()
        except ExchangeError as error:
            log.info("user_stream_not_proven", error=str(error))
            return
        if self._agrees(books):
            self.stream.proven()
        elif self.stream.frames == frames and books != self.refuted:
            self.refuted = books
            self.stream.doubt("positions or wallet moved without a word")

    async def _books(self) -> Books:
        positions = await self.client.position_risk()
        balances = await self.client.balances()
        wallet = next((row.balance for row in balances if row.asset == WALLET), None)
        return {row.symbol: row.position_amt for row in positions if row.position_amt}, wallet

    def _agrees(self, books: Books) -> bool:
        positions, wallet = books
        told = {symbol: quantity for symbol, quantity in self.positions.items() if quantity}
        return wallet == self.wallet and positions == told
