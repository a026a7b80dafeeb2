"""What this worker takes and finishes, counted for its heartbeat.

Trap: a worker can look alive for ever and take no more messages once its Redis connection has been lost
and found (celery/celery #8030). Its heartbeat comes from another thread, so only these counts tell.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from celery.signals import task_postrun, task_prerun, task_received


class Consumption:
    """Counts messages by queue, and tasks under way and finished; its signals come from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()
        self._begun = 0
        self._finished = 0

    def count(self) -> None:
        """Count from now on."""
        task_received.connect(self._received, weak=False)
        task_prerun.connect(self._begins, weak=False)
        task_postrun.connect(self._ends, weak=False)

    def progress(self) -> dict[str, Any]:
        """What the heartbeat tells: messages taken by queue, tasks finished, tasks under way."""
        with self._lock:
            return {
                "taken": dict(self._taken),
                "finished": self._finished,
                "active": self._begun - self._finished,
            }

    def _received(self, request: Any = None, **_: Any) -> None:
        queue = (getattr(request, "delivery_info", None) or {}).get("routing_key") or ""
        with self._lock:
            self._taken[queue] += 1

    def _begins(self, **_: Any) -> None:
        with self._lock:
            self._begun += 1

    def _ends(self, **_: Any) -> None:
        with self._lock:
            self._finished += 1
