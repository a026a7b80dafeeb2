"""The exchange's rate limits as one budget that all processes share, through Redis.

    calm      view younger than 2 s, under half used    decided here, no round trip; told within ¼ s
    else                                                one script decides for all, atomically
    Redis gone                                          opening orders are refused; cancels, reduces
                                                        and queries go by what this process knows

What the exchange's own headers count, and for how long it turned us away, reaches every process the
same way. Trap: an answer of 429 ignored becomes a ban (418) of the address, for everybody on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.binance.errors import Throttled
from pms.binance.windows import WINDOWS, Counts, Lane, Tally, advertised

log = structlog.get_logger()
KEY: Final = "pms:rate:budget"
REFRESH_S: Final = 0.25
BLIND_S: Final = 2.0
IDLE_S: Final = 10.0
"""A process that has sent nothing for so long stops looking; its next request asks first."""

REPLY_S: Final = 0.25
"""Longer than this no request waits for Redis; a cancel must not hang on it."""

LEAST_BLOCK_MS: Final = 1000
_SCRIPT: Final = (Path(__file__).parent / "limits.lua").read_text()


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to send one request now, by the shared clock, ms."""

    at: int


class Budget(Protocol):
    """What the exchange client asks before each request and tells after it."""

    async def acquire(self, *, weight: int = 0, orders: int = 0, lane: Lane) -> Grant:
        """Take from the budget; raises Throttled, with seconds to wait, and nothing is sent then."""

    def taken_before(self) -> Grant:
        """The grant of a request whose part was acquired earlier and is written now."""

    def observe(self, grant: Grant, headers: Mapping[str, str]) -> None:
        """Learn from an answer's headers what the exchange has counted."""

    def block(self, seconds: float, *, orders_only: bool) -> None:
        """The exchange turned us away: nobody sends for so long; 0 until the window is over."""

    def learn(self, rate_limits: Sequence[Mapping[str, Any]]) -> None:
        """Take the limits from exchangeInfo's `rateLimits`."""


