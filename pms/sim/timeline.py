"""A seed told step by step: faults, lives and logs, and whatever concerns the orders in question."""

from __future__ import annotations

from collections.abc import Sequence

from pms.sim.faults import Fault
from pms.sim.judges.invariants import Violation
from pms.sim.logs import Event
from pms.sim.machines.redis.commands import Reply
from pms.sim.machines.redis.server import Words
from pms.sim.run import Outcome, run
from pms.sim.world import World
from pms.venue.rest.dispatch import Answer, Asked

WIDTH = 230
_READS = frozenset((b"HMGET", b"HGETALL", b"EXPIRE", b"PUBLISH", b"TIME", b"INFO", b"ZREM"))
_CHATTER = frozenset(("decisions_interrupted", "rate_budget_unreachable", "price_not_written"))


class Timeline:
    """Lines of one run."""

    def __init__(self, subjects: Sequence[str]) -> None:
        self.lines: list[str] = []
        self._subjects = [subject.encode() for subject in subjects if subject]
        self._world: World | None = None

    def attach(self, world: World) -> None:
        """Look on at everything of a world that is about to run."""
        self._world = world
        looked, asked = world.server.watch, world.exchange.asked

        def watch(words: Words, reply: Reply) -> None:
            text = b" ".join(words)
            if words[0] not in _READS and self._concerns(text):
                self.note("redis", f"{text.decode(errors='replace')} → {str(reply)[:40]}")
            looked(words, reply)

        def answer(request: Asked, given: Answer) -> None:
            text = f"{request.query}{request.body}".encode()
            if self._concerns(text):
                told = given.body[:120].decode(errors="replace")
                self.note("rest", f"{request.method} {request.path} → {given.status} {told}")
            asked(request, given)

        world.server.watch, world.exchange.asked = watch, answer
        world.network.heard = self._heard

    def note(self, kind: str, text: str) -> None:
        """Add a line."""
        if self._world is not None and not self._world.loop.over:
            self.lines.append(f"{self._world.loop.now:9.4f} {kind:6} {text}"[:WIDTH])

    def log(self, level: str, event: Event) -> None:
        """Add a line of the product's own log."""
        if self._world is None or self._world.loop.over or event.get("event") in _CHATTER:
            return
        fields = " ".join(
            f"{name}={value}" for name, value in event.items() if name not in ("event", "level")
        )
        self.note("log", f"{self._world.loop.in_process()} {event['event']} {fields}")

    def _heard(self, line: str, payload: bytes) -> None:
        if self._concerns(payload):
            self.note("frame", f"{line} {payload[:180].decode(errors='replace')}")

    def _concerns(self, text: bytes) -> bool:
        return any(subject in text for subject in self._subjects)


def tell(
    seed: int,
    plan: Sequence[Fault] | None,
    violation: Violation | None,
    *,
    storms: bool | None = None,
) -> tuple[Outcome, list[str]]:
    """Run a seed again and write down what happened to what the violation is about."""
    timeline = Timeline(violation.subjects if violation else ())
    outcome = run(
        seed,
        plan=plan,
        storms=storms,
        note=timeline.note,
        started=timeline.attach,
        logged=timeline.log,
    )
    return outcome, timeline.lines
