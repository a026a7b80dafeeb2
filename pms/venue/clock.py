"""The venue's time, which all that is kept in the order of its time relies on."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)
TOLD_MS = 100


def forward_clock(newest: int = 0) -> Callable[[], int]:
    """Milliseconds since the epoch that never step back, whatever the system clock does.

    Where that is behind the `newest` time that is remembered, or is put back later, time goes on from there,
    a hundredth slower, until the system's has caught up: were it to stand still, no request would be in
    time, no limit would end and no countdown fire for as long.
    """
    last = since = newest
    begun = time.monotonic_ns()
    told = False

    def now() -> int:
        nonlocal last, since, begun, told
        system, passed = time.time_ns() // 1_000_000, time.monotonic_ns()
        # Reckoned from where it left the system's: steps from call to call would each come to no millisecond.
        ahead = max(last, since + (passed - begun) * 99 // 100_000_000)
        if system >= ahead:
            last = since = system
            begun, told = passed, False
        else:
            last = ahead
            if not told and last - system >= TOLD_MS:
                told = True
                log.warning("venue.system_clock_behind", milliseconds=last - system)
        return last

    now()
    return now
