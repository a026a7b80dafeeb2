"""Doing the faults of a plan: each at its time, and all of them undone when it is calm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from pms.sim.faults import CALM_MS, LEAST, Fault
from pms.sim.judges.invariants import Invariants
from pms.sim.machines.exchange import ACCOUNT
from pms.sim.machines.loop import Process
from pms.sim.machines.network import Rule
from pms.sim.machines.redis.commands import Reply
from pms.sim.machines.redis.keyspace import Keyspace
from pms.sim.machines.redis.server import Words
from pms.sim.world import World

LEASE_S = 6.2
MAKE_UP_EVERY_S = 0.06
FORGETFUL_MS = 14_000
_PUSHES = (b"LPUSH", b"RPUSH")
_SLOWS_ANSWERS = ("redis_", "queue_", "killed", "paused", "postgres", "commit")


class Injector:
    """The faults of one seed."""

    def __init__(self, world: World, invariants: Invariants, plan: list[Fault], spare: list[Fault]) -> None:
        self._world = world
        self._invariants = invariants
        self.planned = bool(plan or spare)
        self.taken: Counter[str] = Counter()
        self.disturbed_until_s = 0.0
        self._looked = world.server.watch
        world.server.watch = self._watch
        self._spare = list(spare)
        self.used: list[Fault] = list(plan)
        self._rules: list[tuple[Rule, str]] = []
        loop = world.loop
        for fault in plan:
            if fault.kind == "redis_tail_lost":
                loop.at(max(0.0, (fault.at_ms - fault.ms) / 1000), self._remember, fault)
            loop.at(fault.at_ms / 1000, self._do, fault)
        if spare:
            loop.at(spare[0].at_ms / 1000, self._make_up)
        loop.at(CALM_MS / 1000, self._calm)
        self._kept: dict[Fault, Keyspace] = {}

    def _make_up(self) -> None:
        """Too few rules have met a message: something goes wrong by itself, one thing after the other."""
        if self.count() >= LEAST or not self._spare:
            return
        loop = self._world.loop
        fault = replace(self._spare.pop(0), at_ms=round(loop.now * 1000))
        self.used.append(fault)
        self._do(fault)
        loop.at(loop.now + MAKE_UP_EVERY_S, self._make_up)

    def count(self) -> int:
        """How many faults were taken so far."""
        return sum(self.taken.values()) + sum(rule.spent for rule, _ in self._rules)

    def kinds(self) -> Counter[str]:
        """How many of each kind were taken."""
        return self.taken + Counter(kind for rule, kind in self._rules if rule.spent)

    def _do(self, fault: Fault) -> None:
        if fault.kind.startswith(_SLOWS_ANSWERS):
            self._disturb(fault.ms)
        act = _ACTS.get(fault.kind)
        if act is None:
            self._arm(fault)
            return
        self._world.note("fault", str(fault))
        if act(self, fault):
            self.taken[fault.kind] += 1

    def _disturb(self, ms: int) -> None:
        until = self._world.loop.now + ms / 1000
        self.disturbed_until_s = max(self.disturbed_until_s, until)

    def _arm(self, fault: Fault) -> None:
        line, kind = f"{_line_of(fault)}", fault.kind
        kind = kind.replace("market_", "ws_") if kind.startswith("market_") else kind
        rule = self._world.network.arm(Rule(line, kind, fault.word, fault.ms))
        self._rules.append((rule, fault.kind))

    def _calm(self) -> None:
        world = self._world
        world.note("fault", "from here on nothing goes wrong")
        world.network.disarm()
        world.venue_faults_over()

    # --- processes ---

    def _kill(self, fault: Fault) -> bool:
        process = self._world.living.get(fault.target)
        if process is None or not process.alive:
            return False
        if fault.steps:
            process.doom = fault.steps
        else:
            self._world.loop.kill(process)
        return True

    def _pause(self, fault: Fault) -> bool:
        world, process = self._world, self._world.living.get(fault.target)
        if process is None or not process.alive or process.paused:
            return False
        world.loop.pause(process)
        world.loop.at(world.loop.now + fault.ms / 1000, world.loop.resume, process)
        return True

    def _usurp(self, fault: Fault) -> bool:
        """A streamer sleeps until another leads, and wakes beside it."""
        world, old = self._world, self._world.living["streamer"]
        if not old.alive or old.paused:
            return False
        loop, wakes = world.loop, world.loop.now + LEASE_S + fault.ms / 1000
        loop.pause(old)
        loop.at(loop.now + LEASE_S - 0.5, self._succeed, old)
        loop.at(wakes, loop.resume, old)
        loop.at(wakes + 1.0, loop.kill, old)
        return True

    def _succeed(self, old: Process) -> None:
        """Start a second streamer beside a sleeping one, unless that one has died meanwhile."""
        if old.alive and self._world.living["streamer"] is old:
            self._world.start("streamer")

    # --- servers ---

    def _pause_redis(self, fault: Fault) -> bool:
        server, loop = self._world.server, self._world.loop
        if not server.up or server.paused:
            return False
        server.pause()
        loop.at(loop.now + fault.ms / 1000, self._resume_redis)
        return True

    def _resume_redis(self) -> None:
        if self._world.server.paused:
            self._world.server.resume()

    def _fill_redis(self, fault: Fault) -> bool:
        server, loop = self._world.server, self._world.loop
        if server.full:
            return False
        server.full = True
        loop.at(loop.now + fault.ms / 1000, self._make_room)
        return True

    def _make_room(self) -> None:
        self._world.server.full = False

    def _restart_redis(self, fault: Fault) -> bool:
        return self._end_redis(fault.ms, None)

    def _remember(self, fault: Fault) -> None:
        self._kept[fault] = self._world.server.keys.copy()

    def _lose_tail(self, fault: Fault) -> bool:
        return self._end_redis(60, self._kept.pop(fault))

    def _empty_redis(self, fault: Fault) -> bool:
        return self._end_redis(fault.ms, Keyspace(self._world.server.now_ms))

    def _end_redis(self, ms: int, keys: Keyspace | None) -> bool:
        server, loop = self._world.server, self._world.loop
        if not server.up:
            return False
        server.stop()
        loop.at(loop.now + ms / 1000, self._start_redis, keys)
        return True

    def _start_redis(self, keys: Keyspace | None) -> None:
        self._world.server.start(keys)
        # What a Redis may have forgotten is answered only once the exchange would have told of it.
        self._disturb(FORGETFUL_MS)
        self._world.note("life", f"redis lives again{', without its tail' if keys else ''}")
        if keys is not None:
            # What was lost once does not come back with the next loss.
            self._kept = {fault: self._world.server.keys.copy() for fault in self._kept}
            self._invariants.forget_lost()

    def _database_away(self, fault: Fault) -> bool:
        books, loop = self._world.books, self._world.loop
        books.up = False
        loop.at(loop.now + fault.ms / 1000, self._database_back)
        return True

    def _database_back(self) -> None:
        self._world.books.up = True

    # --- the exchange ---

    def _expire_key(self, fault: Fault) -> bool:
        self._world.exchange.venue.keys.expire_now(ACCOUNT)
        return True

    def _hide(self, fault: Fault) -> bool:
        faults, loop = self._world.exchange.venue.faults, self._world.loop
        faults.add({"kind": "hide_open_order", "count": -1})
        loop.at(loop.now + fault.ms / 1000, self._world.venue_faults_over)
        return True

    def _lag(self, fault: Fault) -> bool:
        """Queries of orders and trades are answered as they were a while ago, until nothing goes wrong."""
        faults = self._world.exchange.venue.faults
        faults.add({"kind": "stale_reads", "ms": fault.ms, "count": -1})
        return True

    def _skew(self, fault: Fault) -> bool:
        if fault.target == "exchange":
            # Ahead only: the exchange's clock never runs backwards.
            self._world.exchange.skew_ms += abs(fault.ms)
        else:
            self._world.skews[fault.target] = fault.ms
        return True

    # --- deliveries ---

    def _watch(self, words: Words, reply: Reply) -> None:
        self._looked(words, reply)
        if words[0] in _PUSHES and self._world.network.rules:
            self._deliver(words)

    def _deliver(self, words: Words) -> None:
        """A message was pushed: once, never, twice, late or out of order."""
        key = words[1]
        rule = self._world.network.strike(f"queue:{key.decode()}", "message")
        if rule is None:
            return
        server, loop = self._world.server, self._world.loop
        items: list[bytes] = server.keys.made(key, list)
        newest = 0 if words[0] == b"LPUSH" else len(items) - 1
        message: bytes = items.pop(newest)
        if rule.kind == "queue_twice":
            items.insert(newest, message)
            items.insert(newest, message)
        elif rule.kind == "queue_reordered":
            items.insert(0 if newest else len(items), message)
        elif rule.kind == "queue_late":
            again = [words[0], key, message]
            loop.at(loop.now + rule.ms / 1000, self._push_again, again)
        server.keys.drop_empty(key)

    def _push_again(self, words: Words) -> None:
        server = self._world.server
        if server.up and not server.full:
            server.execute(words)


Act = Callable[[Injector, Fault], bool]
_ACTS: dict[str, Act] = {
    "killed": Injector._kill,
    "paused": Injector._pause,
    "usurped": Injector._usurp,
    "redis_paused": Injector._pause_redis,
    "redis_full": Injector._fill_redis,
    "redis_restarted": Injector._restart_redis,
    "redis_tail_lost": Injector._lose_tail,
    "redis_emptied": Injector._empty_redis,
    "postgres_away": Injector._database_away,
    "listen_key_expired": Injector._expire_key,
    "open_orders_hidden": Injector._hide,
    "clock_skewed": Injector._skew,
    "reads_late": Injector._lag,
}


def _line_of(fault: Fault) -> str:
    kind = fault.kind
    if kind.startswith("rest_"):
        return f"rest:{fault.target}"
    if kind.startswith(("ws_", "market_")):
        return f"ws:{fault.target}"
    if kind.startswith("redis_"):
        return f"redis:{fault.target}"
    return f"queue:{fault.target}" if kind.startswith("queue_") else fault.target
