"""How the exchange counts, and how much of it each lane may use; pure.

Three counts start again with each interval of the clock: request weight a minute (per address),
orders a minute and orders in ten seconds (per account). What one process knows of each is

    shared     what all processes together had counted when we last looked
    in_flight  what we are just telling the others
    pending    what we took since on our own, while Redis was away
    credit     what is in `shared` already, for us to use without asking again

Lanes, each with a part of our share that it may fill up to; what is above is kept for those before it:

    lane        weight  orders
    vital         100 %          the dead man's countdown, the listen key, the exchange's clock
    cancel         95 %          a cancel takes no order count
    reduce         90 %  100 %   what makes a position smaller
    open           85 %   85 %
    query          75 %          evidence about orders, trades and balances; order books, without which
                                 nothing trades; what a streamer reads before it leads
    background     60 %          incomes, fundings, mark prices, sweeps

So what closes risk is never starved by what opens it. Times are ms of the shared clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Literal

Lane = Literal["vital", "cancel", "reduce", "open", "query", "background"]
PARTS: Final[Mapping[Lane, tuple[Decimal, Decimal]]] = {
    "vital": (Decimal(1), Decimal(1)),
    "cancel": (Decimal("0.95"), Decimal(1)),
    "reduce": (Decimal("0.9"), Decimal(1)),
    "open": (Decimal("0.85"), Decimal("0.85")),
    "query": (Decimal("0.75"), Decimal("0.85")),
    "background": (Decimal("0.6"), Decimal("0.85")),
}
"""Part of our share that each lane may fill up to: of the weight, and of the order counts."""

CALM: Final = Decimal("0.5")
"""Below this part of our share requests are credited ahead; every lane may still spend there."""

CREDIT: Final = Decimal("0.01")
"""What a process is credited at once, as a part of our share of the weight.

Little, because what a process does not spend is lost to all others until the window is over: with
forty processes it is two fifths of the minute.
"""

CREDIT_ORDERS: Final = 4
"""How many orders of one sub-account a process is credited at once, where its right is ample."""

BOUNDARY_MS: Final = 1000
"""The exchange's clock and ours differ: so near a window's start its count may be the last one's."""

UNLIMITED: Final = -1
Counts = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """One count of the exchange."""

    name: str
    kind: str
    interval: str
    number: int
    ms: int
    header: str
    usual: int


WINDOWS: Final = (
    Window("weight_1m", "REQUEST_WEIGHT", "MINUTE", 1, 60_000, "X-MBX-USED-WEIGHT-1M", 2400),
    Window("orders_1m", "ORDERS", "MINUTE", 1, 60_000, "X-MBX-ORDER-COUNT-1M", 1200),
    Window("orders_10s", "ORDERS", "SECOND", 10, 10_000, "X-MBX-ORDER-COUNT-10S", 300),
)
"""What is counted; `usual` holds until exchangeInfo has been read (production's figures)."""


def advertised(rate_limits: Sequence[Mapping[str, Any]]) -> Counts:
    """The limits of exchangeInfo's `rateLimits`; where it is empty nothing is limited: 0.

    Trap: a list that names some, and not a count of ours, is not understood: the usual figure holds.
    """
    if not rate_limits:
        return 0, 0, 0
    weight, minute, ten = (
        next(
            (
                int(row["limit"])
                for row in rate_limits
                if isinstance(row.get("limit"), int)
                and row["limit"] > 0
                and (row.get("rateLimitType"), row.get("interval"), row.get("intervalNum"))
                == (window.kind, window.interval, window.number)
            ),
            window.usual,
        )
        for window in WINDOWS
    )
    return weight, minute, ten


@lru_cache(maxsize=64)
def _caps(limits: Counts, share: Decimal, lane: Lane) -> Counts:
    of_weight, of_orders = (share * part for part in PARTS[lane])
    weight, minute, ten = (
        int(limit * part) if limit else UNLIMITED
        for limit, part in zip(limits, (of_weight, of_orders, of_orders), strict=True)
    )
    return weight, minute, ten


