"""The exchange's rate limits as one budget that all processes share, through Redis.

    ask          one script decides for all: the lane's part, the sub-account's share, who was turned away
    credit       while there is ample room it counts some ahead for us, spent here without a round trip
    Redis gone   opening orders are refused; cancels, reduces and queries go by what this process knows

What the exchange's own headers count, and for how long it turned us away, reaches every process: a 429
is published, and nobody sends anything until its time is over. Trap: a 429 that one process goes on
through becomes a ban (418) of the address, for everybody on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol, get_args

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.binance.errors import Throttled
from pms.binance.windows import (
    CALM,
    CREDIT,
    CREDIT_ORDERS,
    UNLIMITED,
    WINDOWS,
    Counts,
    Lane,
    Tally,
    advertised,
)
from pms.contract.events import BudgetView, CountView
from pms.contract.names import RATE_ASKED, RATE_BUDGET, RATE_STOP

log = structlog.get_logger()
REFRESH_S: Final = 0.25
QUIET_REFRESH_S: Final = 1.0
"""How often a process looks that has neither asked nor learnt anything since it looked last."""

BLIND_S: Final = 2.0
IDLE_S: Final = 10.0
"""A process that has sent nothing for so long stops looking; its next request asks first."""

REPLY_S: Final = 0.25
"""Longer than this no request waits for Redis; a cancel must not hang on it."""

LEAST_BLOCK_MS: Final = 1000
NO_WANTS: Final = (0, 0, 0)
SHARED_OUT: Final = 4
TURNED_AWAY: Final = 5
_SCRIPT: Final = (Path(__file__).parent / "limits.lua").read_text()
_pack = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to send one request now, by the shared clock, ms."""

    at: int


