"""Following the fundings: which are due, at what rate and mark, from the exchange's own history.

The exchange is silent where its net is zero, so nobody is waited for: premiumIndex tells when the next
funding of each symbol is, and once that time is over its history is read until it lists it. A funding
missed while down is read the same way, from the symbol's progress on.

A symbol's next funding is noted only when none before it can be owed: one that was held for the moment of a
funding, and that nobody had asked about, is read until that moment is past its grace (`Treasury.owes`).

The histories have a pool of requests of their own at the exchange, of which no header tells, and a 429 of it
stops everybody. So they are counted here: what is due comes first, what finds no room waits for a later poll.

A symbol that the exchange says nothing of, delisted perhaps, keeps no other waiting; it is told of.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

import structlog

from pms.binance.answers import FundingRate
from pms.binance.client import ExchangeClient
from pms.binance.errors import ExchangeError, Throttled, Unsent
from pms.domain.funding import allot, begin
from pms.domain.treasury import HOUR_MS, MISSING_AFTER_MS, Rate, funding_name
from pms.streamer.engine import Engine

log = structlog.get_logger()
GRACE_MS = 5_000
"""How long after a funding the trades before it may still be on their way; later ones are made up for."""

ALL_AGAIN_MS = 300_000
TIMES_AGAIN_MS = 30_000
FEW = 10
MOST_READS = 400
READS_WITHIN_MS = 300_000
"""Binance: 500 in five minutes for fundingRate and fundingInfo together, by address; the rest is others'."""


