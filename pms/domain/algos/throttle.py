"""How often algos may move their orders: a share of the exchange's order limit, and a fair one for each.

An algo that may not move waits; it does not take the room that others' orders and cancels need.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW_MS = 10_000
"""Binance counts orders in ten seconds and in a minute; who keeps to the first share keeps to the second."""

MOVES_PER_WINDOW = 100
"""A third of the 300 orders in ten seconds that an account has by default."""


@dataclass(slots=True)
class Throttle:
    """The moves of the last ten seconds, of all and by algo."""

    most: int = MOVES_PER_WINDOW
    _moves: deque[tuple[int, str]] = field(default_factory=deque)
    _by_algo: dict[str, int] = field(default_factory=dict)

    def wait_ms(self, algo_id: str, *, now: int) -> int:
        """How long an algo has to wait for its next move; zero if it need not."""
        self._forget(now)
        others = len(self._by_algo) + (algo_id not in self._by_algo)
        if len(self._moves) < self.most and self._by_algo.get(algo_id, 0) < max(1, self.most // others):
            return 0
        return max(1, self._moves[0][0] + WINDOW_MS - now)

    def note(self, algo_id: str, *, now: int) -> None:
        """Count a move."""
        self._moves.append((now, algo_id))
        self._by_algo[algo_id] = self._by_algo.get(algo_id, 0) + 1

    def _forget(self, now: int) -> None:
        while self._moves and self._moves[0][0] <= now - WINDOW_MS:
            _, algo_id = self._moves.popleft()
            left = self._by_algo[algo_id] - 1
            if left:
                self._by_algo[algo_id] = left
            else:
                del self._by_algo[algo_id]
