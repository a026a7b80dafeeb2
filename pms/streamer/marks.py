"""Mark prices of the followed symbols: what a torn book is held against before anyone is liquidated by it."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from pms.binance.frames import FrameError, decode_market
from pms.binance.market_messages import MarkPrice
from pms.binance.streams import MarketStream
from pms.domain.desk import Desk, Mark

log = structlog.get_logger()


class Marks:
    """Keeps `desk.marks`; a mark that comes no more grows old and does not count."""

    def __init__(self, desk: Desk, *, now_ms: Callable[[], int]) -> None:
        self._desk = desk
        self._now_ms = now_ms
        self.stream: MarketStream
        self.bad_frames = 0

    def follow(self, symbol: str) -> None:
        """Want a symbol's mark price."""
        self.stream.subscribe([f"{symbol.lower()}@markPrice@1s"])

    def frame(self, raw: bytes) -> None:
        """Take one frame; a malformed one is counted and skipped."""
        try:
            update = decode_market(raw)
        except FrameError as error:
            self.bad_frames += 1
            log.warning("bad_mark_frame", error=str(error))
            return
        if isinstance(update, MarkPrice) and update.mark > 0:
            self._desk.marks[update.symbol] = Mark(update.mark, self._now_ms())
