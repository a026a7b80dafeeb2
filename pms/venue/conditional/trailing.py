"""Trailing stops of one side: a price that moves their way costs the same for one as for all of them.

Orders that have seen the same best price since they began to follow form a group. A better price moves the
whole group at once; groups are kept with the best on the bottom, so only the top ones ever merge.
"""

from __future__ import annotations

from decimal import Decimal

from sortedcontainers import SortedList

PER_MILLE = 1000
Price = int | Decimal


class _Group:
    """Orders that follow one best price; `nearest` is the threshold met first, here or below."""

    __slots__ = ("nearest", "orders", "peak")

    def __init__(self, peak: Price) -> None:
        self.peak = peak
        self.orders: SortedList = SortedList()
        self.nearest: Price = 0


class Trail:
    """Prices are counted so that better is more: `side` -1 (sells) follows highs, 1 (buys) lows.

    Thresholds are compared in thousandths, hence exactly: a callback is a whole number of them.
    """

    def __init__(self, side: int) -> None:
        self._sign = -side
        self._groups: list[_Group] = []
        self._group_of: dict[int, tuple[_Group, int]] = {}
        # The best price of each order that the last price let out: who may not go yet follows on from it
        self._left_at: dict[int, Price] = {}

    def __len__(self) -> int:
        return len(self._group_of)

    def add(self, order: int, callback: int, peak: Price) -> None:
        """Let an order follow from this best price on."""
        signed = self._sign * peak
        place = len(self._groups)
        while place and self._groups[place - 1].peak < signed:
            place -= 1
        if place and self._groups[place - 1].peak == signed:
            place -= 1
        else:
            self._groups.insert(place, _Group(signed))
        group = self._groups[place]
        group.orders.add((callback, order))
        self._group_of[order] = group, callback
        self._refresh(place)

    def take_back(self, order: int, callback: int) -> None:
        """Let an order that the last price let out follow on, as if it had not."""
        self.add(order, callback, self._left_at[order])

    def discard(self, order: int) -> None:
        """Forget an order; fine if it is not here."""
        found = self._group_of.pop(order, None)
        if found is None:
            return
        group, callback = found
        group.orders.remove((callback, order))
        if not group.orders:
            self._groups.remove(group)
        self._refresh(0)

    def at(self, price: Price) -> tuple[list[int], bool]:
        """Orders that this price lets out, nearest first; and whether it is a new best for some."""
        groups = self._groups
        if not groups:
            return [], False
        signed = self._sign * price
        better = groups[-1].peak < signed
        if better:
            self._raise(signed)
        if signed * PER_MILLE > groups[-1].nearest:
            return [], better
        return self._let_out(signed), better

    def reached(self, order: int, price: Price) -> bool:
        """Whether this price is as far back as lets an order out."""
        group, callback = self._group_of[order]
        return self._sign * price * PER_MILLE <= group.peak * (PER_MILLE - self._sign * callback)

    def peak_of(self, order: int) -> Price:
        """The best price that an order has seen."""
        return self._sign * self._group_of[order][0].peak

    def _raise(self, signed: Price) -> None:
        groups = self._groups
        risen = groups.pop()
        while groups and groups[-1].peak <= signed:
            other = groups.pop()
            # The smaller goes into the larger: each order moves only when its group at least doubles
            if len(other.orders) > len(risen.orders):
                risen, other = other, risen
            for callback, order in other.orders:
                risen.orders.add((callback, order))
                self._group_of[order] = risen, callback
        risen.peak = signed
        groups.append(risen)
        self._refresh(len(groups) - 1)

    def _let_out(self, signed: Price) -> list[int]:
        due: list[tuple[Price, int]] = []
        self._left_at = {}
        for group in self._groups:
            while group.orders and signed * PER_MILLE <= self._threshold(group):
                threshold = self._threshold(group)
                _, order = group.orders.pop(0)
                del self._group_of[order]
                self._left_at[order] = self._sign * group.peak
                due.append((threshold, order))
        self._groups = [group for group in self._groups if group.orders]
        self._refresh(0)
        return [order for _, order in sorted(due, key=lambda each: (-each[0], each[1]))]

    def _threshold(self, group: _Group) -> Price:
        """Where the group's tightest order is let out, in thousandths."""
        callback: int = group.orders[0][0]
        return group.peak * (PER_MILLE - self._sign * callback)

    def _refresh(self, start: int) -> None:
        for index in range(start, len(self._groups)):
            group = self._groups[index]
            own = self._threshold(group)
            group.nearest = max(own, self._groups[index - 1].nearest) if index else own
