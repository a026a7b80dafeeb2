"""A rate budget of one process, for when nothing but the exchange can be relied on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import structlog

from pms.binance.errors import Throttled
from pms.binance.limits import LEAST_BLOCK_MS, Grant
from pms.binance.windows import WINDOWS, Lane, Tally, advertised

log = structlog.get_logger()
WHOLE: Final = Decimal(1)


class Alone:
    """Counts what this process sends, learns what the exchange counts, and obeys when it is turned away.

    Trap: what other processes send on the same address is known only from the answers' headers.
    """

    def __init__(self, *, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._ahead_ms = 0
        self._tally = Tally(WHOLE)

    async def acquire(self, *, weight: int = 0, orders: int = 0, lane: Lane, account: str = "") -> Grant:
        """Take from the budget; raises Throttled, with seconds to wait, and nothing is sent then."""
        now, wants = self._now(), (weight, orders, orders)
        self._tally.roll(now)
        _, full = self._tally.full(wants, lane, now)
        wait = max(self._tally.blocked_ms(wants, now), full)
        if wait:
            raise Throttled(f"the rate limit is used up for {wait / 1000:.1f} s", retry_after=wait / 1000)
        self._tally.take(wants)
        return Grant(now)

    def taken_before(self) -> Grant:
        """The grant of a request whose part was acquired earlier and is written now."""
        return Grant(self._now())

    def observe(self, grant: Grant, headers: Mapping[str, str]) -> None:
        """Learn from an answer's headers what the exchange has counted."""
        counts = [_count(headers.get(window.header)) for window in WINDOWS]
        self._tally.observe(counts, taken_at=grant.at, now=self._now())

    def block(self, seconds: float, *, orders_only: bool) -> None:
        """The exchange turned us away; 0 until the window is over."""
        now, window = self._now(), WINDOWS[2 if orders_only else 0].ms
        until = now + max(int(seconds * 1000) if seconds > 0 else window - now % window, LEAST_BLOCK_MS)
        if orders_only:
            self._tally.orders_blocked_until = max(self._tally.orders_blocked_until, until)
        else:
            self._tally.blocked_until = max(self._tally.blocked_until, until)
        log.warning("exchange_turned_us_away", seconds=(until - now) / 1000, orders_only=orders_only)

    def learn(self, rate_limits: Sequence[Mapping[str, Any]]) -> None:
        """Take the limits from exchangeInfo's `rateLimits`."""
        self._tally.limits = advertised(rate_limits)

    def align(self, exchange_now_ms: int) -> None:
        """Take the exchange's clock, by which its windows begin."""
        self._ahead_ms = exchange_now_ms - self._clock_ms()

    def _now(self) -> int:
        return self._clock_ms() + self._ahead_ms


def _count(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdigit() else None
