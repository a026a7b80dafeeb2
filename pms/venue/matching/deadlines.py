"""When the resting orders of a book expire, the earliest first."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heappop, heappush

from pms.venue.matching.orders import BookOrder

FEW = 64


class Deadlines:
    """Good-till dates. An order that has left stays in the heap until its date or until half have left."""

    __slots__ = ("_heap", "_orders", "_tidy_at")

    def __init__(self, orders: Mapping[int, BookOrder]) -> None:
        self._orders = orders
        self._heap: list[tuple[int, int]] = []
        self._tidy_at = FEW

    def add(self, order: BookOrder) -> None:
        """Take in an order that rests now."""
        if len(self._heap) >= self._tidy_at:
            # A set, since an amended order is here more than once
            self._heap = list({entry for entry in self._heap if entry[1] in self._orders})
            heapify(self._heap)
            self._tidy_at = max(FEW, 2 * len(self._heap))
        heappush(self._heap, (order.good_till, order.id))

    @property
    def next(self) -> int | None:
        """The earliest date; None while nothing expires."""
        heap = self._heap
        while heap and heap[0][1] not in self._orders:
            heappop(heap)
        return heap[0][0] if heap else None

    def due(self, now: int) -> BookOrder | None:
        """The next order whose date has come; the caller takes it out of the book."""
        earliest = self.next
        return None if earliest is None or earliest > now else self._orders[self._heap[0][1]]
