"""The watchdog's judgement, pure: from what processes tell of themselves to which of them hangs.

    silent   its heartbeat stands still                             8 s; 60 s while it recovers, and for
                                                                    what does not decide orders 20 s
    deaf     messages wait and it takes none                        10 s the streamer, 20 s a worker
    idle     the clock of periodic tasks sends none                 30 s
    stuck    tasks are under way, none ends, and messages wait      120 s

Everything is measured on our own monotonic clock from the moment we first saw it so. Whenever we could
not look (Redis away or restarted, or we ourselves were stopped) all measuring begins anew: a system
that recovers together must not be killed for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pms.bus.process_id import ProcessId

SILENT_S = 20.0
SILENT_STREAMER_S = 8.0
SILENT_RECOVERING_S = 60.0
DEAF_STREAMER_S = 10.0
DEAF_WORKER_S = 20.0
STUCK_WORKER_S = 120.0
IDLE_BEAT_S = 30.0
"""A task is due each second, but by wall clock: when that goes back, none is until it is there again."""

BLIND_S = 5.0
"""A look that comes so late after the one before says that we were stopped ourselves."""

MERCY_S = 30.0
"""After a kill the part has so long to come back, whatever it looks like meanwhile."""

MOST_KILLS = 5
WITHIN_S = 600.0
"""More kills than that do not help: the fault lies elsewhere, and a person must look."""

STREAMER = "streamer"
BEAT = "beat"


@dataclass(frozen=True, slots=True)
class Beat:
    """A process's newest heartbeat."""

    process: ProcessId
    host: str
    count: int
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """One look at Redis: the heartbeats by part, and how many messages wait, by list."""

    run_id: str
    beats: Mapping[str, Beat]
    waiting: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A process to be ended, or (`hopeless`) one whose ending has not helped."""

    part: str
    process: ProcessId
    host: str
    reason: str
    hopeless: bool = False


@dataclass(slots=True)
class _Since:
    """A value, and since when it has been the same."""

    value: object
    since: float

    def lasts(self, value: object, now: float) -> float:
        if value != self.value:
            self.value, self.since = value, now
        return now - self.since


@dataclass(slots=True)
class Vigil:
    """Judges look after look. `queues` are the Celery queues by part, `inbox` the streamer's list."""

    queues: Mapping[str, Sequence[str]]
    inbox: str
    _last: dict[str, Beat] = field(default_factory=dict)
    _since: dict[tuple[str, str], _Since] = field(default_factory=dict)
    _mercy_until: dict[str, float] = field(default_factory=dict)
    _kills: dict[str, list[float]] = field(default_factory=dict)
    _run_id: str = ""
    _looked_at: float | None = None

    def blind(self) -> None:
        """A look was not possible: whatever lasted begins anew."""
        self._since.clear()

    def ended(self, part: str, *, now: float) -> None:
        """A verdict was carried out; one about a process that was gone already does not count."""
        self._kills.setdefault(part, []).append(now)

    def judge(self, look: Look, *, now: float) -> list[Verdict]:
        """Who hangs, by all that was seen so far."""
        late = self._looked_at is not None and now - self._looked_at > BLIND_S
        if late or look.run_id != self._run_id:
            self.blind()
        self._run_id, self._looked_at = look.run_id, now
        for part, beat in look.beats.items():
            known = self._last.get(part)
            if known is not None and known.process != beat.process:
                self._forget(part)
            self._last[part] = beat
        verdicts = []
        for part, beat in self._last.items():
            reason = self._fault(part, beat, look, now=now)
            if reason is not None and self._mercy_until.get(part, now) <= now:
                verdicts.append(self._condemn(part, beat, reason, now=now))
        return verdicts

    def _fault(self, part: str, beat: Beat, look: Look, *, now: float) -> str | None:
        faults = [self._silence(part, beat, now=now)]
        if part == STREAMER:
            faults.append(self._deaf_streamer(beat, look, now=now))
        if part == BEAT:
            faults.append(self._idle_beat(beat, now=now))
        faults += [self._deaf_worker(part, queue, beat, look, now=now) for queue in self.queues.get(part, ())]
        return next((fault for fault in faults if fault is not None), None)

    def _silence(self, part: str, beat: Beat, *, now: float) -> str | None:
        patience = SILENT_S
        if part == STREAMER:
            patience = SILENT_RECOVERING_S if beat.told.get("recovering") else SILENT_STREAMER_S
        for_s = self._lasts(part, "beat", beat.count, now=now)
        return f"its heartbeat has stood still for {for_s:.0f} s" if for_s >= patience else None

    def _deaf_streamer(self, beat: Beat, look: Look, *, now: float) -> str | None:
        waiting = look.waiting.get(self.inbox, 0)
        idle = not waiting or bool(beat.told.get("recovering"))
        value = None if idle else beat.told.get("heard")
        for_s = self._lasts(part=STREAMER, what="heard", value=value, now=now)
        if idle or for_s < DEAF_STREAMER_S:
            return None
        return f"it beats, but {waiting} messages wait and it has heard none for {for_s:.0f} s"

    def _idle_beat(self, beat: Beat, *, now: float) -> str | None:
        sent = beat.told.get("sent")
        for_s = self._lasts(BEAT, "sent", sent, now=now)
        if sent is None or for_s < IDLE_BEAT_S:  # one of an earlier release does not tell
            return None
        return f"it beats, but has sent no task for {for_s:.0f} s"

    def _deaf_worker(self, part: str, queue: str, beat: Beat, look: Look, *, now: float) -> str | None:
        waiting = look.waiting.get(queue, 0)
        taken, finished = beat.told.get("taken", {}).get(queue, 0), beat.told.get("finished", 0)
        active = beat.told.get("active", 0)
        state = (taken, finished) if waiting else None
        for_s = self._lasts(part, queue, state, now=now)
        if not waiting or for_s < (STUCK_WORKER_S if active else DEAF_WORKER_S):
            return None
        what = f"{active} tasks are under way and none ends" if active else "it takes none"
        return f"it beats, but {waiting} messages have waited in {queue} for {for_s:.0f} s: {what}"

    def _lasts(self, part: str, what: str, value: object, *, now: float) -> float:
        known = self._since.setdefault((part, what), _Since(value, now))
        return known.lasts(value, now)

    def _condemn(self, part: str, beat: Beat, reason: str, *, now: float) -> Verdict:
        kills = [at for at in self._kills.get(part, []) if now - at < WITHIN_S]
        self._kills[part] = kills
        self._forget(part)
        self._mercy_until[part] = now + MERCY_S
        return Verdict(part, beat.process, beat.host, reason, len(kills) >= MOST_KILLS)

    def _forget(self, part: str) -> None:
        for key in [key for key in self._since if key[0] == part]:
            del self._since[key]
