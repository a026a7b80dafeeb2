"""How the exchange counts, and how much of it each lane may use; pure.

Three counts start again with each interval of the clock: request weight a minute (per address),
orders a minute and orders in ten seconds (per account). Ours of one process is

    shared     what all processes together had counted when we last looked
    in_flight  what we are just telling the others
    pending    what we took since

Lanes: a cancel may use all of our share, a reduce nine tenths, an opening order and a query eight
tenths. So what closes risk is never starved by what opens it. Times are ms of the shared clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

Lane = Literal["cancel", "reduce", "open", "query"]
PARTS: Final[Mapping[Lane, Decimal]] = {
    "cancel": Decimal(1),
    "reduce": Decimal("0.9"),
    "open": Decimal("0.8"),
    "query": Decimal("0.8"),
}
CALM: Final = Decimal("0.5")
"""Below this part of our share a process decides for itself; above it the others' part matters."""

ON_CREDIT: Final = Decimal("0.05")
"""What a process may take before it tells the others, as a part of our share."""

BOUNDARY_MS: Final = 1000
"""The exchange's clock and ours differ: so near a window's start its count may be the last one's."""

UNLIMITED: Final = -1
Counts = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """One count of the exchange."""

    kind: str
    interval: str
    number: int
    ms: int
    header: str
    usual: int


WINDOWS: Final = (
    Window("REQUEST_WEIGHT", "MINUTE", 1, 60_000, "X-MBX-USED-WEIGHT-1M", 2400),
    Window("ORDERS", "MINUTE", 1, 60_000, "X-MBX-ORDER-COUNT-1M", 1200),
    Window("ORDERS", "SECOND", 10, 10_000, "X-MBX-ORDER-COUNT-10S", 300),
)
"""What is counted; `usual` holds until exchangeInfo has been read (production's figures)."""


def advertised(rate_limits: Sequence[Mapping[str, Any]]) -> Counts:
    """The limits of exchangeInfo's `rateLimits`; a count that it does not name is not limited: 0."""
    weight, minute, ten = (
        next(
            (
                max(int(row["limit"]), 0)
                for row in rate_limits
                if isinstance(row.get("limit"), int)
                and (row.get("rateLimitType"), row.get("interval"), row.get("intervalNum"))
                == (window.kind, window.interval, window.number)
            ),
            0,
        )
        for window in WINDOWS
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
    blocked_until: int = 0
    orders_blocked_until: int = 0

    def roll(self, now: int) -> None:
        """Start the counts again whose window is over, or whose clock was set back."""
        for i, window in enumerate(WINDOWS):
            start = now - now % window.ms
            if start > self.starts[i] or start < self.starts[i] - window.ms:
                self.starts[i] = start
                self.shared[i] = self.in_flight[i] = self.pending[i] = self.counted[i] = 0

    def used(self, i: int) -> int:
        """What is used up of one count, as far as we know."""
        return max(self.shared[i] + self.in_flight[i] + self.pending[i], self.counted[i])

    def caps(self, lane: Lane) -> Counts:
        """Up to where each count may be used by a lane."""
        part = self.share * PARTS[lane]
        weight, minute, ten = [int(limit * part) if limit else UNLIMITED for limit in self.limits]
        return weight, minute, ten

    def calm(self, wants: Counts) -> bool:
        """Whether there is so much room that a process need not ask the others first."""
        for i, want in enumerate(wants):
            ours = self.limits[i] * self.share
            if not want or not ours:
                continue
            if self.used(i) + want > ours * CALM:
                return False
            if self.in_flight[i] + self.pending[i] + want > max(ours * ON_CREDIT, Decimal(1)):
                return False
        return True

    def blocked_ms(self, wants: Counts, now: int) -> int:
        """For how long the exchange has turned us away; the order count's own ban spares the rest."""
        until = max(self.blocked_until, self.orders_blocked_until if wants[1] else 0)
        return max(until - now, 0)

    def full_ms(self, wants: Counts, lane: Lane, now: int) -> int:
        """How long until there may be room for a lane; 0 where there is."""
        caps = self.caps(lane)
        waits = [
            self.starts[i] + window.ms - now
            for i, window in enumerate(WINDOWS)
            if wants[i] and caps[i] != UNLIMITED and self.used(i) + wants[i] > caps[i]
        ]
        return max(waits, default=0)

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
