"""Health: whether commands may be admitted, told to everyone twice a second. Fails closed."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.contract import names
from pms.contract.events import BudgetView, Health
from pms.contract.money import encode
from pms.domain.halts import views
from pms.streamer.conservation import Conservation
from pms.streamer.engine import Engine
from pms.streamer.feed_lag import FeedLag
from pms.streamer.ledger_lag import LedgerLag
from pms.streamer.memory import Memory

log = structlog.get_logger()
EVERY_S = 0.1
PUBLISH_EVERY = 5
MOST_WAITING = 5000


@dataclass(slots=True)
class Watch:
    """Measures what closes admission."""

    engine: Engine
    redis: Redis
    monotonic: Callable[[], float]
    now_ms: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]
    market_age_s: Callable[[], float]
    ages: Callable[[], dict[str, float]]
    feed_lag: FeedLag
    user_up: Callable[[], bool]
    expire_stale: Callable[[], None]
    take_overs: Callable[[], int]
    budget: Callable[[], Awaitable[BudgetView]]
    dead_man: Callable[[], Literal["off", "idle", "armed", "withheld"]]
    conservation: Conservation = field(default_factory=Conservation)
    lags: deque[float] = field(default_factory=lambda: deque([0.0] * 5, maxlen=5))
    memory: Memory = field(default_factory=Memory)
    ledger_lag: LedgerLag = field(default_factory=LedgerLag)
    ledger_stopped: str | None = None
    recovered: bool = False

    async def run(self) -> None:
        """Watch for ever."""
        turn = 0
        await self._tell()
        while True:
            before = self.monotonic()
            await self.sleep(EVERY_S)
            self.lags.append(self.monotonic() - before - EVERY_S)
            self._judge()
            turn += 1
            if turn % PUBLISH_EVERY:
                continue
            self.conservation.check(self.engine, now=self.now_ms())
            if self.recovered:
                self.feed_lag.look(self.engine)
            await self._tell()

    async def until_open(self, *, patience_s: float) -> None:
        """Recovery is over: wait for the first prices, so that waiting commands are not refused for them."""
        self.recovered = True
        give_up = self.monotonic() + patience_s
        while self.reason() is not None and self.monotonic() < give_up:
            await self.sleep(0.01)
        self._judge()

    def reason(self) -> str | None:
        """Why admission must be closed, or None."""
        if not self.recovered:
            return "the streamer is recovering"
        if self.engine.gate.multi_assets:
            return "the exchange account is in multi-assets mode"
        if not self.engine.outbox.connected:
            return "Redis is unreachable"
        if not self.user_up():
            return "the user stream is down, or its gap not yet closed"
        if self.market_age_s() * 1000 > self.engine.gate.stale_after_ms:
            return "the market feed is stale"
        if self.ledger_stopped is not None:
            return f"the ledger has stopped: {self.ledger_stopped}"
        if (full := self.memory.reason()) is not None:
            return full
        if len(self.engine.outbox) > MOST_WAITING:
            return "too much waits for the journal"
        if sorted(self.lags)[len(self.lags) // 2] * 1000 > self.engine.gate.most_lag_ms:
            return "the streamer lags"
        return None

    @property
    def lag_ms(self) -> int:
        """How late the loop was lately, the median of half a second."""
        return int(sorted(self.lags)[len(self.lags) // 2] * 1000)

    def unwell(self) -> str | None:
        """Why nobody here could look after a resting order now, or None."""
        if not self.recovered:
            return "the streamer is recovering"
        if not self.engine.outbox.connected:
            return "Redis is unreachable"
        if len(self.engine.outbox) > MOST_WAITING:
            return "too much waits for the journal"
        if not self.user_up():
            return "the user stream is down, or its gap not yet closed"
        return None

    def _judge(self) -> None:
        reason = self.reason()
        gate = self.engine.gate
        if reason != gate.closed_because:
            log.info("admission", open=reason is None, reason=reason)
        if reason == "the market feed is stale":
            self.expire_stale()
        gate.closed_because = reason

    async def _tell(self) -> None:
        try:
            await self._publish()
        except (RedisError, OSError) as error:
            log.warning("health_not_told", error=str(error))

    async def _publish(self) -> None:
        untyped: Any = self.redis
        gate = self.engine.gate
        age = self.market_age_s()
        health = Health(
            state="recovering" if not self.recovered else "degraded" if gate.closed_because else "live",
            feed_age=_ms(age),
            feed_lag=self.feed_lag.ms,
            ages={name: _ms(age) for name, age in self.ages().items()},
            admission=gate.closed_because is None,
            reason=gate.closed_because,
            drift=self.conservation.now,
            symbols_closed=self._closed(),
            open_fees=len(self.engine.desk.treasury.unpaid),
            dead_man=self.dead_man(),
            halts=views(self.engine.desk),
            ts=self.now_ms(),
        )
        self.memory.take(await untyped.info("memory"))
        gate.algos_stopped = self.memory.algos_stopped
        stopped, applied = await untyped.mget(names.LEDGER_STOPPED, names.APPLIED)
        if self.recovered:
            self.ledger_lag.look(self.engine, int(applied or 0))
        self.ledger_stopped = stopped.decode() if stopped else None
        budget = await self.budget()
        async with untyped.pipeline(transaction=False) as pipe:
            pipe.set(names.HEALTH, encode(health), ex=names.HEALTH_TTL_S)
            pipe.set(names.BUDGET, encode(budget), ex=names.CACHE_TTL_S)
            pipe.set(names.TAKE_OVERS, self.take_overs())
            await pipe.execute()

    def _closed(self) -> dict[str, str]:
        """The closed symbols that anybody here looks at."""
        desk = self.engine.desk
        found = {symbol: desk.headroom.closed_because(symbol) for symbol in desk.tops}
        return {symbol: reason for symbol, reason in found.items() if reason is not None}


def _ms(seconds: float) -> int | None:
    """None for what was never heard."""
    return int(seconds * 1000) if seconds < 1e6 else None
