"""How often algos may move their orders: a share of the exchange's order limit, and everyone's turn in it.

Who may not move is given a turn, behind all that wait already, and is let alone until then: who is asked
more often, because his symbol ticks more, gets no more of it. What a turn is used for is decided when it
comes; one that is not used in time is over. No turn takes the room that others' orders and cancels need.

What guards a position (a bracket's take-profit that must shrink with it) has a share of its own: it never
waits behind those that follow the market.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW_MS = 10_000
"""Binance counts orders in ten seconds and in a minute; who keeps to the first share keeps to the second."""

LATE_MS = 1_000
"""So long a turn may be used, on a busy loop."""

MOVES_PER_WINDOW = 100
"""A third of the 300 orders in ten seconds that an account has by default."""

GUARDS_PER_WINDOW = 50


@dataclass(slots=True)
class Turns:
    """So many moves in any ten seconds, those to come included: they are given out in order."""

    most: int
    _given: deque[int] = field(default_factory=deque)
    #: when each of the last `most` was made, or may be; never falling
    _waiting: dict[str, int] = field(default_factory=dict)
    #: by algo, when its turn comes; in the order in which they were given
    _now: int = 0
    #: when it was asked last

    def wait_ms(self, algo_id: str, *, now: int) -> int:
        """How long an algo has to wait for its next move; zero if it need not."""
        self._keep_time(now)
        turn = self._waiting.get(algo_id)
        if turn is not None and now <= turn + LATE_MS:
            return max(turn - now, 0)
        self._forget(now)
        turn = self._next(now)
        if turn > now:
            self._waiting.pop(algo_id, None)
            self._waiting[algo_id] = turn
            self._give(turn)
        return turn - now

    def free(self, algo_id: str, *, now: int) -> bool:
        """Whether an algo's next move need not wait; gives no turn to one that would not use it."""
        self._keep_time(now)
        turn = self._waiting.get(algo_id)
        if turn is not None and now <= turn + LATE_MS:
            return now >= turn
        self._forget(now)
        return self._next(now) <= now

    def note(self, algo_id: str, *, now: int) -> None:
        """Count a move that need not wait."""
        self._keep_time(now)
        if self._waiting.pop(algo_id, None) is None:
            self._give(now)

    def _keep_time(self, now: int) -> None:
        """Put back with the clock what was given: else all would wait for as long as it was put back."""
        back = self._now - now
        self._now = now
        if back > LATE_MS:
            self._given = deque(at - back for at in self._given)
            self._waiting = {algo_id: turn - back for algo_id, turn in self._waiting.items()}

    def _next(self, now: int) -> int:
        """When the next may move: a window behind the one that many before it, were that used late."""
        if len(self._given) < self.most:
            return now
        return max(now, self._given[0] + LATE_MS + WINDOW_MS)

    def _give(self, at: int) -> None:
        if len(self._given) == self.most:
            self._given.popleft()
        self._given.append(at)

    def _forget(self, now: int) -> None:
        """Drop the turns that nobody used."""
        while self._waiting:
            algo_id, turn = next(iter(self._waiting.items()))
            if now <= turn + LATE_MS:
                return
            del self._waiting[algo_id]


@dataclass(slots=True)
class Throttle:
    """The moves of all algos: of those that follow the market, and of those that guard a position."""

    moves: Turns = field(default_factory=lambda: Turns(MOVES_PER_WINDOW))
    guards: Turns = field(default_factory=lambda: Turns(GUARDS_PER_WINDOW))

    def of(self, *, guards: bool) -> Turns:
        """Whose turns a move is one of."""
        return self.guards if guards else self.moves
