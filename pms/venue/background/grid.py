"""Where the made-up makers quote, and how much: prices that stay put, a hump behind the touch.

Quotes stand on points that do not move with the price, so that a small move changes few levels. The size
grows from the touch to a hump and falls off behind it (Bouchaud, Mezard and Potters 2002); round prices
hold more.
"""

from __future__ import annotations

from math import exp, log10

NEAR_LEVELS = 24
FAR_LEVELS = 16
FAR = tuple((10 * (1 + n // 3), 3 + (n + 1) ** 2 // 2 // (1 + n // 3)) for n in range(FAR_LEVELS))
"""Far levels stand on multiples of so many spacings, so many of them away: the further the coarser."""

HUMP_AT = 7
HUMP = 4.0
FAR_SIZE = 5.0
PULLED_LEVELS = 5.0
ROUND_EVERY, ROUND = 20, 1.6
VERY_ROUND_EVERY, VERY_ROUND = 200, 2.6
"""Every so many spacings a price is round, and holds so many times more."""

CELLS = 640
_MIX = 2_654_435_761


class Grid:
    """The points of one symbol, both sides."""

    def __init__(self, price: int) -> None:
        #: Ticks between neighbouring levels: about a hundred-thousandth of the price, 1, 2 or 5 of a decade
        self.spacing = _rounded(price * 1e-5)
        # Every tenth cell is quoted at its round price, the others somewhere in it
        self._offsets = [(cell * _MIX >> 7) % self.spacing if cell % 10 else 0 for cell in range(CELLS)]
        self._sizes: dict[int, list[float]] = {}

    def places(self, best: int, away: int, pulled: float) -> list[tuple[int, float]]:
        """(price, usual levels) of a side from its best outwards; `pulled` is what the touch lacks."""
        spacing = self.spacing
        cell = best // spacing
        offsets = self._offsets
        cells = range(cell, cell + away * (NEAR_LEVELS + 2), away)
        points = [each * spacing + offsets[each % CELLS] for each in cells]
        prices = [best, *(price for price in points if (price - best) * away > 0)][: NEAR_LEVELS + 1]
        for width, count in FAR:
            step = spacing * width
            prices.append((best // step + (1 if away > 0 else 0) + away * count) * step)
        every, often = self.spacing * ROUND_EVERY, self.spacing * VERY_ROUND_EVERY
        return [
            (price, size if price % every else size * (ROUND if price % often else VERY_ROUND))
            for price, size in zip(prices, self._shape(pulled), strict=True)
            if price > 0
        ]

    def _shape(self, pulled: float) -> list[float]:
        """Sizes from the touch outwards; kept for every tenth of what is pulled."""
        tenths = round(pulled * 10)
        sizes = self._sizes.get(tenths)
        if sizes is None:
            sizes = [
                (1 + HUMP * (n / HUMP_AT) * exp(1 - n / HUMP_AT))
                * (1 - tenths / 10 * exp(-n / PULLED_LEVELS))
                for n in range(NEAR_LEVELS + 1)
            ]
            sizes += [FAR_SIZE * (1 - 0.5 * n / FAR_LEVELS) for n in range(FAR_LEVELS)]
            self._sizes[tenths] = sizes
        return sizes


def _rounded(ticks: float) -> int:
    if ticks < 1:
        return 1
    decade: int = 10 ** int(log10(ticks))
    return max(each for each in (1, 2, 5) if each * decade <= ticks) * decade
