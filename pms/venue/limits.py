"""Rate limits: request weight per address and minute, orders per account, 10 seconds and minute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from pms.venue import errors
from pms.venue.symbols import SymbolFileError

# Requests an address may still send after its first 429 in a minute before it is banned
PATIENCE = 60
BAN_MS = 120_000
MINUTE_MS = 60_000
TEN_SECONDS_MS = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much is allowed: what the file that clients are told says, so that both are always the same."""

    weight_per_minute: int
    orders_per_minute: int
    orders_per_ten_seconds: int

    @classmethod
    def read(cls, info: Mapping[str, Any]) -> Self:
        """The three limits of an exchangeInfo file. Raises SymbolFileError where one is missing."""
        told = {
            (row["rateLimitType"], row["intervalNum"], row["interval"]): int(row["limit"])
            for row in info.get("rateLimits", ())
        }
        try:
            return cls(
                weight_per_minute=told["REQUEST_WEIGHT", 1, "MINUTE"],
                orders_per_minute=told["ORDERS", 1, "MINUTE"],
                orders_per_ten_seconds=told["ORDERS", 10, "SECOND"],
            )
        except KeyError as missing:
            kind, number, interval = missing.args[0]
            raise SymbolFileError(f"rateLimits has no {kind} for {number} {interval}") from None


@dataclass(slots=True)
class _Window:
    """A count that starts again with every interval of the clock."""

    interval: int
    start: int = 0
    used: int = 0
    most: int = 0
    #: of any interval

    def count(self, now: int, amount: int) -> int:
        start = now - now % self.interval
        if start != self.start:
            self.start, self.used = start, 0
        self.used += amount
        self.most = max(self.most, self.used)
        return self.used

    def retry_after(self, now: int) -> int:
        """Whole seconds until it starts again, at least 1."""
        return max(1, -(-(self.start + self.interval - now) // 1000))


@dataclass(slots=True)
class _Address:
    weight: _Window
    refused: _Window
    banned_until: int = 0
    #: The minute in which it may ask nothing more, whatever it used
    used_up: int = -1


@dataclass(slots=True)
class _Orders:
    ten_seconds: _Window
    minute: _Window


class RateLimits:
    """Counts always, refuses only when `enforced`."""

    def __init__(self, allowed: Allowance, *, enforced: bool, clock: Callable[[], int]) -> None:
        self.allowed = allowed
        self.enforced = enforced
        self.turned_away = 0
        #: requests answered with 429, 418 or -1015
        self._clock = clock
        self._addresses: dict[str, _Address] = {}
        self._orders: dict[str, _Orders] = {}

    def charge(self, address: str, weight: int) -> int:
        """Count a request; returns the weight used this minute. Raises 429, then 418."""
        now = self._clock()
        state = self._address(address)
        if state.banned_until > now:
            self.turned_away += 1
            raise self._banned(address, state, now)
        used = state.weight.count(now, weight)
        over = self.enforced and used > self.allowed.weight_per_minute
        if over or state.used_up == state.weight.start:
            self.turned_away += 1
            if state.refused.count(now, 1) > PATIENCE:
                state.banned_until = now + BAN_MS
                raise self._banned(address, state, now)
            retry_after = state.weight.retry_after(now)
            raise errors.too_many_requests(self.allowed.weight_per_minute, retry_after=retry_after)
        return used

    def use_up(self, address: str) -> None:
        """Let an address have nothing left in this minute, even where nothing is enforced."""
        state = self._address(address)
        state.weight.count(self._clock(), 0)
        state.used_up = state.weight.start

    def ban(self, address: str, ms: int) -> None:
        """Turn an address away for so long, even where nothing is enforced."""
        self._address(address).banned_until = self._clock() + ms

    def charge_order(self, account: str, ten_seconds: int = 1, minute: int = 1) -> tuple[int, int]:
        """Count orders; returns the counts of 10 s and of 1 min. Raises -1015."""
        now = self._clock()
        state = self._orders.get(account)
        if state is None:
            state = self._orders[account] = _Orders(_Window(TEN_SECONDS_MS), _Window(MINUTE_MS))
        short = state.ten_seconds.count(now, ten_seconds)
        long = state.minute.count(now, minute)
        allowed = self.allowed
        if self.enforced and (short > allowed.orders_per_ten_seconds or long > allowed.orders_per_minute):
            self.turned_away += 1
        if self.enforced and short > self.allowed.orders_per_ten_seconds:
            retry_after = state.ten_seconds.retry_after(now)
            raise errors.too_many_orders(
                self.allowed.orders_per_ten_seconds, "TEN_SECONDS", retry_after=retry_after
            )
        if self.enforced and long > self.allowed.orders_per_minute:
            retry_after = state.minute.retry_after(now)
            raise errors.too_many_orders(self.allowed.orders_per_minute, "MINUTE", retry_after=retry_after)
        return short, long

    def told(self, address: str, account: str | None) -> list[dict[str, Any]]:
        """How much of each limit is used now, as the WebSocket trading API tells it."""
        now, allowed = self._clock(), self.allowed
        rows: list[tuple[str, str, int, int, _Window]] = []
        if account is not None and (orders := self._orders.get(account)) is not None:
            rows.append(("ORDERS", "SECOND", 10, allowed.orders_per_ten_seconds, orders.ten_seconds))
            rows.append(("ORDERS", "MINUTE", 1, allowed.orders_per_minute, orders.minute))
        if (state := self._addresses.get(address)) is not None:
            rows.append(("REQUEST_WEIGHT", "MINUTE", 1, allowed.weight_per_minute, state.weight))
        return [
            {
                "rateLimitType": kind,
                "interval": interval,
                "intervalNum": number,
                "limit": limit,
                "count": window.count(now, 0),
            }
            for kind, interval, number, limit, window in rows
        ]

    def as_json(self) -> dict[str, object]:
        """What the admin face shows: the most that any interval counted, beside what is allowed."""
        weights = (state.weight.most for state in self._addresses.values())
        return {
            "allowed": {
                "weight_1m": self.allowed.weight_per_minute,
                "orders_1m": self.allowed.orders_per_minute,
                "orders_10s": self.allowed.orders_per_ten_seconds,
            },
            "weight_1m": max(weights, default=0),
            "orders_1m": max((state.minute.most for state in self._orders.values()), default=0),
            "orders_10s": max((state.ten_seconds.most for state in self._orders.values()), default=0),
            "turnedAway": self.turned_away,
        }

    def _address(self, address: str) -> _Address:
        state = self._addresses.get(address)
        if state is None:
            state = self._addresses[address] = _Address(_Window(MINUTE_MS), _Window(MINUTE_MS))
        return state

    @staticmethod
    def _banned(address: str, state: _Address, now: int) -> errors.VenueError:
        retry_after = max(1, -(-(state.banned_until - now) // 1000))
        return errors.banned(address, until_ms=state.banned_until, retry_after=retry_after)