class RateBudget:
    """One process's part in the shared budget."""

    def __init__(self, redis: Redis, *, share: Decimal, monotonic: Callable[[], float]) -> None:
        self._script = redis.register_script(_SCRIPT)
        self._monotonic = monotonic
        self._tally = Tally(share)
        self._ahead_ms = 0
        self._looked_at = float("-inf")
        self._failed_at = float("-inf")
        self._used_at = float("-inf")
        self._block = [0, 0]
        self._limits: Counts | None = None
        self._looking: asyncio.Task[None] | None = None

    async def acquire(self, *, weight: int = 0, orders: int = 0, lane: Lane) -> Grant:
        """Take from the budget; raises Throttled, with seconds to wait, and nothing is sent then."""
        self._used_at = self._monotonic()
        self._keep_looking()
        wants = (weight, orders, orders)
        if self._looked_at == float("-inf") and not self._lost:
            # The limits themselves may be other than the usual ones.
            await self._look()
        self._tally.roll(self._now())
        if self._fresh and self._tally.calm(wants):
            self._take(wants, lane)
        else:
            await self._ask(wants, lane)
        return Grant(self._now())

    def taken_before(self) -> Grant:
        """The grant of a request whose part was acquired earlier and is written now."""
        return Grant(self._now())

    def observe(self, grant: Grant, headers: Mapping[str, str]) -> None:
        """Learn from an answer's headers what the exchange has counted."""
        counts = [_count(headers.get(window.header)) for window in WINDOWS]
        self._tally.observe(counts, taken_at=grant.at, now=self._now())

    def block(self, seconds: float, *, orders_only: bool) -> None:
        """Stop everybody, at once here and within ¼ s elsewhere; 0 until the window is over."""
        now = self._now()
        window = WINDOWS[2 if orders_only else 0].ms
        span = int(seconds * 1000) if seconds > 0 else window - now % window
        span = max(span, LEAST_BLOCK_MS)
        which = 1 if orders_only else 0
        self._block[which] = max(self._block[which], span)
        if orders_only:
            self._tally.orders_blocked_until = max(self._tally.orders_blocked_until, now + span)
        else:
            self._tally.blocked_until = max(self._tally.blocked_until, now + span)
        log.warning("exchange_turned_us_away", seconds=span / 1000, orders_only=orders_only)

    def learn(self, rate_limits: Sequence[Mapping[str, Any]]) -> None:
        """Take the limits from exchangeInfo; the other processes have them within ¼ s."""
        self._tally.limits = self._limits = advertised(rate_limits)

    async def close(self) -> None:
        """Tell the others the last, and stop looking."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
            self._looking = None
        if self._looked_at != float("-inf"):
            await self._look()

    # --- deciding ---

    def _take(self, wants: Counts, lane: Lane) -> None:
        """Decide by what this process knows."""
        now = self._now()
        wait = max(self._tally.blocked_ms(wants, now), self._tally.full_ms(wants, lane, now))
        if wait:
            raise self._no_room(lane, wait)
        self._tally.take(wants)

    async def _ask(self, wants: Counts, lane: Lane) -> None:
        """Let the script decide for all processes together."""
        if self._lost and lane != "open":
            self._take(wants, lane)
            return
        try:
            granted, wait = await self._call(wants, lane)
        except (RedisError, OSError) as error:
            self._mark_lost(error)
            if lane == "open":
                raise Throttled("the shared rate budget cannot be read", retry_after=1.0) from None
            self._tally.roll(self._now())
            self._take(wants, lane)
            return
        if not granted:
            raise self._no_room(lane, wait)

    def _no_room(self, lane: Lane, wait_ms: int) -> Throttled:
        text = f"our share of the exchange's rate limit has no room in lane {lane} for {wait_ms / 1000:.1f} s"
        return Throttled(text, retry_after=wait_ms / 1000)

    # --- looking ---

    @property
    def _fresh(self) -> bool:
        return self._monotonic() - self._looked_at <= BLIND_S

    @property
    def _lost(self) -> bool:
        """Redis did not answer just now; asking again is left to the looking task."""
        return self._failed_at > self._looked_at and self._monotonic() - self._failed_at < BLIND_S

    def _now(self) -> int:
        """Redis' clock as we know it, ms."""
        return int(self._monotonic() * 1000) + self._ahead_ms

    def _keep_looking(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look_on(), name="rate-budget")

    async def _look_on(self) -> None:
        """Keep the view young while requests are made."""
        while self._monotonic() - self._used_at < IDLE_S:
            await asyncio.sleep(REFRESH_S)
            await self._look()

    async def _look(self) -> None:
        try:
            await self._call((0, 0, 0), "cancel")
        except (RedisError, OSError) as error:
            self._mark_lost(error)

    def _mark_lost(self, error: Exception) -> None:
        if self._failed_at <= self._looked_at:
            log.warning("rate_budget_unreachable", error=str(error) or type(error).__name__)
        self._failed_at = self._monotonic()

    async def _call(self, wants: Counts, lane: Lane) -> tuple[bool, int]:
        """Tell, take and learn in one script call; returns whether granted, else ms to wait.

        A lost reply may have counted already: told again it counts twice, which errs on the safe side.
        """
        tally = self._tally
        tally.roll(self._now())
        telling, starts = tally.tell(), list(tally.starts)
        block, limits = list(self._block), self._limits
        args = [
            *(*wants, *tally.caps(lane), *telling, *starts, *tally.counted, *block),
            *(limits if limits is not None else ("", "", "")),
        ]
        try:
            async with asyncio.timeout(REPLY_S):
                reply = [int(value) for value in await self._script(keys=[KEY], args=args)]
        except BaseException:
            tally.untold(telling, starts)
            raise
        self._looked_at = self._monotonic()
        self._ahead_ms = reply[0] - int(self._looked_at * 1000)
        if self._limits == limits:
            self._limits = None
        self._block = [now if now != then else 0 for now, then in zip(self._block, block, strict=True)]
        tally.roll(self._now())
        tally.told(telling, starts)
        tally.learn(reply[5:8], reply[8:11])
        tally.blocked_until = max(tally.blocked_until, reply[3])
        tally.orders_blocked_until = max(tally.orders_blocked_until, reply[4])
        if min(reply[11:14]) >= 0 and self._limits is None:
            tally.limits = (reply[11], reply[12], reply[13])
        return bool(reply[1]), reply[2]


def _count(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdigit() else None
