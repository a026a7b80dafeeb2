"""What goes wrong in one seed: every kind of fault, and the plan drawn before anything runs.

A fault on a line arms a rule that hits the next message that fits; the others happen at their time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from pms.contract.names import Queue
from pms.sim.machines.bad_answers import GATEWAY

FAULTS = 8
LEAST = 5
"""So many faults each seed takes; reserves make up for rules that nothing met."""
BEGIN_MS, LENGTH_MS = 300, 3300
RESERVES_MS = 3600
CALM_MS = 4600
HOUSES = 0.5
BEHIND_MS = 300
"""A jump is heard of within a tenth of a second; what it sets off takes some more."""
"""From here on nothing goes wrong any more."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong: `target` is a process, a queue or a line, `word` what a message must say."""

    at_ms: int
    kind: str
    target: str = ""
    word: str = ""
    ms: int = 0
    steps: int = 0

    def __str__(self) -> str:
        parts = [f"{self.at_ms} ms {self.kind}", self.target, self.word and f"“{self.word}”"]
        parts += [f"{self.ms} ms" if self.ms else "", f"{self.steps} steps" if self.steps else ""]
        return " ".join(part for part in parts if part)


Draw = Callable[[Random, str, int], Fault]
PLACE, ANY = "POST /fapi/v1/order", ""
BATCH, AMEND = "POST /fapi/v1/batchOrders", "PUT /fapi/v1/order"


def _rest(rng: Random, kind: str, at_ms: int) -> Fault:
    target = rng.choices(("orders", "streamer", "urgent"), (6, 4, 1))[0]
    word = PLACE
    if target == "urgent":
        word = "DELETE"
    elif target == "streamer":
        word = rng.choice(
            (ANY, "GET /fapi/v1/order", "userTrades", "listenKey", "openOrders", "DELETE", "depth")
        )
    return Fault(at_ms, kind, target, word, ms=rng.choice((400, 1500, 2500, 3500, 4500)))


def _private(rng: Random, kind: str, at_ms: int) -> Fault:
    word = rng.choice((ANY, '"x":"TRADE"', '"x":"NEW"', '"X":"FILLED"', '"x":"CANCELED"', "ACCOUNT_UPDATE"))
    return Fault(at_ms, kind, "private", word, ms=rng.choice((5, 40, 300, 2000)))


def _half_open(rng: Random, kind: str, at_ms: int) -> Fault:
    """For longer, too, than a funding waits for trades that are told late."""
    return replace(_private(rng, kind, at_ms), ms=rng.choice((40, 300, 2000, 8000, 14000)))


def _public(rng: Random, kind: str, at_ms: int) -> Fault:
    return Fault(at_ms, kind, "public", ms=rng.choice((60, 250, 2000)))


def _line(rng: Random, kind: str, at_ms: int) -> Fault:
    target = rng.choices(("streamer", "orders", "world", "urgent", "ledger", "schedule"), (6, 5, 2, 1, 1, 1))[
        0
    ]
    words = {
        "streamer": ("journal", "journal", "answer", "claim", "take_right", "BLPOP", "LPOP", "lead", ANY),
        "orders": ("take_right", "take_right", "RPUSH pms:inbox", "HGETALL", "settle", "submit", "BRPOP"),
        "world": ("submit", "HGET", "SUBSCRIBE"),
        "urgent": (ANY, "HGET"),
        "ledger": ("XRANGE", "script", ANY),
        "schedule": ("settle", ANY),
    }[target]
    return Fault(at_ms, kind, target, rng.choice(words))


def _unheard(rng: Random, kind: str, at_ms: int) -> Fault:
    target = rng.choice(("orders", "world"))
    return Fault(at_ms, kind, target, "message pms:decided" if target == "orders" else "message pms:result")


def _server(rng: Random, kind: str, at_ms: int) -> Fault:
    return Fault(at_ms, kind, ms=rng.choice((60, 300, 900, 2500)))


def _tail(rng: Random, kind: str, at_ms: int) -> Fault:
    return Fault(at_ms, kind, ms=rng.randrange(50, 1000))


