"""A book so simple that it is obviously right, and slow: one list of entries, searched for each trade."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field

from pms.venue.matching import BUY, SELL, SelfTrade, TimeInForce

MARKET = 0
"""The owner of what nobody of ours owns."""

HEDGED = (2, 3)
"""Owners that are one account, which holds a long and a short position side by side."""

Told = tuple[object, ...]
"""An event: its word, whose it is, and the rest."""


@dataclass
class Entry:
    """What stands in the queue, all of it shown but `hidden`."""

    key: int
    owner: int
    side: int
    price: int
    shown: int
    arrived: int
    name: str = ""
    hidden: int = 0
    display: int = 0
    reduce_only: bool = False
    rested: int = 0
    good_till: int = 0
    post_only: bool = False
    self_trade: SelfTrade = SelfTrade.NONE

    @property
    def left(self) -> int:
        return self.shown + self.hidden


def account_of(owner: int) -> int:
    return HEDGED[0] if owner in HEDGED else owner


@dataclass
class NaiveBook:
    """Entries in any order; what comes first is found by looking at all."""

    entries: list[Entry] = field(default_factory=list)
    positions: dict[int, int] = field(default_factory=dict)
    arrivals: int = 0

    # Looking

    def first(self, side: int, limit: int, *, price: int | None = None) -> Entry | None:
        """What an order of `side` meets first."""
        met = [
            entry
            for entry in self.entries
            if entry.side == -side
            and (limit - entry.price) * side >= 0
            and (price is None or entry.price == price)
        ]
        return min(met, key=lambda entry: (entry.price * side, entry.arrived), default=None)

    def find(self, key: int) -> Entry | None:
        return next((entry for entry in self.entries if entry.key == key and entry.owner), None)

    def levels(self, side: int) -> dict[int, int]:
        found: dict[int, int] = {}
        for entry in self.entries:
            if entry.side == side:
                found[entry.price] = found.get(entry.price, 0) + entry.shown
        return found

    def best(self, side: int) -> int | None:
        prices = self.levels(side)
        return (max(prices) if side == BUY else min(prices)) if prices else None

    def reducing(self, owner: int) -> list[Entry]:
        """Reduce-only orders of an account, oldest first."""
        mine = [entry for entry in self.entries if entry.owner == owner and entry.reduce_only]
        return sorted(mine, key=lambda entry: entry.rested)

    def held(self, owner: int) -> int:
        return self.positions.get(owner, 0)

    # Commands: None is a refusal

    def place(
        self, order: Entry, time_in_force: TimeInForce, self_trade: SelfTrade, told: list[Told] | None = None
    ) -> list[Told] | None:
        told = [] if told is None else told
        if any(
            entry.name == order.name and account_of(entry.owner) == account_of(order.owner)
            for entry in self.entries
        ):
            return None
        if order.reduce_only and not self._reduces(order, order.left):
            return None
        crosses = self.first(order.side, order.price) is not None
        if time_in_force is TimeInForce.GTX and crosses:
            return None
        if time_in_force is TimeInForce.FOK:
            if not self.could_fill(order):
                return None
            self_trade = SelfTrade.NONE
        order.post_only = time_in_force is TimeInForce.GTX
        order.self_trade = self_trade
        ended = self._take(order, self_trade, told)
        if order.left and not ended:
            if time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
                told.append(("expired", order.key, "UNFILLED"))
            else:
                self._rest(order)
                told.append(("rested", order.key))
        self._trim(order.owner, told)
        return told

    def cancel(self, key: int) -> list[Told] | None:
        entry = self.find(key)
        if entry is None:
            return None
        self.entries.remove(entry)
        return [("cancelled", key)]

    def amend(self, key: int, price: int, left: int) -> list[Told] | None:
        entry = self.find(key)
        if entry is None:
            return None
        crosses = self.first(entry.side, price) is not None
        if left <= 0 or (entry.post_only and crosses):
            return self.cancel(key)
        if entry.reduce_only and not self._reduces(entry, left):
            return None
        self.entries.remove(entry)
        entry.price, entry.shown, entry.hidden = price, left, 0
        in_force = TimeInForce.GTX if entry.post_only else TimeInForce.GTC
        return self.place(entry, in_force, SelfTrade.NONE, [("amended", key)])

    def expire(self, now: int) -> list[Told]:
        due = [entry for entry in self.entries if 0 < entry.good_till <= now]
        self.entries = [entry for entry in self.entries if entry not in due]
        return [
            ("expired", entry.key, "OUT_OF_TIME")
            for entry in sorted(due, key=lambda entry: (entry.good_till, entry.key))
        ]

    def set_anonymous(self, side: int, price: int, quantity: int) -> None:
        here = [e for e in self.entries if (e.owner, e.side, e.price) == (MARKET, side, price)]
        excess = sum(entry.shown for entry in here) - quantity
        if excess < 0:
            self._rest(Entry(0, MARKET, side, price, -excess, 0))
        while excess > 0:
            last = max(here, key=lambda entry: entry.arrived)
            taken = min(excess, last.shown)
            excess -= taken
            last.shown -= taken
            if not last.shown:
                here.remove(last)
                self.entries.remove(last)

    def print_trade(self, side: int, price: int, quantity: int) -> list[Told]:
        """A recorded trade: orders at better prices first; at its price what stands in front passes by."""
        told: list[Told] = []
        while quantity:
            ours = [e for e in self.entries if e.owner and e.side == -side and (price - e.price) * side >= 0]
            order = min(ours, key=lambda entry: (entry.price * side, entry.arrived), default=None)
            if order is None:
                told.append(("fill", MARKET, price, quantity))
                break
            first = self.first(side, price, price=price) if order.price == price else order
            assert first is not None
            passed = min(quantity, first.shown)
            quantity -= passed
            told.append(("fill", first.key, first.price, passed))
            first.shown -= passed
            if first.owner == MARKET:
                if not first.shown:
                    self.entries.remove(first)
                self._rest(Entry(0, MARKET, -side, price, passed, 0))
            else:
                self.positions[first.owner] = self.held(first.owner) + passed * first.side
                self._after_fill(first, told)
        return told

    # How

    def could_fill(self, order: Entry) -> bool:
        """Try it on a copy."""
        trial, taker = deepcopy((self, order))
        trial._take(taker, SelfTrade.NONE, [])
        return taker.left == 0

    def _reduces(self, order: Entry, lots: int) -> bool:
        held = self.held(order.owner)
        others = [entry for entry in self.reducing(order.owner) if entry is not order]
        closed = sum(entry.left for entry in others if entry.side == order.side)
        return held * order.side < 0 and closed + lots <= abs(held)

    def _take(self, order: Entry, self_trade: SelfTrade, told: list[Told]) -> bool:
        while order.left and (best := self.first(order.side, order.price)) is not None:
            own = best.owner and account_of(best.owner) == account_of(order.owner)
            if own and self_trade is not SelfTrade.NONE:
                if self_trade is not SelfTrade.EXPIRE_TAKER:
                    self.entries.remove(best)
                    told.append(("expired", best.key, "SELF_TRADE"))
                if self_trade is not SelfTrade.EXPIRE_MAKER:
                    told.append(("expired", order.key, "SELF_TRADE"))
                    return True
                continue
            traded = min(order.left, best.shown)
            order.shown -= traded
            best.shown -= traded
            told.append(("fill", best.key, best.price, traded))
            for owner, side in ((order.owner, order.side), (best.owner, best.side)):
                self.positions[owner] = self.held(owner) + traded * side
            self._after_fill(best, told)
        return False

    def _after_fill(self, entry: Entry, told: list[Told]) -> None:
        """A filled entry goes, an iceberg shows more from behind, and what would open a position expires."""
        if not entry.shown:
            self.entries.remove(entry)
            if entry.hidden:
                rested = entry.rested
                self._rest(entry)
                entry.rested = rested
        self._trim(entry.owner, told)

    def _trim(self, owner: int, told: list[Told]) -> None:
        held = self.held(owner)
        wrong = [entry for entry in self.reducing(owner) if entry.side * held >= 0]
        for entry in wrong:
            self.entries.remove(entry)
            told.append(("expired", entry.key, "REDUCE_ONLY"))
        while sum(entry.left for entry in self.reducing(owner)) > abs(held):
            newest = self.reducing(owner)[-1]
            self.entries.remove(newest)
            told.append(("expired", newest.key, "REDUCE_ONLY"))

    def _rest(self, entry: Entry) -> None:
        self.arrivals += 1
        entry.arrived = entry.rested = self.arrivals
        if entry.display:
            entry.shown, entry.hidden = min(entry.left, entry.display), max(0, entry.left - entry.display)
        self.entries.append(entry)


__all__ = ["BUY", "MARKET", "SELL", "Entry", "NaiveBook", "Told"]
