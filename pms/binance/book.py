"""The local order book of one symbol, sans I/O (Binance USDⓈ-M docs, How to manage a local order book).

Events are fed as they come, a REST snapshot when the caller has one. The caller fetches a snapshot whenever
the book is neither LIVE nor waiting; meanwhile events are kept, so that no fetch is too late.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import NamedTuple

from pms.binance.book_side import BookSide
from pms.binance.market_messages import DepthUpdate, Level

MAX_PENDING = 4096


class BookState(Enum):
    """How far a book can be trusted."""

    SYNCING = "syncing"
    """Waiting for a snapshot that fits the events."""
    LIVE = "live"
    """Equal to the exchange's, as deep as the snapshot went."""
    GAP = "gap"
    """The event just applied showed that an earlier one is missing; the next makes it SYNCING."""


class L1(NamedTuple):
    """Best bid and ask with their quantities, as the exchange spelled them."""

    bid: str
    bid_qty: str
    ask: str
    ask_qty: str


class _Snapshot(NamedTuple):
    last_update_id: int
    bids: list[Level]
    asks: list[Level]


class LocalBook:
    """One symbol's book."""

    __slots__ = (
        "_ask",
        "_asks",
        "_bid",
        "_bids",
        "_last_id",
        "_snapshot",
        "_top",
        "pending",
        "state",
        "symbol",
    )

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.state = BookState.SYNCING
        self.pending: deque[DepthUpdate] = deque(maxlen=MAX_PENDING)
        """Events that wait for a snapshot: an unbroken chain."""
        self._bids = BookSide(bids=True)
        self._asks = BookSide(bids=False)
        self._last_id = 0
        self._snapshot: _Snapshot | None = None
        self._bid: Level | None = None
        self._ask: Level | None = None
        self._top: L1 | None = None

    @property
    def top(self) -> L1 | None:
        """L1 now; None while the book is not LIVE or one side of it is empty."""
        return self._top

    @property
    def waiting(self) -> bool:
        """Whether a snapshot is held until an event reaches it: another one could say no more."""
        return self._snapshot is not None

    def apply(self, update: DepthUpdate) -> L1 | None:
        """Take the next event; L1 after it, the same object while it is the same.

        None: look at `state`; LIVE means that a side is empty.
        """
        if self.state is not BookState.LIVE:
            return self._keep(update)
        if update.previous_id != self._last_id:
            return self._lose(update)
        return self._advance(update)

    def snapshot(self, last_update_id: int, bids: list[Level], asks: list[Level]) -> L1 | None:
        """Offer a REST snapshot; L1 if the book is LIVE with it.

        A snapshot older than the kept events is dropped: fetch another. One newer than all of them is
        held until an event reaches it.
        """
        if self.state is BookState.LIVE:
            return self._top
        self._snapshot = _Snapshot(last_update_id, bids, asks)
        return self._join()

    def reset(self) -> None:
        """Forget everything: the connection was lost, and events with it."""
        self._forget(BookState.SYNCING)

    def _keep(self, update: DepthUpdate) -> L1 | None:
        self.state = BookState.SYNCING
        if self.pending and update.previous_id != self.pending[-1].last_id:
            self.pending.clear()
        self.pending.append(update)
        return self._join()

    def _join(self) -> L1 | None:
        """Bring snapshot and events together: the first event applied must have U <= L <= u."""
        if self._snapshot is None:
            return None
        last_update_id, bids, asks = self._snapshot
        while self.pending and self.pending[0].last_id < last_update_id:
            self.pending.popleft()
        if not self.pending:
            return None
        self._snapshot = None
        if self.pending[0].first_id > last_update_id:
            return None
        try:
            self._bids.load(bids)
            self._asks.load(asks)
        except ValueError:
            return None
        waiting = list(self.pending)
        self.pending.clear()
        self.state = BookState.LIVE
        top: L1 | None = None
        for update in waiting:
            top = self._advance(update)
            if self.state is not BookState.LIVE:
                return None
        return top

    def _advance(self, update: DepthUpdate) -> L1 | None:
        bids, asks = self._bids, self._asks
        try:
            bids.apply(update.bids)
            asks.apply(update.asks)
        except ValueError:
            return self._lose(None)
        self._last_id = update.last_id
        bid, ask = bids.best(), asks.best()
        if bid is not self._bid or ask is not self._ask:
            if not (_is_number(bid) and _is_number(ask)):
                return self._lose(None)
            self._bid, self._ask = bid, ask
            self._top = L1(*bid, *ask) if bid and ask else None
        return self._top

    def _lose(self, update: DepthUpdate | None) -> L1 | None:
        """The chain is broken; what came after the break begins the next one."""
        self._forget(BookState.GAP)
        if update is not None:
            self.pending.append(update)
        return None

    def _forget(self, state: BookState) -> None:
        self.state = state
        self.pending.clear()
        self._snapshot = None
        self._bid = self._ask = None
        self._top = None
        self._bids.load([])
        self._asks.load([])


def _is_number(level: Level | None) -> bool:
    """Whether a level's quantity can be read; an absent level has nothing to read."""
    return level is None or level[1].replace(".", "", 1).isdecimal()
