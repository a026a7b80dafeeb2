"""Which streams a path may carry (USDⓈ-M docs, routed WebSocket paths of 2026).

A stream asked for on the wrong route is acknowledged and stays silent, without error: the trap that
clients of the real exchange fell into.
"""

from __future__ import annotations

from enum import Enum


class Route(Enum):
    """The first part of a WebSocket path; UNROUTED is the retired form without one."""

    PUBLIC = "public"
    MARKET = "market"
    PRIVATE = "private"
    UNROUTED = ""

    def carries(self, stream: str) -> bool:
        """Whether market data of this stream is pushed here."""
        if self is Route.PRIVATE:
            return False
        return (self is Route.MARKET) == _is_market(stream)


def _is_market(stream: str) -> bool:
    kind = stream.partition("@")[2]
    if stream.startswith("!"):
        return not stream.startswith("!bookTicker")
    return not kind.startswith(("depth", "bookTicker", "trade", "rpiDepth"))
