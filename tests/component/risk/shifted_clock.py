"""The machine's clock, which a test may set ahead."""

from __future__ import annotations

from time import time_ns


class Clock:
    """Milliseconds since 1970."""

    ahead_ms = 0

    def __call__(self) -> int:
        return time_ns() // 1_000_000 + self.ahead_ms
