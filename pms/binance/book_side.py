"""One side of a local book: all its levels, and the best of them without sorting the rest.

Levels lie in a dict by an integer key that grows away from the touch, so both sides read alike. Only the
levels up to `_cut` are also in a heap; deeper ones cost one dict write each. The heap forgets lazily and is
refilled from the dict when it runs dry, so the price may wander for months.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush, nsmallest

from pms.binance.market_messages import Level

DECIMALS = 12
NEAR_LEVELS = 64
KEPT_LEVELS = 10_000
KNOWN_PRICES = 16_384
_EMPTY = frozenset(["0", *("0." + "0" * places for places in range(1, DECIMALS + 1))])
_SCALE = [10 ** (DECIMALS - places) for places in range(DECIMALS + 1)]
_BEYOND_ALL = 1 << 200


class _Keys(dict[str, int]):
    """Price text → key, remembered: exact, never through a float, and bounded."""

    __slots__ = ("_sign",)

    def __init__(self, sign: int) -> None:
        self._sign = sign

    def __missing__(self, price: str) -> int:
        whole, _, fraction = price.partition(".")
        digits = whole + fraction
        if not (digits.isdecimal() and digits.isascii() and len(fraction) <= DECIMALS):
            raise ValueError(f"a price is no plain number of at most {DECIMALS} decimals")
        if len(self) >= KNOWN_PRICES:
            self.clear()
        key = self[price] = int(digits) * _SCALE[len(fraction)] * self._sign
        return key


class BookSide:
    """The bids or the asks. Levels are `(price, quantity)` as the exchange spelled them."""

    __slots__ = ("_cut", "_keys", "_levels", "_near", "_sweep_at")

    def __init__(self, *, bids: bool) -> None:
        self._keys = _Keys(-1 if bids else 1)
        self._levels: dict[int, Level] = {}
        self._near: list[int] = []
        self._cut = _BEYOND_ALL
        self._sweep_at = 0

    def __len__(self) -> int:
        """Levels held; deep deleted ones count until they are swept."""
        return len(self._levels)

    def load(self, levels: Iterable[Level]) -> None:
        """Start anew from a snapshot. Raises ValueError for a price that is none."""
        keys = self._keys
        self._levels = {keys[level[0]]: level for level in levels}
        self._refill()

    def apply(self, changes: list[Level]) -> None:
        """Set absolute quantities; zero deletes. Raises ValueError for a price that is none."""
        keys, levels, cut = self._keys, self._levels, self._cut
        for level in changes:
            key = keys[level[0]]
            if key <= cut and key not in levels:
                heappush(self._near, key)
            levels[key] = level

    def best(self) -> Level | None:
        """The level at the touch; None when the side is empty."""
        if len(self._near) > 8 * NEAR_LEVELS or len(self._levels) > self._sweep_at:
            self._refill()
        near, levels = self._near, self._levels
        while near:
            level = levels[near[0]]
            if level[1] not in _EMPTY:
                return level
            del levels[heappop(near)]
        if not levels:
            return None
        self._refill()
        return self._levels[self._near[0]] if self._near else None

    def _refill(self) -> None:
        """Sweep deleted levels, drop what is too deep to matter, choose anew what is near."""
        levels = {key: level for key, level in self._levels.items() if level[1] not in _EMPTY}
        if len(levels) > 2 * KEPT_LEVELS:
            levels = {key: levels[key] for key in nsmallest(KEPT_LEVELS, levels)}
        self._levels = levels
        self._sweep_at = 2 * len(levels) + KEPT_LEVELS
        self._near = nsmallest(NEAR_LEVELS, levels)
        heapify(self._near)
        self._cut = self._near[-1] if len(levels) > NEAR_LEVELS else _BEYOND_ALL