@dataclass(slots=True)
class FundingReader:
    """Allots each funding once it is over."""

    engine: Engine
    client: ExchangeClient
    ready: Callable[[], bool]
    #: whether the user stream is up and no gap is open: what it told is complete
    _all_at: int = 0
    _times_at: int = 0
    _hardly_over: set[str] = field(default_factory=set)
    _unread: dict[str, int] = field(default_factory=dict)
    #: by symbol, since when its history cannot be read
    _read_at: dict[str, int] = field(default_factory=dict)
    #: by symbol that accounts hold or traded, when its history was read to its end; exchange time, ms
    _alarmed: set[tuple[str, int]] = field(default_factory=set)
    _owed: set[str] = field(default_factory=set)
    #: symbols that are to be read whatever is known of them
    _reads: deque[int] = field(default_factory=deque)
    #: when a history was asked for; exchange time, ms

    async def poll(self, *, everything: bool = False) -> None:
        """Read the history of every symbol whose funding is over; raises what concerns all of them."""
        concerned = self.engine.desk.treasury.concerned()
        self._forget_others(concerned)
        if not concerned or not self.ready():
            return
        now = self.client.exchange_now_ms()
        if everything or now - self._all_at > ALL_AGAIN_MS:
            self._owed, self._all_at = set(concerned), now
        if not self._due(concerned, now):
            return
        self._times_at = now
        upcoming, known = await self._upcoming(concerned), self.engine.desk.treasury.next_fundings
        # One may have come as they were asked for: what is said of the next says nothing of that.
        now = self.client.exchange_now_ms()
        # Whose funding is over is read before those that are only looked at again.
        for symbol in sorted(concerned, key=lambda each: not 0 < known.get(each, 0) <= now):
            due = known.get(symbol)
            over = due is not None and 0 < due <= now
            waited = over and due is not None and due + GRACE_MS <= now
            if symbol in self._owed or due is None or waited or symbol in self._hardly_over:
                if not self._room(now):
                    continue
                self._owed.discard(symbol)
                await self._tried(symbol, now)
            # Hardly over, nothing was read yet: books that have just begun would pass for funded.
            followed = due is not None and not over
            listed = due is None or (waited and self._listed(symbol, due, now))
            if followed or (listed and self._nothing_before(symbol, now)):
                known[symbol] = upcoming.get(symbol, 0)

    def _room(self, now: int) -> bool:
        """Whether the exchange's pool has room for another history, as far as we have used it."""
        while self._reads and self._reads[0] <= now - READS_WITHIN_MS:
            self._reads.popleft()
        return len(self._reads) < MOST_READS

    def _forget_others(self, concerned: list[str]) -> None:
        """Drop what was said of symbols that concern nobody now: when they do again, it may be old."""
        known = self.engine.desk.treasury.next_fundings
        for symbol in known.keys() - set(concerned):
            del known[symbol]
        for symbol in self._read_at.keys() - set(concerned):
            del self._read_at[symbol]
        self._owed &= set(concerned)

    def _nothing_before(self, symbol: str, now: int) -> bool:
        """Whether a funding at the last whole hour would be booked by now, if there was one."""
        hour = now - now % HOUR_MS
        if self.engine.desk.treasury.is_booked(symbol, hour) or now - hour >= MISSING_AFTER_MS:
            return True
        return self._read_at.get(symbol, 0) >= hour + GRACE_MS

    def _due(self, symbols: list[str], now: int) -> bool:
        """Whether there is anything to read; the times are asked for now and then, for they may change."""
        if self._hardly_over or self._owed or now - self._times_at > TIMES_AGAIN_MS:
            return True
        known = self.engine.desk.treasury.next_fundings
        return any(symbol not in known or 0 < known[symbol] <= now for symbol in symbols)

    async def _upcoming(self, symbols: list[str]) -> dict[str, int]:
        """When the next funding of each is; one call for many symbols weighs as much as ten for one."""
        if len(symbols) > FEW:
            return {row.symbol: row.next_funding_time for row in await self.client.premium_indexes()}
        upcoming = {}
        for symbol in symbols:
            if symbol not in self.engine.desk.instruments:
                continue
            try:
                upcoming[symbol] = (await self.client.premium_index(symbol)).next_funding_time
            except (Throttled, Unsent):
                raise
            except ExchangeError as error:
                log.warning("next_funding_unknown", symbol=symbol, error=str(error))
                upcoming[symbol] = self.engine.desk.treasury.next_fundings.get(symbol, 0)
        return upcoming

    async def _tried(self, symbol: str, now: int) -> None:
        """Read a symbol's history; what is wrong with it alone is told once it lasts."""
        try:
            await self._read(symbol, now)
        except (Throttled, Unsent):
            raise
        except ExchangeError as error:
            since = self._unread.setdefault(symbol, now)
            log.warning("fundings_not_read", symbol=symbol, since=since, error=str(error))
            if now - since >= MISSING_AFTER_MS:
                self._alarm(symbol, since, f"the fundings of {symbol} since {since} cannot be read: {error}")
        else:
            self._unread.pop(symbol, None)

    async def _read(self, symbol: str, now: int) -> None:
        desk, treasury = self.engine.desk, self.engine.desk.treasury
        if funding_name(symbol) not in treasury.progress:
            self.engine.outbox.add(begin(desk, symbol, at=now))
            return
        self._hardly_over.discard(symbol)
        self._reads.append(now)
        rows = await self.client.funding_rates(symbol, start=treasury.funded_until(symbol) + 1)
        for row in sorted(rows, key=lambda each: each.funding_time):
            if row.funding_time + GRACE_MS > now or not self.ready():
                self._hardly_over.add(symbol)
                return
            rate = _rate(row)
            if rate is None:
                at = row.funding_time
                self._alarm(symbol, at, f"the funding of {symbol} at {at} is listed without a mark price")
                return
            self.engine.outbox.add(allot(desk, symbol, rate))
            log.info("funding", symbol=symbol, at=rate.at, rate=str(rate.rate), mark=str(rate.mark))
        self._read_at[symbol] = now

    def _listed(self, symbol: str, due: int, now: int) -> bool:
        """Whether a funding that is over is booked; one that never comes is told, and waited for no more."""
        if self.engine.desk.treasury.is_booked(symbol, due):
            return True
        if now - due < MISSING_AFTER_MS:
            return False
        told = f"the funding of {symbol} at {due} is over and the exchange does not list it"
        self._alarm(symbol, due, told)
        return True

    def _alarm(self, symbol: str, at: int, told: str) -> None:
        if (symbol, at) not in self._alarmed and len(self._alarmed) < 10_000:
            self._alarmed.add((symbol, at))
            self.engine.raise_incident("funding", "critical", told)


def _rate(row: FundingRate) -> Rate | None:
    try:
        mark = Decimal(row.mark_price)
    except InvalidOperation:
        return None
    return Rate(row.funding_time, row.funding_rate, mark) if mark.is_finite() and mark > 0 else None