def _queue(rng: Random, kind: str, at_ms: int) -> Fault:
    queues = (Queue.COMMANDS, "pms:inbox", Queue.URGENT, Queue.LEDGER, Queue.SCHEDULE)
    target = rng.choices(queues, (8, 6, 2, 2, 1))[0]
    return Fault(at_ms, kind, target, ms=rng.choice((30, 400, 2500, 7000)))


def _process(rng: Random, kind: str, at_ms: int) -> Fault:
    names = ("streamer", "orders", "urgent", "ledger", "schedule", "bridge")
    target = rng.choices(names, (6, 6, 1, 1, 1, 1))[0]
    spans = (60, 300, 1200, 3000, 5500)
    return Fault(at_ms, kind, target, ms=rng.choice(spans), steps=rng.choice((0, 0, rng.randrange(1, 80))))


def _usurped(rng: Random, kind: str, at_ms: int) -> Fault:
    return Fault(at_ms, kind, "streamer", ms=rng.choice((300, 1500, 2500)))


def _database(rng: Random, kind: str, at_ms: int) -> Fault:
    return Fault(at_ms, kind, "postgres", ms=rng.choice((200, 1000, 2500)))


def _clock(rng: Random, kind: str, at_ms: int) -> Fault:
    target = rng.choice(("orders", "streamer", "exchange"))
    return Fault(at_ms, kind, target, ms=rng.choice((-1, 1)) * rng.choice((300, 1200, 4000)))


def _plain(rng: Random, kind: str, at_ms: int) -> Fault:
    return Fault(at_ms, kind, ms=rng.choice((500, 3000)))


def _reads(rng: Random, kind: str, at_ms: int) -> Fault:
    return Fault(at_ms, kind, "exchange", ms=rng.choice((100, 600, 1500, 2500)))


_REST = (
    "rest_refused",
    "rest_lost_before",
    "rest_lost_after",
    "rest_hangs_before",
    "rest_hangs_after",
    "rest_late",
    "rest_slow",
    "rest_throttled",
    "rest_banned",
    *GATEWAY,
)
KINDS: dict[str, tuple[Draw, float]] = {
    **dict.fromkeys(_REST, (_rest, 0.5)),
    "ws_cut": (_private, 1.0),
    "ws_silent": (_half_open, 0.7),
    "ws_lost": (_private, 1.5),
    "ws_twice": (_private, 1.0),
    "ws_late": (_private, 1.5),
    "market_cut": (_public, 0.7),
    "market_lost": (_public, 0.7),
    "market_silent": (_public, 0.3),
    "listen_key_expired": (_plain, 0.5),
    "open_orders_hidden": (_plain, 0.7),
    "redis_lost_before": (_line, 1.5),
    "redis_lost_after": (_line, 2.0),
    "redis_message_lost": (_unheard, 0.7),
    "redis_paused": (_server, 0.8),
    "redis_restarted": (_server, 0.8),
    "redis_tail_lost": (_tail, 0.8),
    "redis_emptied": (_server, 0.3),
    "redis_full": (_server, 0.4),
    "queue_never": (_queue, 1.0),
    "queue_twice": (_queue, 1.0),
    "queue_late": (_queue, 1.0),
    "queue_reordered": (_queue, 0.7),
    "killed": (_process, 3.0),
    "paused": (_process, 2.0),
    "usurped": (_usurped, 0.3),
    "postgres_away": (_database, 0.5),
    "commit_lost_before": (_database, 0.3),
    "commit_lost_after": (_database, 0.5),
    "clock_skewed": (_clock, 0.8),
    "reads_late": (_reads, 0.0),
}
"""Every kind of fault: how it is drawn, and how often; with 0 it is drawn apart."""

BESIDE = 0.4
"""In so many seeds something more goes wrong, of what is drawn apart."""

_SURE = "listen_key_expired"
_RESERVES = ("ws_cut", "market_cut", "killed", "paused", _SURE)


