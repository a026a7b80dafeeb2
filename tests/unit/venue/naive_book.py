"""A book so simple that it is obviously right, and slow: one list of entries, searched for each trade."""

from __future__ import annotations

from dataclasses import dataclass

from pms.venue.matching import BUY, SELL, SelfTrade, TimeInForce


@dataclass
class Entry:
    """What stands in the queue; owner 0 is the anonymous market."""

    key: int
    owner: int
    side: int
    price: int
    quantity: int
    arrived: int


class NaiveBook:
    """Entries in arrival order; the best is found by looking at all."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.arrivals = 0

    def _first(self, side: int, limit: int | None) -> Entry | None:
        against = [
            entry
            for entry in self.entries
            if entry.side == -side and (limit is None or (limit - entry.price) * side >= 0)
        ]
        return min(against, key=lambda entry: (entry.price * side, entry.arrived), default=None)

    def _rest(self, key: int, owner: int, side: int, price: int, quantity: int) -> None:
        self.arrivals += 1
        self.entries.append(Entry(key, owner, side, price, quantity, self.arrivals))

    def place(
        self,
        key: int,
        *,
        owner: int,
        side: int,
        price: int,
        quantity: int,
        time_in_force: TimeInForce,
        self_trade: SelfTrade,
    ) -> tuple[list[tuple[int, int, int]], list[int], int] | None:
        """(maker key, price, quantity) of each fill, keys of expired makers, lots left; None if refused."""
        reachable = sum(
            entry.quantity
            for entry in self.entries
            if entry.side == -side and (price - entry.price) * side >= 0
        )
        if time_in_force is TimeInForce.GTX and reachable:
            return None
        if time_in_force is TimeInForce.FOK:
            self_trade = SelfTrade.NONE
            if reachable < quantity:
                return None
        fills: list[tuple[int, int, int]] = []
        expired: list[int] = []
        stopped = False
        while quantity and (best := self._first(side, price)) is not None:
            if best.owner == owner and self_trade is not SelfTrade.NONE:
                if self_trade is not SelfTrade.EXPIRE_TAKER:
                    self.entries.remove(best)
                    expired.append(best.key)
                if self_trade is not SelfTrade.EXPIRE_MAKER:
                    stopped = True
                    break
                continue
            traded = min(quantity, best.quantity)
            quantity -= traded
            best.quantity -= traded
            if not best.quantity:
                self.entries.remove(best)
            fills.append((best.key, best.price, traded))
        if quantity and not stopped and time_in_force in (TimeInForce.GTC, TimeInForce.GTX):
            self._rest(key, owner, side, price, quantity)
        return fills, expired, quantity

    def cancel(self, key: int) -> None:
        self.entries = [entry for entry in self.entries if entry.key != key]

    def set_anonymous(self, side: int, price: int, quantity: int) -> None:
        here = [e for e in self.entries if (e.owner, e.side, e.price) == (0, side, price)]
        excess = sum(entry.quantity for entry in here) - quantity
        if excess < 0:
            self._rest(0, 0, side, price, -excess)
        while excess > 0:
            last = max(here, key=lambda entry: entry.arrived)
            taken = min(excess, last.quantity)
            excess -= taken
            last.quantity -= taken
            if not last.quantity:
                here.remove(last)
                self.entries.remove(last)

    def levels(self, side: int) -> dict[int, int]:
        found: dict[int, int] = {}
        for entry in self.entries:
            if entry.side == side:
                found[entry.price] = found.get(entry.price, 0) + entry.quantity
        return found

    def best(self, side: int) -> int | None:
        prices = self.levels(side)
        return (max(prices) if side == BUY else min(prices)) if prices else None


__all__ = ["BUY", "SELL", "NaiveBook"]
