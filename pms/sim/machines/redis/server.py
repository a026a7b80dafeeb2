"""A simulated Redis server: one thread of commands, its subscribers and waiters, its lives and deaths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from pms.sim.machines.loop import Handle, Loop
from pms.sim.machines.redis import commands
from pms.sim.machines.redis.commands import Reply, number
from pms.sim.machines.redis.keyspace import Keyspace, Refusal
from pms.sim.machines.redis.scripts import Scripts

Answer = Callable[[Reply], None]
_PUSHING = frozenset((b"LPUSH", b"RPUSH", b"LMOVE"))
Words = list[bytes]


class Subscriber(Protocol):
    """A connection that hears channels."""

    def hear(self, channel: bytes, message: bytes) -> None:
        """Take a message."""

    def lost(self) -> None:
        """The connection broke."""


@dataclass(slots=True, eq=False)
class Waiter:
    """A client that blocks until a list has something."""

    words: Words
    answer: Answer
    lost: Callable[[], None]
    owner: object
    timer: Handle | None = None


class Server:
    """One server. `changed` is told each command that a client or a script ran, after it ran."""

    def __init__(self, loop: Loop, scripts: Scripts, *, began_ms: int, rng: Random) -> None:
        self._loop = loop
        self._scripts = scripts
        self._began_us = began_ms * 1000
        self._rng = rng
        self.keys = Keyspace(self.now_ms)
        self.run_id = self._new_run_id()
        self.up = True
        self.paused = False
        self.full = False
        self._written = False
        #: by the script that runs: what has begun may go on in a full one
        self.lives = 1
        self.watch: Callable[[Words, Reply], None] = _nobody
        self._stalled: list[tuple[Callable[[], None], Callable[[], None]]] = []
        self._waiters: list[Waiter] = []
        self._subscribers: dict[bytes, dict[int, Subscriber]] = {}

    def now_us(self) -> int:
        """The server's clock, µs since 1970."""
        return self._began_us + int(self._loop.now * 1_000_000)

    def now_ms(self) -> int:
        """The same in ms."""
        return self.now_us() // 1000

    # --- serving ---

    def arrive(self, work: Callable[[], None], lost: Callable[[], None]) -> None:
        """A command has come: run it, keep it while stopped, or break its connection."""
        if not self.up:
            lost()
        elif self.paused:
            self._stalled.append((work, lost))
        else:
            work()

    def execute(self, words: Words) -> Reply:
        """Run one command of a client. Raises Refusal."""
        name = words[0]
        if name == b"EVAL":
            return self._script(words)
        reply = self._plain(words)
        if name in _PUSHING:
            self._serve_waiters()
        return reply

    def _plain(self, words: Words) -> Reply:
        self.check_room(words)
        return self._run(words)

    def check_room(self, words: Words) -> None:
        """Raises Refusal where memory is full and a command needs some.

        Trap: who waited for a list already is served all the same.
        """
        if self.full and words[0] in commands.GROWS and not self._written:
            raise Refusal("OOM command not allowed when used memory > 'maxmemory'.")

    def _run(self, words: Words) -> Reply:
        reply = commands.execute(self, words)
        self.watch(words, reply)
        return reply

    def _script(self, words: Words) -> Reply:
        how_many = number(words[2])
        try:
            return self._scripts.run(words[1], words[3 : 3 + how_many], words[3 + how_many :], self._called)
        finally:
            self._written = False
            self._serve_waiters()

    def _called(self, words: Words) -> Reply:
        """Run one command of a script."""
        reply = self._plain(words)
        self._written = self._written or words[0] in commands.WRITES
        return reply

    # --- blocking ---

    def block(
        self, words: Words, *, timeout_s: float, answer: Answer, lost: Callable[[], None], owner: object
    ) -> None:
        """BLPOP, BRPOP, BLMOVE: answer at once, when there is something, or None. Raises Refusal."""
        self.check_room(words)
        waiter = Waiter(words, answer, lost, owner)
        if not self._served(waiter):
            waiter.timer = self._loop.at(self._loop.now + timeout_s, self._time_up, waiter)
            self._waiters.append(waiter)

    def forget(self, owner: object) -> None:
        """A client's connection is closed: it waits for nothing and hears nothing any more."""
        for waiter in [each for each in self._waiters if each.owner is owner]:
            self._drop(waiter)

    def _served(self, waiter: Waiter) -> bool:
        words = waiter.words
        if words[0] == b"BLMOVE":
            item = self._run([b"LMOVE", *words[1:]])
            if item is None:
                return False
            waiter.answer(item)
            return True
        pop = b"LPOP" if words[0] == b"BLPOP" else b"RPOP"
        for key in words[1:]:
            if self.keys.get(key):
                waiter.answer([key, self._run([pop, key])])
                return True
        return False

    def _serve_waiters(self) -> None:
        if not self._waiters:
            return
        for waiter in list(self._waiters):
            if self._served(waiter):
                self._drop(waiter)

    def _time_up(self, waiter: Waiter) -> None:
        if waiter in self._waiters:
            self._drop(waiter)
            waiter.answer(None)

    def _drop(self, waiter: Waiter) -> None:
        self._waiters.remove(waiter)
        if waiter.timer is not None:
            waiter.timer.cancel()

    # --- pub/sub ---

    def subscribe(self, channel: bytes, subscriber: Subscriber) -> None:
        """Deliver a channel's messages from now on."""
        self._subscribers.setdefault(channel, {})[id(subscriber)] = subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Deliver nothing any more."""
        for channel in list(self._subscribers):
            self._subscribers[channel].pop(id(subscriber), None)
            if not self._subscribers[channel]:
                del self._subscribers[channel]

    def publish(self, channel: bytes, message: bytes) -> int:
        """Deliver to all subscribers; nobody else ever hears it."""
        found = self._subscribers.get(channel)
        if not found:
            return 0
        for subscriber in list(found.values()):
            subscriber.hear(channel, message)
        return len(found)

    # --- lives ---

    def pause(self) -> None:
        """Stop serving; connections stay open."""
        self.paused = True

    def resume(self) -> None:
        """Serve what has come meanwhile, and go on."""
        self.paused = False
        stalled, self._stalled = self._stalled, []
        for work, _ in stalled:
            work()

    def stop(self) -> None:
        """Die: every connection breaks."""
        self.up = self.paused = False
        stalled, self._stalled = self._stalled, []
        for _, lost in stalled:
            lost()
        for waiter in list(self._waiters):
            self._drop(waiter)
            waiter.lost()
        subscribers, self._subscribers = self._subscribers, {}
        for line in {id(each): each for found in subscribers.values() for each in found.values()}.values():
            line.lost()

    def start(self, keys: Keyspace | None = None) -> None:
        """Live again under another run_id, with the keys as they were, or as an older file has them."""
        if keys is not None:
            self.keys = keys
        self.run_id = self._new_run_id()
        self.lives += 1
        self.up = True

    def _new_run_id(self) -> str:
        return f"{self._rng.getrandbits(160):040x}"


def _nobody(words: Words, reply: Reply) -> None:
    """Nobody looks on."""
