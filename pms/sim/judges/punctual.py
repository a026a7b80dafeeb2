"""Every command is answered by its deadline and a second."""

from __future__ import annotations

from dataclasses import dataclass, field

from pms.contract.names import EPOCH
from pms.sim.judges.answers import ON_THE_EXCHANGE
from pms.sim.judges.invariants import Invariants
from pms.sim.world import World
from pms.streamer.user_feed import READ_AGAIN_S

IN_TIME = "answered in time"
LATE_S = 3.2
"""An answer may be later than its deadline and a second by the sweep's period, and a moment."""


@dataclass(slots=True)
class Punctual:
    """Looks, again and again, for who waits longer than he was promised."""

    world: World
    invariants: Invariants
    _led_from_s: float = field(default=0.0)
    """Since when a streamer leads without a break; one that sleeps leads nobody."""
    _known_from_s: float = field(default=0.0)
    """Since when all is known of this life of Redis, by a streamer's word: before it nobody else may deny."""
    _first_redis: str = field(init=False)

    def __post_init__(self) -> None:
        self._first_redis = self.world.server.run_id

    def look(self, *, disturbed_until_s: float) -> None:
        """Judge all who wait. What slows answers down themselves is not held against them."""
        now, invariants = self.world.loop.now, self.invariants
        streamer, asleep = self.world.streamer, self.world.living["streamer"].paused
        if streamer is None or asleep or streamer._engine.gate.closed_because is not None:
            self._led_from_s = now
        if not self._all_known():
            self._known_from_s = now
        for asked in self.world.gateway.unanswered():
            if asked.request_id in invariants.answered_s:
                continue
            invariants.checked[IN_TIME] += 1
            due = max((asked.recorded_s or 0.0) + asked.ttl_ms / 1000 + 1.0, disturbed_until_s)
            due = max(due, self._known_from_s)
            if asked.command not in ON_THE_EXCHANGE or self.world.server.run_id != self._first_redis:
                # Who has claimed it moves money at once, so nobody else may say what became of it; nor may
                # anybody deny a decision that Redis may have forgotten.
                due = max(due, self._led_from_s)
            if self.world.server.run_id != self._first_redis:
                due += READ_AGAIN_S
            if now > due + LATE_S:
                invariants.fail(IN_TIME, f"{asked.request_id} has no answer", asked.request_id)

    def _all_known(self) -> bool:
        server = self.world.server
        epoch = server.keys.of_kind(EPOCH.encode(), dict) or {}
        return epoch.get(b"known") == server.run_id.encode()
