"""The product's log lines, for as long as a world runs: handed to whoever listens, and written nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, NoReturn

import structlog

Event = MutableMapping[str, Any]
Take = Callable[[str, Event], None]
INFO, ERROR = 20, 40


@contextmanager
def logs(judge: Take, take: Take | None = None) -> Iterator[None]:
    """Hand lines over; what was configured before is put back.

    A judge hears of errors. Lesser lines are made only where somebody takes them: they cost time.
    """
    before = structlog.get_config()

    def processor(_: object, level: str, event: Event) -> NoReturn:
        if level in ("error", "exception", "critical"):
            judge(level, event)
        if take is not None:
            take(level, event)
        raise structlog.DropEvent

    wrapper = structlog.make_filtering_bound_logger(ERROR if take is None else INFO)
    structlog.configure(processors=[processor], wrapper_class=wrapper, cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)
