"""A made-up market drawn as a trader looks at one: candles, volume, spread and depth, as a plain SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from math import ceil, floor, log10
from statistics import fmean

from pms.venue.background.rehearsal import NEAR, Moment
from pms.venue.background.scenario import STEP_S
from pms.venue.symbols import Symbol

WIDTH, LEFT, RIGHT, TOP, GAP = 1000, 16, 84, 96, 34
PRICE, VOLUME, SPREAD, DEPTH = 300, 60, 100, 130
INK, FAINT, UP, DOWN, LINE = "#1f2933", "#8a94a0", "#12866b", "#cf4256", "#2f5fb3"
BANDS = ("#ffffff", "#f4f6f8")
FONT = "font-family='-apple-system,Segoe UI,Helvetica,Arial,sans-serif'"
MOST_CANDLES = 140

CANDLE_S = (1, 2, 5, 10, 15, 30, 60, 300)
TICKS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Panel:
    """A strip of the drawing and its scale; `high` is the value at its upper edge."""

    top: float
    height: float
    low: float
    high: float
    scale: Callable[[float], float] = float

    def y(self, value: float) -> float:
        """Where a value is."""
        low, high = self.scale(self.low), self.scale(self.high)
        return self.top + self.height * (high - self.scale(value)) / (high - low)


@dataclass(frozen=True, slots=True)
class Candle:
    """Some steps as one bar: prices, and the value bought and sold."""

    begin: float
    open: float
    high: float
    low: float
    close: float
    bought: float
    sold: float


def draw(symbol: Symbol, moments: Sequence[Moment], *, title: str) -> str:
    """The whole drawing."""
    return "\n".join(_Chart(symbol, moments).lines(title)) + "\n"


class _Chart:
    def __init__(self, symbol: Symbol, moments: Sequence[Moment]) -> None:
        self._moments = moments
        self._tick = float(symbol.tick)
        self._quote = float(symbol.tick * symbol.step)
        self._asset = symbol.quote_asset
        self._seconds = len(moments) * STEP_S
        self._candle_s = next(
            (each for each in CANDLE_S if self._seconds / each <= MOST_CANDLES),
            ceil(self._seconds / MOST_CANDLES),
        )

    def lines(self, title: str) -> Iterator[str]:
        bottom = TOP + PRICE + VOLUME + SPREAD + DEPTH + 3 * GAP
        height = bottom + 44
        yield f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' {FONT} font-size='12'>"
        yield f"<title>{escape(title)}</title>"
        yield f"<rect width='{WIDTH}' height='{height}' fill='#fff'/>"
        yield _text(LEFT, 26, title, fill=INK, size=16, weight=600)
        yield from self._phases(bottom)
        volume = TOP + PRICE + GAP
        spread = volume + VOLUME + GAP
        yield from self._prices(self._candles(), volume)
        yield from self._spreads(spread)
        yield from self._depths(spread + SPREAD + GAP)
        yield from self._minutes(bottom)
        yield "</svg>"

    def _x(self, second: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * second / self._seconds

    def _phases(self, bottom: float) -> Iterator[str]:
        at = 0
        for number, (name, steps) in enumerate(groupby(self._moments, key=lambda each: each.phase)):
            count = len(list(steps))
            left, right = self._x(at * STEP_S), self._x((at + count) * STEP_S)
            box = f"x='{left:.1f}' y='{TOP - 48}' width='{right - left:.1f}' height='{bottom - TOP + 48}'"
            yield f"<rect {box} fill='{BANDS[(number + 1) % 2]}'/>"
            yield _text((left + right) / 2, TOP - 32, name, fill=INK, anchor="middle", weight=600)
            at += count

    def _candles(self) -> list[Candle]:
        per = round(self._candle_s / STEP_S)
        found, before = [], self._moments[0].middle
        for at in range(0, len(self._moments), per):
            part = self._moments[at : at + per]
            prices = [before, *(each.middle for each in part)]
            bought, sold = (
                sum(lots * each.middle * self._quote for lots, each in zip(taken, part, strict=True))
                for taken in ([each.bought for each in part], [each.sold for each in part])
            )
            found.append(
                Candle(at * STEP_S, before, max(prices), min(prices), prices[-1], bought=bought, sold=sold)
            )
            before = prices[-1]
        return found

    def _prices(self, candles: list[Candle], volume_top: float) -> Iterator[str]:
        low = min(each.low for each in candles) * self._tick
        high = max(each.high for each in candles) * self._tick
        margin = (high - low) * 0.05 or self._tick
        panel = Panel(TOP, PRICE, low - margin, high + margin)
        most = max(each.bought + each.sold for each in candles)
        volumes = Panel(volume_top, VOLUME, 0.0, most or 1.0)
        yield from self._grid(panel, _steps(panel.low, panel.high, 6), _price)
        yield from self._grid(volumes, [volumes.high], _short)
        yield _text(LEFT, TOP - 7, f"price, candles of {self._candle_s} s", fill=FAINT)
        yield _text(LEFT, volume_top - 7, f"volume, {self._asset}: bought above sold", fill=FAINT)
        wide = (self._x(self._candle_s) - LEFT) * 0.68
        for each in candles:
            middle = self._x(each.begin + self._candle_s / 2)
            colour = UP if each.close >= each.open else DOWN
            upper, lower, first, last = (
                panel.y(price * self._tick) for price in (each.high, each.low, each.open, each.close)
            )
            yield f"<path d='M{middle:.1f} {upper:.1f}V{lower:.1f}' stroke='{colour}'/>"
            across = (middle - wide / 2, wide)
            yield _bar(across, min(first, last), max(1.0, abs(first - last)), colour)
            base, sold, both = (volumes.y(value) for value in (0.0, each.sold, each.sold + each.bought))
            yield _bar(across, sold, base - sold, DOWN, opacity=0.65)
            yield _bar(across, both, sold - both, UP, opacity=0.65)

    def _spreads(self, top: float) -> Iterator[str]:
        """The median and the widest of each second, in basis points on a logarithmic scale."""
        seconds = list(self._by_second(lambda each: each.spread / each.middle * 1e4))
        medians, widest = [each[len(each) // 2] for each in seconds], [each[-1] for each in seconds]
        low, high = min(medians) * 0.7, max(widest) * 1.4
        panel = Panel(top, SPREAD, low, high, log10)
        powers = [10.0**power for power in range(ceil(log10(low)), floor(log10(high)) + 1)]
        yield from self._grid(panel, powers, lambda value: f"{value:g} bp")
        yield _text(LEFT, top - 7, "spread, median and widest of each second", fill=FAINT)
        yield self._area(panel, medians, widest, LINE, 0.2)
        yield self._line(panel, medians, LINE)

    def _depths(self, top: float) -> Iterator[str]:
        sides = [
            [fmean(each) for each in self._by_second(value)]
            for value in (
                lambda each: each.near_bids * each.middle * self._quote,
                lambda each: each.near_asks * each.middle * self._quote,
            )
        ]
        most = max(max(side) for side in sides) * 1.08
        panel = Panel(top, DEPTH, -most, most)
        (step,) = _steps(0.0, most, 2)[1:2] or [most]
        yield from self._grid(panel, [-step, 0.0, step], lambda value: _short(abs(value)))
        for side, sign, colour in zip(sides, (1, -1), (UP, DOWN), strict=True):
            values = [sign * value for value in side]
            yield self._area(panel, [0.0] * len(values), values, colour, 0.25)
            yield self._line(panel, values, colour)
        told = f"depth within {NEAR * 1e4:g} bp, {self._asset}: bids above, asks below"
        yield _text(LEFT, top - 7, told, fill=FAINT)

    def _minutes(self, bottom: float) -> Iterator[str]:
        every = next((each for each in (10, 30, 60, 120, 300) if self._seconds / each <= 12), 600)
        for second in range(0, int(self._seconds) + 1, every):
            yield _text(
                self._x(second), bottom + 18, f"{second // 60}:{second % 60:02}", fill=FAINT, anchor="middle"
            )
        yield _text(self._x(self._seconds), bottom + 36, "minutes since the start", fill=FAINT, anchor="end")

    def _by_second(self, value: Callable[[Moment], float]) -> Iterator[list[float]]:
        per = round(1 / STEP_S)
        for at in range(0, len(self._moments), per):
            yield sorted(value(each) for each in self._moments[at : at + per])

    def _grid(self, panel: Panel, values: Sequence[float], shown: Callable[[float], str]) -> Iterator[str]:
        right = WIDTH - RIGHT
        for value in values:
            y = panel.y(value)
            yield f"<path d='M{LEFT} {y:.1f}H{right}' stroke='#dfe4ea' stroke-width='.8'/>"
            yield _text(right + 8, y + 4, shown(value), fill=FAINT)

    def _line(self, panel: Panel, values: Sequence[float], colour: str) -> str:
        path = "L".join(self._points(panel, values))
        return f"<path d='M{path}' fill='none' stroke='{colour}' stroke-width='1.2' stroke-linejoin='round'/>"

    def _area(
        self, panel: Panel, one: Sequence[float], other: Sequence[float], colour: str, opacity: float
    ) -> str:
        path = "L".join([*self._points(panel, one), *reversed(list(self._points(panel, other)))])
        return f"<path d='M{path}Z' fill='{colour}' opacity='{opacity}'/>"

    def _points(self, panel: Panel, values: Sequence[float]) -> Iterator[str]:
        for second, value in enumerate(values):
            yield f"{self._x(second):.1f} {panel.y(value):.1f}"


def _bar(across: tuple[float, float], top: float, height: float, colour: str, opacity: float = 1.0) -> str:
    left, wide = across
    box = f"x='{left:.1f}' y='{top:.1f}' width='{wide:.1f}' height='{height:.1f}'"
    return f"<rect {box} fill='{colour}'" + (f" opacity='{opacity}'/>" if opacity < 1 else "/>")


def _text(
    x: float, y: float, text: str, *, fill: str, size: int = 12, anchor: str = "start", weight: int = 400
) -> str:
    how = f"fill='{fill}' font-size='{size}' text-anchor='{anchor}' font-weight='{weight}'"
    return f"<text x='{x:.1f}' y='{y:.1f}' {how}>{escape(text)}</text>"


def _steps(low: float, high: float, count: int) -> list[float]:
    """About so many round values between two."""
    rough = (high - low) / count
    decade = 10.0 ** floor(log10(rough))
    step = next(each * decade for each in TICKS if each * decade >= rough * 0.999)
    return [number * step for number in range(ceil(low / step), floor(high / step) + 1)]


def _price(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.6g}"


def _short(value: float) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