class Budget(Protocol):
    """What the exchange client asks before each request and tells after it."""

    async def acquire(self, *, weight: int = 0, orders: int = 0, lane: Lane, account: str = "") -> Grant:
        """Take from the budget; raises Throttled, with seconds to wait, and nothing is sent then."""

    def taken_before(self) -> Grant:
        """The grant of an order whose part was acquired earlier and is written now; may raise Throttled."""

    def observe(self, grant: Grant, headers: Mapping[str, str]) -> None:
        """Learn from an answer's headers what the exchange has counted."""

    def block(self, seconds: float, *, orders_only: bool) -> None:
        """The exchange turned us away: nobody sends for so long; 0 until the window is over."""

    def learn(self, rate_limits: Sequence[Mapping[str, Any]]) -> None:
        """Take the limits from exchangeInfo's `rateLimits`."""

    def align(self, exchange_now_ms: int) -> None:
        """Take the exchange's clock, by which its windows begin."""


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
        self._stirred = False
        self._stops_untold = [0, 0]
        #: until when nobody sends anything, or any order: monotonic ms. Redis may be back only after it
        self._redis_ms = 0
        self._exchange_ahead: int | None = None
        self._limits: Counts | None = None
        self._looking: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._redis: Any = redis

    async def acquire(self, *, weight: int = 0, orders: int = 0, lane: Lane, account: str = "") -> Grant:
        """Take from the budget; raises Throttled, with seconds to wait, and nothing is sent then.

        `account` is the sub-account whose share the orders come out of.
        """
        self._used_at = self._monotonic()
        self._stirred = True
        self._keep_looking()
        wants = (weight, orders, orders)
        if self._looked_at == float("-inf") and not self._lost:
            # The limits themselves may be other than the usual ones.
            await self._look()
        self._tally.roll(self._now())
        if self._fresh and not self._blocked(wants) and self._tally.spend(wants, account=account, lane=lane):
            return Grant(self._now())
        # A hundred orders may wait for one share; that it is spent was said to the first of them.
        if orders and (wait := self._tally.spent.get((account, lane), 0) - self._now()) > 0:
            raise _spent(account, lane, wait)
        await self._ask(wants, lane, account)
        return Grant(self._now())

    def taken_before(self) -> Grant:
        """The grant of an order whose part was acquired earlier and is written now; may raise Throttled.

        Between the two the exchange may have turned us away: then not even this is sent.
        """
        if wait := self._blocked((0, 1, 1)):
            raise _turned_away(wait)
        return Grant(self._now())

    def observe(self, grant: Grant, headers: Mapping[str, str]) -> None:
        """Learn from an answer's headers what the exchange has counted."""
        counts = [_count(headers.get(window.header)) for window in WINDOWS]
        self._tally.observe(counts, taken_at=grant.at, now=self._now())
        self._stirred = True

    def block(self, seconds: float, *, orders_only: bool) -> None:
        """Stop everybody, at once; 0 until the window is over."""
        now = self._now()
        window = WINDOWS[2 if orders_only else 0].ms
        span = int(seconds * 1000) if seconds > 0 else window - now % window
        span = max(span, LEAST_BLOCK_MS)
        which = 1 if orders_only else 0
        until = int(self._monotonic() * 1000) + span
        self._stops_untold[which] = max(self._stops_untold[which], until)
        if orders_only:
            self._tally.orders_blocked_until = max(self._tally.orders_blocked_until, now + span)
        else:
            self._tally.blocked_until = max(self._tally.blocked_until, now + span)
        self._telling = asyncio.get_running_loop().create_task(self._look(), name="rate-stop")
        log.warning("exchange_turned_us_away", seconds=span / 1000, orders_only=orders_only)

    def learn(self, rate_limits: Sequence[Mapping[str, Any]]) -> None:
        """Take the limits from exchangeInfo; the other processes have them within a second or so."""
        self._tally.limits = self._limits = advertised(rate_limits)
        self._stirred = True

    def align(self, exchange_now_ms: int) -> None:
        """Take the exchange's clock, by which its windows begin; the next call sets everybody's."""
        if self._looked_at != float("-inf"):
            self._exchange_ahead = exchange_now_ms - int(self._monotonic() * 1000) - self._redis_ms

    async def close(self) -> None:
        """Tell the others the last, and stop looking."""
        # Not by cancellation alone: redis-py swallows one that comes while it connects.
        self._used_at = float("-inf")
        for task in (self._looking, self._telling):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        self._looking = None
        if self._looked_at != float("-inf"):
            await self._look()

    async def view(self) -> BudgetView:
        """How much of each count is used, and up to where each lane may go; one cheap call."""
        await self._look()
        now = self._now()
        self._tally.roll(now)
        caps = {lane: self._tally.caps(lane) for lane in get_args(Lane)}
        counts = [
            CountView(
                name=window.name,
                used=self._tally.used(i),
                limit=self._tally.limits[i] or None,
                lanes={
                    lane: max(caps[lane][i] - self._tally.used(i), 0) if self._tally.limits[i] else None
                    for lane in caps
                },
            )
            for i, window in enumerate(WINDOWS)
        ]
        return BudgetView(
            counts=counts, blocked_ms=self._tally.blocked_ms((0, 1, 1), now), known=not self._lost
        )

    # --- deciding ---

    def _blocked(self, wants: Counts) -> int:
        return self._tally.blocked_ms(wants, self._now())

    def _take(self, wants: Counts, lane: Lane) -> None:
        """Decide by what this process knows."""
        now = self._now()
        if wait := self._tally.blocked_ms(wants, now):
            raise _turned_away(wait)
        which, wait = self._tally.full(wants, lane, now)
        if wait:
            raise self._no_room(lane, which, wait)
        self._tally.take(wants)

    async def _ask(self, wants: Counts, lane: Lane, account: str) -> None:
        """Let the script decide for all processes together."""
        if self._lost and lane != "open":
            self._take(wants, lane)
            return
        try:
            why, wait = await self._call(wants, lane, account)
        except (RedisError, OSError) as error:
            self._mark_lost(error)
            if lane == "open":
                raise Throttled("the shared rate budget cannot be read", retry_after=1.0) from None
            self._tally.roll(self._now())
            self._take(wants, lane)
            return
        if why == SHARED_OUT:
            # That several at once have no room says nothing of one.
            if wants[2] == 1:
                self._tally.spent[account, lane] = self._now() + wait
            raise _spent(account, lane, wait)
        if why == TURNED_AWAY:
            raise _turned_away(wait)
        if why:
            raise self._no_room(lane, why, wait)

    def _no_room(self, lane: Lane, which: int, wait_ms: int) -> Throttled:
        i = which - 1
        cap, limit = self._tally.caps(lane)[i], self._tally.limits[i]
        text = f"lane {lane} may use {cap} of the exchange's {limit} {WINDOWS[i].name}, and that is used up"
        return Throttled(f"{text}; room in {wait_ms / 1000:.1f} s", retry_after=wait_ms / 1000)

    # --- looking ---

    @property
    def _fresh(self) -> bool:
        return self._monotonic() - self._looked_at <= BLIND_S

    @property
    def _lost(self) -> bool:
        """Redis did not answer just now; asking again is left to the looking task."""
        return self._failed_at > self._looked_at and self._monotonic() - self._failed_at < BLIND_S

    def _now(self) -> int:
        """The shared clock as we know it, ms: Redis', set to the exchange's."""
        return int(self._monotonic() * 1000) + self._ahead_ms

    def _keep_looking(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look_on(), name="rate-budget")

    async def _look_on(self) -> None:
        """Keep the view young while requests are made; look at once when somebody was turned away."""
        while self._monotonic() - self._used_at < IDLE_S:
            try:
                async with self._redis.pubsub() as stops:
                    await stops.subscribe(RATE_STOP)
                    while self._monotonic() - self._used_at < IDLE_S:
                        pause_s = REFRESH_S if self._stirred else QUIET_REFRESH_S
                        self._stirred = False
                        await stops.get_message(ignore_subscribe_messages=True, timeout=pause_s)
                        await self._look()
            except (RedisError, OSError) as error:
                self._mark_lost(error)
                await asyncio.sleep(REFRESH_S)
                await self._look()

    async def _look(self) -> None:
        try:
            await self._call(NO_WANTS, "vital", "")
        except (RedisError, OSError) as error:
            self._mark_lost(error)

    def _mark_lost(self, error: Exception) -> None:
        if self._failed_at <= self._looked_at:
            log.warning("rate_budget_unreachable", error=str(error) or type(error).__name__)
        self._failed_at = self._monotonic()

    async def _call(self, wants: Counts, lane: Lane, account: str) -> tuple[int, int]:
        """Tell, take and learn in one script call; returns why not, 0 if granted, and ms to wait.

        A lost reply may have counted already: told again it counts twice, which errs on the safe side.
        """
        tally = self._tally
        tally.roll(self._now())
        telling, starts = tally.tell(), list(tally.starts)
        stops, limits, exchange_ahead = list(self._stops_untold), self._limits, self._exchange_ahead
        monotonic_ms = int(self._monotonic() * 1000)
        ask = {
            "wants": wants,
            "caps": tally.caps(lane),
            "told": telling,
            "starts": starts,
            "counted": tally.counted,
            "block": [max(until - monotonic_ms, 0) for until in stops],
            "limits": limits or (),
            "ahead": exchange_ahead,
            "account": account,
            "reduces": lane == "reduce",
            "open": tally.caps("open"),
            "reduce": tally.caps("reduce"),
            "advance": self._credit_wanted(wants, lane),
            "calm": int(tally.ours(0) * CALM),
        }
        try:
            async with asyncio.timeout(REPLY_S):
                keys = [RATE_BUDGET, *RATE_ASKED]
                reply = [int(value) for value in await self._script(keys=keys, args=[_pack(ask)])]
        except BaseException:
            tally.untold(telling, starts)
            raise
        self._looked_at = self._monotonic()
        self._ahead_ms = reply[0] - int(self._looked_at * 1000)
        self._redis_ms = reply[0] - reply[17] - int(self._looked_at * 1000)
        if self._exchange_ahead == exchange_ahead:
            self._exchange_ahead = None
        if self._limits == limits:
            self._limits = None
        untold = zip(self._stops_untold, stops, strict=True)
        self._stops_untold = [now if now != then else 0 for now, then in untold]
        tally.roll(self._now())
        tally.told(telling, starts)
        tally.learn(reply[8:11], reply[11:14])
        tally.credit(reply[6], reply[7], account=account, lane=lane, starts=reply[8:11])
        tally.blocked_until = max(tally.blocked_until, reply[4])
        tally.orders_blocked_until = max(tally.orders_blocked_until, reply[5])
        if min(reply[14:17]) >= 0 and self._limits is None:
            tally.limits = (reply[14], reply[15], reply[16])
        return reply[3], reply[2]

    def _credit_wanted(self, wants: Counts, lane: Lane) -> tuple[int, int]:
        """Ahead of need, weight and orders; work in the background can afford to ask each time."""
        hurried = wants[0] and lane != "background" and self._tally.ours(0) != UNLIMITED
        weight = int(self._tally.ours(0) * CREDIT) if hurried else 0
        return weight, CREDIT_ORDERS if wants[2] else 0


def _spent(account: str, lane: Lane, wait_ms: int) -> Throttled:
    text = f"lane {lane}: sub-account {account} has had its share of these ten seconds' orders"
    return Throttled(f"{text}; room in {wait_ms / 1000:.1f} s", retry_after=wait_ms / 1000)


def _turned_away(wait_ms: int) -> Throttled:
    text = f"the exchange turned us away; nothing is sent for {wait_ms / 1000:.1f} s"
    return Throttled(text, retry_after=wait_ms / 1000)


def _count(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdigit() else None
