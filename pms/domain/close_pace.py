"""How soon a position is tried again whose closing order came to nothing: at once, then ever later.

Only in memory: after a restart each is tried once, and the exchange's next refusal begins it anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pms.domain.orders import Order, State
from pms.domain.positions import Place

DELAYS_MS = (250, 500, 1_000, 2_000, 5_000, 15_000, 30_000)
ALARM_AFTER = 3
"""So often in a row an operator is told."""


@dataclass(slots=True)
class ClosePace:
    """By position, how often in a row its orders came to nothing, and when the next may go."""

    failures: dict[Place, int] = field(default_factory=dict)
    not_before: dict[Place, int] = field(default_factory=dict)

    def ended(self, order: Order, *, now: int) -> None:
        """Note how a closing order ended. Orders of one entry that fail together count once.

        One that nobody could send has waited for its deadline already, and is no word of the exchange.
        """
        if order.state is State.VOID:
            return
        place = order.spec.place
        if order.filled_qty:
            self.failures.pop(place, None)
            self.not_before.pop(place, None)
        elif self.may(place, now=now):
            count = self.failures.get(place, 0)
            self.failures[place] = count + 1
            self.not_before[place] = now + DELAYS_MS[min(count, len(DELAYS_MS) - 1)]

    def may(self, place: Place, *, now: int) -> bool:
        """Whether a position may be tried now."""
        return now >= self.not_before.get(place, 0)

    def stuck(self, account: str) -> list[str]:
        """Symbols of an account where order after order comes to nothing."""
        return sorted(
            {
                place[1]
                for place, count in self.failures.items()
                if place[0] == account and count >= ALARM_AFTER
            }
        )

    def forget(self, account: str) -> None:
        """The account is closed, or nobody closes it any more."""
        for place in [place for place in self.failures if place[0] == account]:
            del self.failures[place]
            self.not_before.pop(place, None)
