"""One side of a local book: all its levels, and the best of them without sorting the rest.

Levels lie in a dict by an integer key that grows away from the touch, so both sides read alike. Only the
levels up to `_cut` are also in a heap; deeper ones cost one dict write each. A deleted level stays, with its
zero, until it reaches the touch or is swept; so the loop over a diff asks nothing about quantities. The heap
is refilled from the dict when it runs dry, and the price may wander for months.
"""

from __future__ import annotations

from heapq import heappop, heappush

from pms.binance.market_messages import Level

DECIMALS = 12
NEAR_LEVELS = 200
KEPT_LEVELS = 10_000
KNOWN_PRICES = 16_384
_EMPTY = frozenset(["0", *("0." + "0" * places for places in range(1, DECIMALS + 1))])
_BEYOND_ALL = 1 << 200


class _Keys(dict[str, int]):
    """Price text → key, remembered: exact, never through a float, and bounded."""

    __slots__ = ("_scale", "places")

    def __init__(self, sign: int) -> None:
        self._scale = [sign * int("1" + "0" * (DECIMALS - places)) for places in range(DECIMALS + 1)]
        self.places = 0
        """The most decimals seen, in which all prices are spelled."""

    def __missing__(self, price: str) -> int:
        digits = price.replace(".", "", 1)
        point = price.find(".")
        places = len(price) - point - 1 if point >= 0 else 0
        if places > DECIMALS or not digits.isdecimal():
            raise ValueError(f"a price is no plain number of at most {DECIMALS} decimals")
        if len(self) >= KNOWN_PRICES:
            self.clear()
        self.places = max(self.places, places)
        key = self[price] = int(digits) * self._scale[places]
        return key

    def spell(self, key: int) -> str:
        """The price of a key."""
        places = self.places
        digits = str(key // self._scale[places]).rjust(places + 1, "0")
        return f"{digits[:-places]}.{digits[-places:]}" if places else digits


class BookSide:
    """The bids or the asks; quantities are kept as the exchange spelled them."""

    __slots__ = ("_best", "_best_key", "_cut", "_keys", "_near", "_quantities", "_sweep_at")

    def __init__(self, *, bids: bool) -> None:
        self._keys = _Keys(-1 if bids else 1)
        self._quantities: dict[int, str] = {}
        self._near: list[int] = []
        self._cut = _BEYOND_ALL
        self._sweep_at = 0
        self._best: Level = ("", "")
        self._best_key = 0

    def __len__(self) -> int:
        """Levels held; deleted ones count until they are swept."""
        return len(self._quantities)

    def load(self, levels: list[Level]) -> None:
        """Start anew from a snapshot. Raises ValueError for a price that is none."""
        keys = self._keys
        self._quantities = {keys[price]: quantity for price, quantity in levels}
        self._refill()

    def apply(self, changes: list[Level]) -> None:
        """Set absolute quantities; zero deletes. Raises ValueError for a price that is none."""
        keys, quantities, near, cut = self._keys, self._quantities, self._near, self._cut
        for price, quantity in changes:
            key = keys[price]
            if key <= cut and key not in quantities:
                heappush(near, key)
            quantities[key] = quantity

    def best(self) -> Level | None:
        """The level at the touch, the same object while it is the same; None when the side is empty."""
        if len(self._near) > 8 * NEAR_LEVELS or len(self._quantities) > self._sweep_at:
            self._refill()
        key = self._touch()
        if key is None:
            self._refill()
            key = self._touch()
            if key is None:
                return None
        quantity = self._quantities[key]
        if key != self._best_key:
            self._best, self._best_key = (self._keys.spell(key), quantity), key
        elif quantity != self._best[1]:
            self._best = (self._best[0], quantity)
        return self._best

    def _touch(self) -> int | None:
        """The nearest key with a quantity; forgets the empty ones before it."""
        near, quantities = self._near, self._quantities
        while near:
            if quantities[near[0]] not in _EMPTY:
                return near[0]
            del quantities[heappop(near)]
        return None

    def _refill(self) -> None:
        """Sweep deleted levels, drop what is too deep to matter, choose anew what is near."""
        keys = sorted(key for key, quantity in self._quantities.items() if quantity not in _EMPTY)
        if len(keys) > 2 * KEPT_LEVELS:
            del keys[KEPT_LEVELS:]
        # In order, so that the next sort finds most of it done.
        self._quantities = {key: self._quantities[key] for key in keys}
        self._sweep_at = 2 * len(keys) + KEPT_LEVELS
        self._near = keys[:NEAR_LEVELS]
        self._cut = keys[NEAR_LEVELS - 1] if len(keys) > NEAR_LEVELS else _BEYOND_ALL
