"""Depth diffs of one symbol, each stream its own chain: pu is exactly the u before it.

Update ids are one count over all symbols. A snapshot takes an id for itself, so it always lies inside the
[U, u] of the next diff, and U is never u + 1 of the one before: as on the real feed, only pu chains.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from pms.venue.faults import Faults
from pms.venue.feeds.hub import Hub
from pms.venue.market import Market
from pms.venue.symbols import Symbol

# Milliseconds over which a stream gathers changes
INTERVALS: Final = {
    "depth@0ms": 0,
    "depth@100ms": 100,
    "depth": 250,
    "depth@250ms": 250,
    "depth@500ms": 500,
}
PARTIAL_LEVELS: Final = (5, 10, 20)
PARTIAL_INTERVALS: Final = {
    f"depth{levels}{suffix}": (levels, interval)
    for levels in PARTIAL_LEVELS
    for suffix, interval in (("", 250), ("@100ms", 100), ("@250ms", 250), ("@500ms", 500), ("@0ms", 0))
}
Changes = list[tuple[int, int]]
encode = msgspec.json.Encoder().encode


class UpdateIds:
    """The venue-wide count of book updates."""

    def __init__(self, last: int) -> None:
        self.last = last

    def take(self, count: int = 1) -> int:
        """Use up ids; returns the last of them."""
        self.last += count
        return self.last


class _Chain:
    """What one stream has not sent yet, and where its chain stands."""

    __slots__ = ("asks", "bids", "dirty", "first", "interval", "levels", "previous")

    def __init__(self, interval: int, levels: int, ids: UpdateIds) -> None:
        self.interval = interval
        self.levels = levels
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.dirty = False
        self.previous = ids.take()
        self.first = ids.take(2)


class DepthFeed:
    """All depth streams of one symbol that somebody listens to."""

    def __init__(
        self,
        market: Market,
        *,
        hub: Hub,
        ids: UpdateIds,
        faults: Faults,
        clock: Callable[[], int],
    ) -> None:
        self.market = market
        # A replayed symbol sends each recorded diff as one diff, on every stream alike
        self.unmerged = False
        self._hub = hub
        self._ids = ids
        self._faults = faults
        self._clock = clock
        self._chains: dict[str, _Chain] = {}
        self._on_subscribed: Callable[[], None] | None = None
        self._on_snapshot: Callable[[], None] | None = None

    def watch(self, *, subscribed: bool, then: Callable[[], None]) -> None:
        """Call `then` at the next subscription of a diff stream, or else at a snapshot taken after one."""
        if subscribed:
            self._on_subscribed = then
        else:
            self._on_snapshot = then

    def open(self, kind: str) -> None:
        """Begin a chain; `kind` is the stream's name behind the symbol. Other kinds are ignored."""
        if kind in INTERVALS:
            self._chains[kind] = _Chain(INTERVALS[kind], 0, self._ids)
            if self._on_subscribed is not None:
                self._on_subscribed()
        elif kind in PARTIAL_INTERVALS:
            levels, interval = PARTIAL_INTERVALS[kind]
            self._chains[kind] = _Chain(interval, levels, self._ids)

    def close(self, kind: str) -> None:
        """End a chain that nobody listens to."""
        self._chains.pop(kind, None)

    @property
    def listened(self) -> bool:
        """Whether any diff stream of this symbol has a subscriber."""
        return any(chain.levels == 0 for chain in self._chains.values())

    def changed(self, bids: Changes, asks: Changes, *, time: int) -> None:
        """Take the changes of one transaction; streams that do not gather send them at once."""
        dropped: bool | None = None
        for kind, chain in self._chains.items():
            chain.bids.update(bids)
            chain.asks.update(asks)
            chain.dirty = True
            if self.unmerged or chain.interval == 0:
                if dropped is None:
                    dropped = self._lost()
                self._send(kind, chain, time=time, dropped=dropped)

    def flush(self, interval: int, *, time: int) -> None:
        """Send what the streams of this interval have gathered."""
        for kind, chain in self._chains.items():
            if chain.interval == interval and chain.dirty:
                self._send(kind, chain, time=time, dropped=self._lost())

    def _lost(self) -> bool:
        return bool(self._faults.rules) and self._faults.on_diff(self.market.symbol.name)

    def _send(self, kind: str, chain: _Chain, *, time: int, dropped: bool) -> None:
        symbol = self.market.symbol
        if chain.levels:
            book = self.market.book
            bids = [(level.price, level.total) for level in book.bids.top(chain.levels)]
            asks = [(level.price, level.total) for level in book.asks.top(chain.levels)]
        else:
            bids, asks = sorted(chain.bids.items()), sorted(chain.asks.items())
        last = self._ids.take()
        payload = {
            "e": "depthUpdate",
            "E": self._clock(),
            "T": time,
            "s": symbol.name,
            "ps": symbol.name,
            "U": chain.first,
            "u": last,
            "pu": chain.previous,
            "b": texts(symbol, bids),
            "a": texts(symbol, asks),
            "st": 1,
        }
        chain.previous = last
        chain.first = self._ids.take(2)
        chain.bids.clear()
        chain.asks.clear()
        chain.dirty = False
        if not dropped:
            self._hub.publish(f"{symbol.lower}@{kind}", encode(payload))

    def snapshot(self, limit: int, *, time: int) -> dict[str, object]:
        """The REST depth answer: the book as it is, under an id of its own."""
        if self._on_snapshot is not None and self.listened:
            self._on_snapshot()
        return self.seen(limit, time=time)

    def seen(self, limit: int, *, time: int) -> dict[str, object]:
        """A snapshot that nobody who waits for one is told of."""
        symbol, book = self.market.symbol, self.market.book
        return {
            "lastUpdateId": self._ids.take(),
            "E": self._clock(),
            "T": time,
            "bids": texts(symbol, [(level.price, level.total) for level in book.bids.top(limit)]),
            "asks": texts(symbol, [(level.price, level.total) for level in book.asks.top(limit)]),
        }


def texts(symbol: Symbol, levels: Changes) -> list[tuple[str, str]]:
    """Levels as Binance prints them."""
    price, quantity = symbol.price_text, symbol.quantity_text
    return [(price(ticks), quantity(lots)) for ticks, lots in levels]
