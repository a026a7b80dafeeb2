"""The exchange's rate limits as one budget that all processes share, through Redis and the headers.

Each process keeps a view that is at most a quarter second old and adds to it what it sends itself;
so sending costs no round trip while there is room. Above half of a limit the view is refreshed
before each use, for then the others' share matters.

Lanes: a cancel may use all of our share, a reduce nine tenths, an opening order eight tenths. So
what closes risk is never starved by what opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.binance.errors import Throttled

log = structlog.get_logger()
PREFIX: Final = "pms:rate"
WEIGHT_1M, ORDERS_1M, ORDERS_10S = 0, 1, 2
LIMITS: Final = (2400, 1200, 300)
"""REQUEST_WEIGHT a minute, ORDERS a minute, ORDERS in ten seconds (exchangeInfo, production)."""

HEADERS: Final = ("X-MBX-USED-WEIGHT-1M", "X-MBX-ORDER-COUNT-1M", "X-MBX-ORDER-COUNT-10S")
WINDOW_S: Final = (60.0, 60.0, 10.0)
LANES: Final = {"cancel": Decimal("1"), "reduce": Decimal("0.9"), "open": Decimal("0.8")}
REFRESH_S: Final = 0.25
BLIND_S: Final = 2.0
CLOSE: Final = Decimal("0.5")
_SCRIPT = (Path(__file__).parent / "limits.lua").read_text()


class RateBudget:
    """One process's part in the shared budget."""

    def __init__(
        self,
        redis: Redis,
        *,
        share: Decimal,
        monotonic: Callable[[], float],
        limits: tuple[int, int, int] | None = LIMITS,
    ) -> None:
        untyped: Any = redis
        self._script = untyped.register_script(_SCRIPT)
        self._share = share
        self._monotonic = monotonic
        self._limits = limits
        self._totals = [0, 0, 0]
        self._counted = [-1, -1, -1]
        self._sent = [0, 0, 0]
        self._seen_at = -BLIND_S
        self._seen_ms = 0
        self._blocked_until = 0.0
        self._stop_ms = 0

    async def acquire(self, *, weight: int, orders: int, lane: str) -> None:
        """Take from the budget; raises Throttled, with the seconds to wait, when there is no room."""
        if self._limits is None:
            return
        age = self._monotonic() - self._seen_at
        if (age > REFRESH_S and (age > BLIND_S or self._nearly_used())) or age > REFRESH_S:
            await self._refresh(lane)
        wants = (weight, orders, orders)
        blocked = self._blocked_until - self._monotonic()
        if blocked > 0:
            raise Throttled("the exchange has turned us away", retry_after=blocked)
        for which, limit in enumerate(self._limits):
            room = limit * self._share * LANES[lane]
            if wants[which] and self._totals[which] + self._sent[which] + wants[which] > room:
                raise Throttled(
                    f"{HEADERS[which][6:]} is used up: {self._totals[which]} of {room}",
                    retry_after=self._until_next(which),
                )
        for which, want in enumerate(wants):
            self._sent[which] += want

    def observe(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer's headers; the next refresh tells everyone."""
        for which, name in enumerate(HEADERS):
            value = headers.get(name)
            if value is not None and value.isdigit():
                self._counted[which] = max(self._counted[which], int(value))

    def blocked(self, retry_after: float) -> None:
        """Stop everyone for so many seconds."""
        self._blocked_until = max(self._blocked_until, self._monotonic() + retry_after)
        self._stop_ms = max(self._stop_ms, int(retry_after * 1000))
        self._seen_at = -BLIND_S

    async def _refresh(self, lane: str) -> None:
        sent, counted, stop = self._sent, self._counted, self._stop_ms
        self._sent, self._counted, self._stop_ms = [0, 0, 0], [-1, -1, -1], 0
        try:
            reply = await self._script(keys=[PREFIX], args=[*sent, *counted, stop])
        except (RedisError, OSError) as error:
            self._sent = [old + new for old, new in zip(sent, self._sent, strict=True)]
            if lane != "cancel":
                raise Throttled("the shared rate budget cannot be read", retry_after=1.0) from None
            log.warning("budget_unreachable", error=str(error))
            return
        self._totals = [int(total) for total in reply[:3]]
        self._seen_at = self._monotonic()
        self._seen_ms = int(reply[3])
        if reply[4]:
            self._blocked_until = max(self._blocked_until, self._seen_at + int(reply[4]) / 1000)

    def _nearly_used(self) -> bool:
        limits = self._limits or LIMITS
        return any(
            total + sent > limit * self._share * CLOSE
            for total, sent, limit in zip(self._totals, self._sent, limits, strict=True)
        )

    def _until_next(self, which: int) -> float:
        window = WINDOW_S[which]
        into = (self._seen_ms / 1000 + self._monotonic() - self._seen_at) % window
        return window - into
