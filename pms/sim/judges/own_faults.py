"""Nothing fails by a fault of our own: only what a process talks to may fail it.

Whatever fails is logged and mostly made up for by somebody else: a take-over, a sweep, the next life. So
without this a fault in it, or in what stands for Redis here, shows nowhere else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import aiohttp
from redis.exceptions import RedisError

from pms.binance.errors import ExchangeError
from pms.bus.lead import NotLeading
from pms.db.errors import Unreachable
from pms.sim.logs import Event
from pms.streamer.start import CannotStart

OWN_FAULT = "nothing fails by itself"
OF_OTHERS = (RedisError, OSError, aiohttp.ClientError, ExchangeError, Unreachable, NotLeading, CannotStart)
"""What Redis, the exchange, PostgreSQL or another leader may do to us."""


@dataclass(slots=True)
class OwnFaults:
    """Looks at what is logged as an error."""

    fail: Callable[..., None]
    checked: Callable[[str], None]

    def look(self, _: str, event: Event) -> None:
        """Take one line of any process."""
        error = event.get("exc_info")
        if error is True:
            error = sys.exc_info()[1]
        if not isinstance(error, BaseException):
            return
        self.checked(OWN_FAULT)
        for each in _leaves(error):
            if not isinstance(each, OF_OTHERS):
                self.fail(OWN_FAULT, f"{event['event']}: {each!r}")


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """What a group holds, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error
