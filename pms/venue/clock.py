"""The venue's time, which all that is kept in the order of its time relies on."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)


def forward_clock(newest: int = 0) -> Callable[[], int]:
    """Milliseconds since the epoch that never step back, whatever the system clock does.

    Where that is behind the `newest` time that is remembered, time goes on from there, a hundredth slower,
    until the system's has caught up: were it to stand still, no request would be in time for as long.
    """
    last = newest
    begun, behind = time.monotonic_ns(), newest - time.time_ns() // 1_000_000

    def now() -> int:
        nonlocal last
        last = max(last, time.time_ns() // 1_000_000)
        return last

    def ahead() -> int:
        nonlocal last
        last = max(
            last, newest + (time.monotonic_ns() - begun) * 99 // 100_000_000, time.time_ns() // 1_000_000
        )
        return last

    if behind <= 0:
        return now
    log.warning("venue.system_clock_behind", milliseconds=behind)
    return ahead