@dataclass(slots=True)
class Tally:
    """One process's view of the counts."""

    share: Decimal
    limits: Counts = (WINDOWS[0].usual, WINDOWS[1].usual, WINDOWS[2].usual)
    starts: list[int] = field(default_factory=lambda: [0, 0, 0])
    shared: list[int] = field(default_factory=lambda: [0, 0, 0])
    in_flight: list[int] = field(default_factory=lambda: [0, 0, 0])
    pending: list[int] = field(default_factory=lambda: [0, 0, 0])
    counted: list[int] = field(default_factory=lambda: [0, 0, 0])
    weight_credit: int = 0
    order_credit: dict[tuple[str, Lane], int] = field(default_factory=dict)
    spent: dict[tuple[str, Lane], int] = field(default_factory=dict)
    #: whose share is spent for now, and until when
    blocked_until: int = 0
    orders_blocked_until: int = 0

    def roll(self, now: int) -> None:
        """Start the counts again whose window is over, or whose clock was set back."""
        for i, window in enumerate(WINDOWS):
            start = now - now % window.ms
            if start > self.starts[i] or start < self.starts[i] - window.ms:
                self.starts[i] = start
                self.shared[i] = self.in_flight[i] = self.pending[i] = self.counted[i] = 0
                # What was credited was counted in the window that is over.
                if i == 0:
                    self.weight_credit = 0
                else:
                    self.order_credit.clear()
                    self.spent.clear()

    def used(self, i: int) -> int:
        """What is used up of one count, as far as we know; credit counts as used."""
        return max(self.shared[i] + self.in_flight[i] + self.pending[i], self.counted[i])

    def ours(self, i: int) -> int:
        """Our share of one count; UNLIMITED where the exchange has no limit."""
        return int(self.limits[i] * self.share) if self.limits[i] else UNLIMITED

    def caps(self, lane: Lane) -> Counts:
        """Up to where each count may be used by a lane."""
        return _caps(self.limits, self.share, lane)

    def spend(self, wants: Counts, *, account: str, lane: Lane) -> bool:
        """Pay from what was credited; False where that does not cover it.

        Trap: the exchange may have counted more than all of us, and credit does not know it.
        """
        caps = self.caps(lane)
        if any(
            want and cap != UNLIMITED and counted + want > cap
            for want, cap, counted in zip(wants, caps, self.counted, strict=True)
        ):
            return False
        weight, *orders = (want if self.limits[i] else 0 for i, want in enumerate(wants))
        if weight > self.weight_credit or max(orders) > self.order_credit.get((account, lane), 0):
            return False
        self.weight_credit -= weight
        if max(orders):
            self.order_credit[account, lane] -= max(orders)
        return True

    def credit(self, weight: int, orders: int, *, account: str, lane: Lane, starts: Sequence[int]) -> None:
        """Keep what the script counted for us ahead, in the windows with these starts."""
        if weight and starts[0] == self.starts[0]:
            self.weight_credit += weight
        if orders and list(starts[1:]) == self.starts[1:]:
            self.order_credit[account, lane] = self.order_credit.get((account, lane), 0) + orders

    def blocked_ms(self, wants: Counts, now: int) -> int:
        """For how long the exchange has turned us away; the order count's own ban spares the rest."""
        until = max(self.blocked_until, self.orders_blocked_until if wants[1] else 0)
        return max(until - now, 0)

    def full(self, wants: Counts, lane: Lane, now: int) -> tuple[int, int]:
        """Which count (1 to 3) has no room for a lane, and for how many ms; 0, 0 where all have."""
        caps = self.caps(lane)
        return max(
            (
                (self.starts[i] + window.ms - now, i + 1)
                for i, window in enumerate(WINDOWS)
                if wants[i] and caps[i] != UNLIMITED and self.used(i) + wants[i] > caps[i]
            ),
            default=(0, 0),
        )[::-1]

    def take(self, wants: Counts) -> None:
        """Count what is about to be sent."""
        for i, want in enumerate(wants):
            self.pending[i] += want

    def observe(self, counts: Sequence[int | None], *, taken_at: int, now: int) -> None:
        """Learn what the exchange itself counted for a request that was granted at `taken_at`."""
        self.roll(now)
        for i, count in enumerate(counts):
            if count is not None and taken_at - self.starts[i] >= BOUNDARY_MS:
                self.counted[i] = max(self.counted[i], count)

    def tell(self) -> Counts:
        """Hand out what the others do not know yet; `told` or `untold` must follow."""
        telling = (self.pending[0], self.pending[1], self.pending[2])
        for i, amount in enumerate(telling):
            self.in_flight[i] += amount
            self.pending[i] = 0
        return telling

    def told(self, telling: Counts, told_of: Sequence[int]) -> None:
        """The others know what was handed out, of the windows with these starts."""
        for i, amount in enumerate(telling):
            if self.starts[i] == told_of[i]:
                self.in_flight[i] = max(self.in_flight[i] - amount, 0)

    def untold(self, telling: Counts, told_of: Sequence[int]) -> None:
        """Nobody answered: it is told again later; that counts it twice at worst, never not at all."""
        self.told(telling, told_of)
        for i, amount in enumerate(telling):
            if self.starts[i] == told_of[i]:
                self.pending[i] += amount

    def learn(self, starts: Sequence[int], shared: Sequence[int]) -> None:
        """Take what all processes have counted together; answers may overtake each other."""
        for i, start in enumerate(starts):
            if self.starts[i] == start:
                self.shared[i] = max(self.shared[i], shared[i])
