"""What a process makes once, whichever of its threads asks first; what could not be made is made anew.

Trap: `functools.cache` alone lets two threads make it at the same time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache, wraps
from typing import TypeVar

T = TypeVar("T")


def once(make: Callable[[], T]) -> Callable[[], T]:
    """Make it on first use; who asks meanwhile waits for it."""
    lock, made = threading.RLock(), cache(make)

    @wraps(make)
    def get() -> T:
        with lock:
            return made()

    return get