def draw(seed: int, *, only: str | None = None, shaken: Sequence[int] = ()) -> list[Fault]:
    """The faults of a seed, by time; `only` narrows to the kinds that begin so.

    `shaken` are the times, ms, at which prices jump: half of the faults come right behind one of them,
    and some placements that suffer are the house's.
    """
    rng = Random(f"{seed}:faults")
    kinds = [kind for kind in KINDS if only is None or kind.startswith(only)]
    weights = [KINDS[kind][1] or float(only is not None) for kind in kinds]
    if not kinds:
        raise ValueError(f"no kind of fault begins with {only!r}")
    chosen = rng.choices(kinds, weights, k=FAULTS)
    times = [BEGIN_MS + rng.randrange(LENGTH_MS) for _ in chosen]
    early = [at_ms for at_ms in shaken if at_ms < RESERVES_MS]
    if early:
        times[::2] = [rng.choice(early) + rng.randrange(BEHIND_MS) for _ in times[::2]]
    times.sort()
    plan = [KINDS[kind][0](rng, kind, at_ms) for kind, at_ms in zip(chosen, times, strict=True)]
    if not early:
        return plan
    return [
        replace(fault, target="urgent") if fault.word == PLACE and rng.random() < HOUSES else fault
        for fault in plan
    ]


def beside(seed: int) -> list[Fault]:
    """What befalls whom no other fault reaches; nothing in most seeds. All else of a seed stays as it is."""
    rng = Random(f"{seed}:beside")
    if rng.random() >= BESIDE:
        return []
    times = sorted(BEGIN_MS + rng.randrange(LENGTH_MS) for _ in range(rng.randrange(1, 4)))
    return [rng.choice(_BESIDE)(rng, at_ms) for at_ms in times]


def _of_orders(rng: Random, at_ms: int) -> Fault:
    kind = rng.choice(("queue_never", "queue_twice", "queue_late", "queue_reordered"))
    target = rng.choice((Queue.ORDERS, Queue.ORDERS, Queue.RECON))
    return Fault(at_ms, kind, target, ms=rng.choice((30, 400, 2500, 7000)))


def _of_marks(rng: Random, at_ms: int) -> Fault:
    kind = rng.choice(("market_cut", "market_lost", "market_silent"))
    return Fault(at_ms, kind, "market", ms=rng.choice((60, 250, 2000)))


def _of_beat(rng: Random, at_ms: int) -> Fault:
    return Fault(at_ms, rng.choice(("killed", "paused")), "beat", ms=rng.choice((300, 1200, 5500)))


def _of_lines(rng: Random, at_ms: int) -> Fault:
    kind = rng.choice(("redis_lost_before", "redis_lost_after"))
    return Fault(at_ms, kind, rng.choice(("bridge", "beat")), rng.choice((ANY, "LREM", "submit", "LPUSH")))


_BESIDE: tuple[Callable[[Random, int], Fault], ...] = (
    lambda rng, at_ms: _reads(rng, "reads_late", at_ms),
    lambda rng, at_ms: _reads(rng, "reads_late", at_ms),
    _of_orders,
    _of_orders,
    _of_marks,
    _of_beat,
    _of_lines,
)


def spread(seed: int, plan: Sequence[Fault]) -> list[Fault]:
    """Let some of what befalls an order befall a batch or an amendment instead."""
    rng = Random(f"{seed}:spread")
    return [
        replace(fault, word=rng.choice((PLACE, BATCH, AMEND)))
        if (fault.word, fault.target) == (PLACE, "orders")
        else fault
        for fault in plan
    ]


def reserves(seed: int, *, only: str | None = None) -> list[Fault]:
    """Faults that need no message to hit, for a seed whose rules met too few; the last of them always do."""
    rng = Random(f"{seed}:reserves")
    kinds = [kind for kind in _RESERVES if only is None or kind.startswith(only)] or list(_RESERVES[2:4])
    chosen = rng.choices(kinds, k=2 * LEAST) + [_SURE] * LEAST * (only is None)
    return [KINDS[kind][0](rng, kind, RESERVES_MS) for kind in chosen]
